"""Plots are well-formed pictures with names, whatever the numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.batch.areas import agreement
from omniview.batch.figures import MOST, Figure, area_agreement, boxes, cohort_gains, pairs, thinned
from omniview.batch.figures_trust import predicted_dice, reliability_diagram, risk_curves
from omniview.batch.findings import find
from omniview.batch.gather import Gatherer
from omniview.batch.plots import Axes, Canvas, mark_of, number, ticks
from omniview.batch.series import Gathered
from tests.batch.conftest import PhantomRun
from tests.batch.made import gathered_of, record_of, row_of

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = (
    boxes,
    pairs,
    cohort_gains,
    area_agreement,
    predicted_dice,
    risk_curves,
    reliability_diagram,
)


def _parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own text


def _gathered(run: PhantomRun) -> Gathered:
    gatherer = Gatherer()
    for record in run.records:
        gatherer.add(record)
    return gatherer.finish()


@given(low=st.floats(-1e4, 1e4), width=st.floats(1e-3, 1e5))
def test_ticks_are_round_and_within(low: float, width: float) -> None:
    """Two to eleven ticks inside the range, evenly apart, of at most two significant steps."""
    found = ticks(low, low + width)
    slack = width * 1e-6
    assert 2 <= len(found) <= 11
    assert all(low - slack <= t <= low + width + slack for t in found)
    step = found[1] - found[0]
    assert np.allclose(np.diff(found), step)
    mantissa = step / 10 ** np.floor(np.log10(step * 1.0000001))
    assert min(abs(mantissa - m) for m in (1, 2, 5, 10)) < 1e-3


def test_ticks_of_nothing() -> None:
    """A range without width has one tick."""
    assert ticks(0.5, 0.5) == [0.5]


def test_numbers_have_a_real_minus() -> None:
    """No hyphens in front of numbers, no trailing zeros."""
    assert number(-0.5) == "\N{MINUS SIGN}0.5"
    assert number(20.0) == "20"


def test_values_become_places() -> None:
    """The corners of the range are the corners of the frame; what lies outside stays at its edge."""
    axes = Axes(Canvas("t", 100, 100), 10, 20, 80, 60, (0.0, 2.0), (-1.0, 1.0))
    assert (axes.at_x(0.0), axes.at_x(2.0), axes.at_x(9.0)) == (10, 90, 90)
    assert (axes.at_y(-1.0), axes.at_y(1.0), axes.at_y(-7.0)) == (80, 20, 80)
    assert axes.places(np.array([1.0, np.nan]), np.array([0.0, 0.0])) == [(50.0, 50.0)]


def test_words_are_escaped_and_named() -> None:
    """Markup in a label stays a label; the picture has a title and a description that it points to."""
    canvas = Canvas("one", 50, 50)
    canvas.text(1, 2, "<b> & co")
    root = _parsed(canvas.svg("A <title>", "Said & done"))
    assert root.get("role") == "img"
    ids = {element.get("id") for element in root.iter()}
    assert set((root.get("aria-labelledby") or "").split()) <= ids
    assert [element.text for element in root.iter(f"{SVG}text")] == ["<b> & co"]


def test_models_differ_without_colour() -> None:
    """Any two models differ in the shape of their points, and their greys are apart."""
    marks = [mark_of(model) for model in ("specialist", "omnimodel", "fused", "observer b")]
    assert len({mark.shape for mark in marks}) == len(marks)
    greys = sorted(
        sum(w * int(mark.colour[k : k + 2], 16) for w, k in ((0.299, 1), (0.587, 3), (0.114, 5)))
        for mark in marks[:3]
    )
    assert min(np.diff(greys)) > 30


@pytest.mark.parametrize("draw", FIGURES)
def test_every_figure_of_a_real_run_is_well_formed(phantom_run: PhantomRun, draw: object) -> None:
    """It parses, stays inside its frame, refers to nothing outside, and its caption says n."""
    assert callable(draw)
    figure = draw(find(_gathered(phantom_run)))
    assert isinstance(figure, Figure)
    root = _parsed(figure.svg)
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    for used in root.iter(f"{SVG}use"):
        assert 0 <= float(used.get("x") or -1) <= width
        assert 0 <= float(used.get("y") or -1) <= height
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.get("x") or -1) <= width
        assert 0 <= float(element.get("y") or -1) <= height
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", figure.svg)
    assert "nan" not in figure.svg
    assert figure.svg == draw(find(_gathered(phantom_run))).svg


def test_figures_of_nothing_are_none() -> None:
    """Without cases there is nothing to draw."""
    empty = find(Gatherer().finish())
    assert [draw(empty) for draw in FIGURES] == [None] * len(FIGURES)


def test_extreme_values_are_drawn() -> None:
    """All equal, all 0, all 1, and one case alone."""
    for values in ([0.0] * 12, [1.0] * 12, [0.5]):
        found = find(
            gathered_of(
                {"specialist": values, "fused": values},
                quality=values,
                quality_low=values,
                quality_high=values,
            )
        )
        for draw in FIGURES:
            figure = draw(found)
            assert figure is None or "nan" not in figure.svg


def test_many_cases_are_thinned_and_it_is_said() -> None:
    """A panel holds so many points and no more, first and last among them."""
    values = np.arange(10 * MOST, dtype=np.float64)
    (kept,), words = thinned(values)
    assert (len(kept), kept[0], kept[-1]) == (MOST, 0, values[-1])
    assert f"{MOST:,} a panel" in words
    assert thinned(values[:10])[1] == ""


def test_boxes_say_that_points_are_left_out() -> None:
    """Of very many cases a box has fewer points than cases, and its caption says so."""
    few, many = (boxes(find(gathered_of({"fused": [0.5] * n}))) for n in (3, MOST + 1))
    assert few is not None
    assert many is not None
    assert "Not every case" not in few.caption
    assert "Not every case" in many.caption


def test_boxes_of_many_tasks_stay_readable() -> None:
    """Groups stand in several lines, so that none is shrunk: the picture gets higher, not wider."""
    gatherer = Gatherer()
    for task in ("polyp", "breast", "vessel", "nuclei"):
        name = f"case of {task}"
        gatherer.add(record_of(name, [row_of(name, m, 0.9, task=task) for m in ("specialist", "fused")]))
    figure = boxes(find(gatherer.finish()))
    assert figure is not None
    assert float(_parsed(figure.svg).attrib["width"]) <= 1000
    bold = re.findall(r'y="([0-9.]+)"[^>]*font-weight="600">(\w+)<', figure.svg)
    tops = {name: float(y) for y, name in bold}
    assert tops["vessel"] == tops["polyp"] > tops["all"] == tops["nuclei"]


@pytest.mark.parametrize("step", [0, 1, 30])
def test_limits_of_agreement_can_be_read(step: int) -> None:
    """However close the limits lie, their labels are a line of text apart, and have digits that differ."""
    masks = [500 + step * k for k in range(-6, 7)]
    gathered = gathered_of({"fused": [0.9] * 13}, area_px=masks, truth_area_px=[500] * 13)
    figure = area_agreement(find(gathered))
    assert figure is not None
    found = re.findall(r'y="([0-9.]+)" text-anchor="start"[^>]*>(.[0-9.]+)<', figure.svg)
    middle, lower, upper = (float(y) for y, _ in found)
    assert lower - middle >= 12 <= middle - upper
    assert len({label for _, label in found}) == (3 if step else 1)


def test_bland_and_altman_by_hand() -> None:
    """Differences 1, 2, 3 per cent: bias 2, limits 2 -+ 1.96, and t of two degrees of freedom."""
    gathered = gathered_of({"fused": [0.9] * 3}, area_px=[600, 700, 800], truth_area_px=[500, 500, 500])
    found = agreement(gathered.models["fused"])
    assert found is not None
    assert found.bias.value == pytest.approx(2.0)
    assert [found.upper.value, found.lower.value] == pytest.approx([3.96, 0.04])
    assert found.bias.high == pytest.approx(2.0 + 4.302653 / np.sqrt(3))
    assert found.upper.high == pytest.approx(3.96 + 4.302653)
    assert agreement(gathered_of({"fused": [0.9] * 2}).models["fused"]) is None

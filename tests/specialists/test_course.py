"""An image's way through a network can be cut between threads, and comes to the same as a plain loop."""

from __future__ import annotations

import threading
import tracemalloc
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniview.core.geometry import View
from omniview.core.image import Array, FloatArray, UInt8Array
from omniview.core.uncertainty import temper
from omniview.errors import InferenceError
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.tensors import prepare, to_nchw
from omniview.inference.worker import Ticket
from omniview.specialists.course import Course, bytes_ahead
from omniview.specialists.views import pooled
from tests.networks import write_specialist

SQUARE = {"geometry": "stretch", "size": [32, 32]}
OBLONG = {"geometry": "stretch", "size": [32, 48]}
TILES = {"geometry": "tile", "size": [32, 32], "overlap": 8}
VIEWS = tuple(View.parse(name) for name in ("identity", "hflip", "rot90", "scale0.85"))


@dataclass
class _Slope:
    """A network that sees brightness, and where a pixel lies, so that no view is like another."""

    batch: int = 3
    draws: int = 1
    gain: float = 8.0
    provider: str = "numpy"
    fallback: None = None
    variant: None = None
    ran: list[tuple[str, int, int]] = field(default_factory=list)
    """Thread, number of inputs and draw of each run."""
    given: list[weakref.ref[FloatArray]] = field(default_factory=list)
    """What each run was given, as long as somebody holds it."""

    def run(self, inputs: FloatArray, ticket: Ticket, draw: int = 0) -> Sequence[Array]:
        ticket.check()
        self.given.append(weakref.ref(inputs))
        self.ran.append((threading.current_thread().name, len(inputs), draw))
        across = np.linspace(-1, 1, inputs.shape[3], dtype=np.float32)
        logits = self.gain * inputs.mean(axis=1, keepdims=True) + across + np.float32(draw % self.draws)
        return logits, inputs.mean(axis=(1, 2, 3))[:, None]


def _card(folder: Path, geometry: dict[str, Any]) -> SpecialistCard:
    card = read_card(write_specialist(folder, input=geometry))
    assert isinstance(card, SpecialistCard)
    return card


def _pixels(shape: tuple[int, int] = (70, 90)) -> UInt8Array:
    return np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize("geometry", [SQUARE, OBLONG, TILES])
@pytest.mark.parametrize("seconds", [None, 1e9])
def test_it_comes_to_the_same_as_a_plain_loop(
    tmp_path: Path, geometry: dict[str, Any], seconds: float | None
) -> None:
    """Whatever is run together, every view counts once; novelty is that of the first view."""
    card, network = _card(tmp_path, geometry), _Slope()
    card = card.model_copy(update={"output": card.output.model_copy(update={"temperature": 1.5})})
    prepared = prepare(_pixels(), card.input)
    views = VIEWS if geometry is not OBLONG else (VIEWS[0], VIEWS[1], VIEWS[3])
    course = Course(prepared, network, views, seconds, card)
    course.run(Ticket())
    seen, strange = course.end()

    maps = []
    for view in views:
        raw, _ = network.run(to_nchw(view.apply(prepared.inputs), prepared.spec), Ticket())
        maps.append(view.inverse(temper(raw, 1.5)))
    expected = pooled(maps)
    np.testing.assert_allclose(seen.mean, expected.mean, atol=1e-6)
    assert seen.spread is not None
    assert expected.spread is not None
    np.testing.assert_allclose(seen.spread, expected.spread, atol=1e-3)
    assert seen.samples == course.affordable == len(views)
    assert strange is not None
    first = to_nchw(prepared.inputs, prepared.spec).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(strange[:, 0], first, atol=1e-6)


def test_one_small_image_leaves_the_network_nothing_but_its_run(tmp_path: Path) -> None:
    """Begun, run and ended in three threads, in the second of which the network runs."""
    network, card = _Slope(batch=8), _card(tmp_path, SQUARE)
    prepared = prepare(_pixels(), card.input)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="before") as before,
        ThreadPoolExecutor(1, thread_name_prefix="network") as during,
        ThreadPoolExecutor(1, thread_name_prefix="after") as after,
    ):
        course = before.submit(Course, prepared, network, VIEWS, None, card).result()
        assert network.ran == []
        during.submit(course.run, Ticket()).result()
        assert network.ran == [("network_0", 4, 0)]
        assert after.submit(course.end).result()[0].samples == 4


@pytest.mark.parametrize("seconds", [None, 1e9])
@pytest.mark.parametrize("geometry", [SQUARE, TILES])
def test_every_run_of_a_network_with_dropout_is_another_draw(
    tmp_path: Path, geometry: dict[str, Any], seconds: float | None
) -> None:
    """Counted through all draws of all views."""
    network, card = _Slope(draws=2), _card(tmp_path, geometry)
    course = Course(prepare(_pixels(), card.input), network, VIEWS, seconds, card)
    course.run(Ticket())
    assert course.end()[0].samples == 2 * len(VIEWS)
    assert [draw for _, _, draw in network.ran] == list(range(len(network.ran)))


def test_without_time_there_is_one_view(tmp_path: Path) -> None:
    """The first one, however many could have followed."""
    network, card = _Slope(), _card(tmp_path, TILES)
    course = Course(prepare(_pixels(), card.input), network, VIEWS, 1e-9, card)
    course.run(Ticket())
    assert course.end()[0].samples == 1
    assert sum(inputs for _, inputs, _ in network.ran) == len(course.prepared.inputs)


def test_numbers_that_are_none_are_told_at_the_end(tmp_path: Path) -> None:
    """Of a single run, in the thread that makes sense of it."""
    card = _card(tmp_path, SQUARE)
    course = Course(prepare(_pixels(), card.input), _Slope(gain=float("nan")), VIEWS[:1], None, card)
    course.run(Ticket())
    with pytest.raises(InferenceError, match="not finite"):
        course.end()


@pytest.mark.parametrize("geometry", [SQUARE, TILES])
def test_what_waits_for_its_end_holds_no_input_any_more(tmp_path: Path, geometry: dict[str, Any]) -> None:
    """Neither of the last run nor of one before, since several images may wait."""
    network, card = _Slope(), _card(tmp_path, geometry)
    course = Course(prepare(_pixels(), card.input), network, VIEWS, None, card)
    course.run(Ticket())
    assert len(network.given) > 1
    assert [given() for given in network.given] == [None] * len(network.given)
    assert course.end()[0].samples == len(VIEWS)


@pytest.mark.parametrize("batch", [2, 8])
def test_what_waits_for_its_turn_is_no_larger_than_it_is_thought_to_be(tmp_path: Path, batch: int) -> None:
    """With one run for all views, the views themselves are let go of; otherwise they are counted."""
    network, card = _Slope(batch), _card(tmp_path, {"geometry": "stretch", "size": [256, 256]})
    prepared = prepare(_pixels(), card.input)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        course = Course(prepared, network, VIEWS, None, card)
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    one = prepared.inputs.nbytes
    expected = 4 * len(VIEWS) * one if batch == 8 else (4 * batch + len(VIEWS)) * one
    assert expected <= held < expected + one // 2
    assert expected <= bytes_ahead(prepared, network, VIEWS)
    course.run(Ticket())
    assert course.end()[0].samples == len(VIEWS)

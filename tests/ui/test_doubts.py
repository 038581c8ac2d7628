"""Going from one doubtful region to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPointF
from PyQt6.QtWidgets import QCheckBox

from omniview.core.doubt_regions import Claim, DoubtRegion
from omniview.core.fusion import fuse
from omniview.core.prediction import Prediction, Quality
from omniview.core.trust import Calibration, Margin, margin_sentence
from omniview.ui.doubts import Tour
from omniview.ui.frame import prepare
from omniview.ui.view import Layer
from tests.ui.conftest import Run
from tests.ui.parts import Desk

_FUSION = fuse((Prediction("a", "specialist", np.zeros((1, 2, 2), np.float32)),))


def _region(share: float, claim: Claim = Claim.NOBODY) -> DoubtRegion:
    return DoubtRegion((0, 0, 1, 1), (), share, 0.8, claim)


def _tour(desk: Desk) -> Tour:
    assert desk.now.tour is not None
    return desk.now.tour


def test_words_say_where_and_whose() -> None:
    """Position, size and owner are named; what is tiny is said to be."""
    tour = Tour(_FUSION, (_region(0.02), _region(0.008, Claim.OMNIMODEL), _region(0.0004, Claim.SPECIALIST)))
    assert tour.text() == "1 of 3 doubtful regions: 2.0 % of the image, unsure rather than disputed"
    tour = tour.step(1)
    assert tour.text() == "2 of 3 doubtful regions: 0.8 % of the image, mostly the omnimodel's"
    tour = tour.step(1)
    assert tour.text() == "3 of 3 doubtful regions: less than 0.1 % of the image, mostly the specialist's"
    assert tour.step(1).at == 0
    assert tour.step(-1).at == 1
    assert Tour(_FUSION, (_region(0.1),)).text().startswith("1 of 1 doubtful region: 10.0 %")


def test_nothing_doubtful_is_said_calmly() -> None:
    """Without regions there is a sentence and nowhere to go."""
    tour = Tour(_FUSION, ()).step(1)
    assert tour.region is None
    assert tour.text() == "No region stands out as doubtful"


def test_next_region_is_shown_outlined_and_named(run: Run, desk: Desk, blob: Path) -> None:
    """N moves the view to the weightiest region and says which it is; the cursor's values come before it."""

    async def work() -> None:
        window = desk.window
        keys = [
            window.actions_.action(name).shortcut().toString() for name in ("next_doubt", "previous_doubt")
        ]
        assert keys == ["N", "Shift+N"]
        assert not window.actions_.action("next_doubt").isEnabled()
        await desk.open(blob)
        before = desk.now.view
        window.actions_.trigger("next_doubt")
        await window.settle()
        tour = _tour(desk)
        assert tour.region is not None
        assert tour.at == 0
        top, left, bottom, right = tour.region.box
        seen = window.canvas.visible_rect()
        assert seen.contains(QPointF(left, top))
        assert seen.contains(QPointF(right, bottom))
        assert window.canvas.outlining
        assert window.readout.text() == tour.text()
        window.canvas.hovered.emit((3, 3))
        assert window.readout.text().startswith("x 3  y 3")
        window.canvas.hovered.emit(None)
        assert window.readout.text() == tour.text()
        window.actions_.trigger("previous_doubt")
        await window.settle()
        assert _tour(desk).at == len(tour.regions) - 1
        assert desk.now.view == before  # layers and grey window are left as they were

    run(work())


def test_shift_first_begins_at_the_end(run: Run, desk: Desk, blob: Path) -> None:
    """Who begins backwards sees the least of the regions, and another image forgets them all."""

    async def work() -> None:
        await desk.open(blob)
        desk.window.actions_.trigger("previous_doubt")
        await desk.window.settle()
        assert _tour(desk).at == len(_tour(desk).regions) - 1
        desk.window.open_sample("nuclei-phantom")
        await desk.window.settle()
        assert desk.now.tour is None
        assert not desk.window.canvas.outlining
        assert desk.window.readout.text() == ""

    run(work())


def test_new_result_ends_the_tour(run: Run, desk: Desk, blob: Path) -> None:
    """Regions of an older result are named and outlined no more, and are looked for anew."""

    async def work() -> None:
        await desk.open(blob)
        desk.window.actions_.trigger("next_doubt")
        await desk.window.settle()
        first = _tour(desk)
        desk.window.choosers.omnimodel_chosen.emit("none")
        await desk.window.settle()
        assert not desk.window.canvas.outlining
        assert desk.window.readout.text() == ""
        desk.window.actions_.trigger("next_doubt")
        await desk.window.settle()
        assert _tour(desk) is not first
        assert _tour(desk).of(desk.case)

    run(work())


def test_outline_lasts_a_moment(run: Run, desk: Desk, blob: Path) -> None:
    """After a while the region's outline is gone, so that it hides nothing; the view stays."""

    async def work() -> None:
        await desk.open(blob)
        desk.window.actions_.trigger("next_doubt")
        await desk.window.touring.settle()
        seen = desk.window.canvas.visible_rect()
        shown = [desk.window.canvas.outlining]
        desk.window.canvas._region._timer.timeout.emit()
        assert [*shown, desk.window.canvas.outlining] == [True, False]
        assert desk.window.canvas.visible_rect() == seen
        await desk.window.settle()

    run(work())


@pytest.mark.parametrize("box", [(0, 0, 10, 8), (60, 80, 70, 90), (0, 0, 70, 90), (30, 40, 31, 41)])
def test_view_shows_the_box_and_no_more_outside_than_it_must(
    run: Run, desk: Desk, blob: Path, box: tuple[int, int, int, int]
) -> None:
    """A box at the edge of the image is looked at from inside; a tiny one not from too near."""

    async def work() -> None:
        await desk.open(blob)
        desk.window.canvas.look_at(box)
        seen = desk.window.canvas.visible_rect()
        assert seen.left() <= box[1] + 0.01
        assert seen.right() >= box[3] - 0.01
        assert seen.top() <= box[0] + 0.01
        assert seen.bottom() >= box[2] - 0.01
        assert min(seen.width(), seen.height()) >= 90 / 4 - 0.01
        if seen.width() < 90:
            assert seen.left() >= -0.01
            assert seen.right() <= 90.01
        await desk.window.settle()

    run(work())


def test_predicted_dice_of_all_three(run: Run, desk: Desk, blob: Path) -> None:
    """Specialist, omnimodel and fused mask have a predicted Dice with its interval, or n/a."""

    async def work() -> None:
        await desk.open(blob)
        fusion = desk.case.fusion
        assert fusion is not None
        assert fusion.quality is not None
        said = desk.window.quality.texts()
        for layer, quality in (
            (Layer.SPECIALIST, Quality(0.88, 0.72, 0.95)),
            (Layer.OMNIMODEL, Quality(0.4, 0.1, 0.7)),
            (Layer.FUSED, fusion.quality),
        ):
            assert f"{quality.value:.2f}" in said[layer]
            assert f"between {quality.low:.2f} and {quality.high:.2f}" in said[layer]
        for part in desk.models.parts:
            part.quality = None
        desk.window.choosers.omnimodel_chosen.emit("none")
        await desk.window.settle()
        said = desk.window.quality.texts()
        assert "n/a" in said[Layer.SPECIALIST]
        assert "n/a" in said[Layer.FUSED]
        assert "no mask" in said[Layer.OMNIMODEL]

    run(work())


def test_margin_says_what_it_promises(run: Run, desk: Desk, blob: Path) -> None:
    """While the margin is seen its sentence is read; its switch always explains, also that there is none."""
    promise = Margin(0.2, 0.8, 0.1)

    async def work() -> None:
        window = desk.window
        await desk.open(blob)
        (switch,) = (box for box in window.layers.findChildren(QCheckBox) if box.text() == "Margin")
        assert "None was calibrated" in switch.toolTip()
        fusion = fuse(desk.case.predictions, Calibration(margin=promise))
        case = replace(desk.case, fusion=replace(fusion, notes=("Fused with care.",)))
        assert desk.now.frame is not None
        desk.window.session.update(case=case, frame=prepare(case, desk.now.frame))
        assert margin_sentence(promise) in switch.toolTip()
        assert window.quality.remarks() == "Fused with care."
        window.layers.toggled.emit(Layer.MARGIN, True)
        said = window.quality.remarks().replace("\N{NO-BREAK SPACE}", " ")
        assert said.endswith(margin_sentence(promise))
        await window.settle()

    run(work())


def test_a_picture_beyond_the_training_is_pointed_out(run: Run, desk: Desk, blob: Path) -> None:
    """Beyond the limit the panel says whose mask not to rely on; within it, nothing."""

    async def work() -> None:
        window = desk.window
        await desk.open(blob)
        assert desk.now.frame is not None
        for novelty, said in ((0.9, False), (1.7, True)):
            strange = tuple(replace(p, novelty=novelty) for p in desk.case.predictions)
            case = replace(desk.case, predictions=strange)
            window.session.update(case=case, frame=prepare(case, desk.now.frame))
            expected = f"Unlike the images that {strange[0].model} was trained on"
            assert (expected in window.quality.remarks()) is said
        await window.settle()

    run(work())

"""SAM-family pairs: small real networks with the published signatures, of all four families."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniview.analyse import analyse
from omniview.core.guidance import Guidance
from omniview.core.image import BoolArray, Image, Modality
from omniview.core.prediction import Prediction
from omniview.core.segmenter import Segmenter, needs_evidence
from omniview.core.task import TASKS, Task
from omniview.errors import InferenceError, OmnimodelError, WeightsError
from omniview.inference.card import read_card
from omniview.inference.sam_card import SamCard
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.sam import SamSegmenter
from omniview.omnimodel.sam_prompts import MOST_OBJECTS
from tests.fakes import OtsuSegmenter
from tests.omnimodel.sam_pairs import FAMILIES, FRAME, RADIUS, write_decoder, write_encoder, write_pair

POLYP = TASKS["polyp"]
LANDSCAPE, PORTRAIT = (433, 700), (650, 401)


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    """An inference thread that is gone afterwards."""
    thread = InferenceThread()
    yield thread
    thread.close()


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Each of the four."""
    return str(request.param)


def sam(folder: Path, thread: InferenceThread, family: str, **changes: Any) -> SamSegmenter:
    """A pair, ready to run."""
    card = read_card(write_pair(folder, family, **changes))
    assert isinstance(card, SamCard)
    return SamSegmenter(card, thread, device="cpu", threads=1)


def dark(shape: tuple[int, int]) -> Image:
    """A picture in which no pixel is bright."""
    return Image(np.full((*shape, 3), 30, np.uint8))


def centre(prediction: Prediction) -> tuple[float, float]:
    """(row, column) of the mask's centre of gravity."""
    row, column = np.nonzero(prediction.mask[0])
    return float(row.mean()), float(column.mean())


def said(prediction: Prediction) -> str:
    """The notes in one line."""
    return " ".join(prediction.provenance.notes)


@pytest.mark.parametrize("shape", [LANDSCAPE, PORTRAIT])
async def test_a_click_outlines_what_is_under_it(
    tmp_path: Path, thread: InferenceThread, family: str, shape: tuple[int, int]
) -> None:
    """The disc's centre is the clicked pixel's, to a fifth of a pixel; its size is the best candidate's."""
    model = sam(tmp_path, thread, family)
    assert isinstance(model, Segmenter)
    click = (301.0, 350.0)
    prediction = await model.segment_prompted(dark(shape), POLYP, Guidance(positive=(click,)))
    assert prediction.probability.shape == (1, *shape)
    assert centre(prediction) == pytest.approx(click, abs=0.2)
    scale = max(shape) ** 2 if family in ("sam", "mobile") else shape[0] * shape[1]
    assert prediction.mask.sum() == pytest.approx(np.pi * RADIUS**2 * scale / FRAME**2, rel=0.02)
    assert prediction.probability[0, 301, 350] > 0.99
    assert "predicted IoU 0.90" in said(prediction)
    assert prediction.quality is None
    assert prediction.provenance.provider == "CPUExecutionProvider"
    assert (prediction.provenance.model_version, prediction.role) == ("3", "omnimodel")


@pytest.mark.parametrize("shape", [LANDSCAPE, PORTRAIT])
async def test_a_box_is_taken_edge_to_edge(
    tmp_path: Path, thread: InferenceThread, family: str, shape: tuple[int, int]
) -> None:
    """On a bright picture the mask is the box, to half a pixel; what hangs over the image is cut."""
    model = sam(tmp_path, thread, family)
    bright = Image(np.full((*shape, 3), 220, np.uint8))
    expected = np.zeros(shape, bool)
    expected[100:250, 200:] = True
    prediction = await model.segment_prompted(bright, POLYP, Guidance(box=(100, 200, 250, 5000)))
    wrong = np.argwhere(prediction.mask[0] != expected)
    rim = np.minimum(abs(wrong[:, 0] - 99.5), abs(wrong[:, 0] - 249.5)) <= 0.5
    assert (rim | (abs(wrong[:, 1] - 199.5) <= 0.5) | (wrong[:, 1] == shape[1] - 1)).all()
    assert len(wrong) < 0.05 * expected.sum()


async def test_pixels_are_normalised_as_the_family_does(
    tmp_path: Path, thread: InferenceThread, family: str
) -> None:
    """What is just brighter than half is told from what is just darker, with no shift of brightness."""
    model = sam(tmp_path, thread, family)
    pixels = np.full((512, 512, 3), (100, 120, 140), np.uint8)
    pixels[:, 256:] = (115, 135, 155)
    seen = await model.segment_prompted(Image(pixels), POLYP, Guidance(box=(0, 0, 512, 512)))
    # a step between two cells of the features is smeared over the cells beside it
    assert not seen.mask[0, 8:-8, :248].any()
    assert seen.mask[0, 8:-8, 264:-8].all()


async def test_the_card_says_what_a_pixel_is(tmp_path: Path, thread: InferenceThread) -> None:
    """An encoder of EfficientSAM's kind that takes bytes sees far too dark a picture when given fractions."""
    bright = Image(np.full((512, 512, 3), 220, np.uint8))
    asked = Guidance(box=(0, 0, 512, 512))
    fractions = await sam(tmp_path / "a", thread, "mobile", pixels="unit").segment_prompted(
        bright, POLYP, asked
    )
    own = await sam(tmp_path / "b", thread, "mobile", pixels="bytes").segment_prompted(bright, POLYP, asked)
    assert not fractions.mask.any()
    assert own.mask[0, 8:-8, 8:-8].all()


async def test_a_negative_click_takes_away(tmp_path: Path, thread: InferenceThread, family: str) -> None:
    """Where the family knows negative clicks; EfficientSAM does not, and that is said."""
    model = sam(tmp_path, thread, family)
    shown = Guidance(positive=((200, 300),), negative=((200, 310),))
    prediction = await model.segment_prompted(dark(LANDSCAPE), POLYP, shown)
    assert prediction.mask[0, 200, 292]
    assert prediction.mask[0, 200, 310] == (family == "efficient")
    assert ("negative" in said(prediction)) == (family == "efficient")


async def test_an_earlier_mask_is_taken_up(tmp_path: Path, thread: InferenceThread, family: str) -> None:
    """As low-resolution log-odds in the image's place; EfficientSAM has no input for it."""
    model = sam(tmp_path, thread, family)
    prior = np.zeros(LANDSCAPE, np.float32)
    prior[100:200, 300:500] = 1
    shown = Guidance(positive=((400, 50),), prior=prior)
    mask = (await model.segment_prompted(dark(LANDSCAPE), POLYP, shown)).mask[0]
    assert mask[400, 50]
    if family == "efficient":
        assert not mask[100:200, 300:500].any()
    else:
        assert (mask[60:240, 260:540] != (prior[60:240, 260:540] > 0.5)).mean() < 0.02


def blobs(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> tuple[Image, BoolArray]:
    """Bright rectangles (top, left, bottom, right) in a dark picture, and their mask."""
    mask = np.zeros(shape, bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    pixels = np.where(mask[..., None], 220, 30).astype(np.uint8)
    return Image(np.repeat(pixels, 3, axis=2)), mask


async def test_the_specialists_mask_is_outlined_object_by_object(
    tmp_path: Path, thread: InferenceThread, family: str
) -> None:
    """In an analysis it gets the specialist's mask and finds both objects again; the notes tell of it."""
    image, mask = blobs((400, 640), (50, 60, 150, 200), (220, 380, 330, 560))
    model = sam(tmp_path, thread, family)
    assert needs_evidence(model)
    case = await analyse(image, POLYP, [OtsuSegmenter("own"), model])
    prediction = case.prediction("omnimodel")
    assert prediction is not None
    overlap = (prediction.mask[0] & mask).sum() / (prediction.mask[0] | mask).sum()
    assert overlap > 0.9
    assert "shown the mask of own (2 object(s)), so agreeing with it proves nothing" in said(prediction)


async def test_objects_beyond_the_bound_are_left_out_and_counted(
    tmp_path: Path, thread: InferenceThread
) -> None:
    """Each object costs a run, so the largest are taken."""
    boxes = [(20 * r, 20 * c, 20 * r + 8, 20 * c + 8) for r in range(9) for c in range(8)]
    image, mask = blobs((200, 200), *boxes)
    evidence = Prediction("own", "specialist", mask[None].astype(np.float32))
    prediction = await sam(tmp_path, thread, "sam2").segment(image, POLYP, evidence)
    assert f"({MOST_OBJECTS} object(s))" in said(prediction)
    assert f"{len(boxes) - MOST_OBJECTS} smaller object(s) left out" in said(prediction)


async def test_each_label_is_outlined_for_itself(tmp_path: Path, thread: InferenceThread) -> None:
    """Two labels give two maps; a label that was not found stays empty."""
    image, mask = blobs((200, 300), (50, 60, 150, 200))
    two = Task("two", Modality.ENDOSCOPY, ("one", "other"), "both")
    evidence = Prediction("own", "specialist", np.stack([mask, ~mask & mask]).astype(np.float32))
    model = sam(tmp_path, thread, "sam")
    prediction = await model.segment(image, two, evidence)
    assert prediction.mask[0].any()
    assert not prediction.mask[1].any()
    with pytest.raises(InferenceError, match="one, other"):
        await model.segment_prompted(image, two, Guidance(positive=((100, 100),)))


async def test_with_nothing_to_go_by_it_says_so(tmp_path: Path, thread: InferenceThread) -> None:
    """No evidence, evidence without a mask and no prompt are told apart from an answer that found nothing."""
    model = sam(tmp_path, thread, "sam")
    empty = Prediction("own", "specialist", np.zeros((1, *LANDSCAPE), np.float32))
    with pytest.raises(OmnimodelError, match="shown nothing") as caught:
        await model.segment(dark(LANDSCAPE), POLYP)
    assert "a click or a box" in caught.value.next_step
    with pytest.raises(OmnimodelError, match="own found nothing"):
        await model.segment(dark(LANDSCAPE), POLYP, empty)
    with pytest.raises(OmnimodelError, match="shown nothing"):
        await model.segment_prompted(dark(LANDSCAPE), POLYP, Guidance())
    efficient = sam(tmp_path / "e", thread, "efficient")
    with pytest.raises(OmnimodelError, match="no negative clicks"):
        await efficient.segment_prompted(dark(LANDSCAPE), POLYP, Guidance(negative=((1, 1),)))


async def test_the_image_is_encoded_once(tmp_path: Path, thread: InferenceThread, family: str) -> None:
    """Further prompts use what is kept, also of an equal image; the memory is bounded and let go of."""
    model = sam(tmp_path, thread, family)
    await model.segment_prompted(dark(LANDSCAPE), POLYP, Guidance(positive=((1, 1),)))
    kept = dict(model._seen)
    await model.segment_prompted(dark(LANDSCAPE), POLYP, Guidance(positive=((9, 9),)))
    assert {k: id(v) for k, v in model._seen.items()} == {k: id(v) for k, v in kept.items()}
    for shade in range(6):
        image = Image(np.full((90, 90, 3), shade, np.uint8))
        await model.segment_prompted(image, POLYP, Guidance(positive=((1, 1),)))
    assert len(model._seen) == 4
    await model.close()
    await model.close()
    assert not model._seen


async def test_efficient_sam_is_given_six_points_and_no_more(tmp_path: Path, thread: InferenceThread) -> None:
    """Its decoder would drop the last in silence: the first are left out instead, and that is said."""
    clicks = tuple((200.0, 60.0 * n) for n in range(1, 9))
    prediction = await sam(tmp_path, thread, "efficient").segment_prompted(
        dark(LANDSCAPE), POLYP, Guidance(positive=clicks)
    )
    assert [bool(prediction.mask[0, 200, 60 * n]) for n in range(1, 9)] == [False] * 2 + [True] * 6
    assert "2 click(s) beyond the 6 points" in said(prediction)


async def test_a_fixed_number_of_points_is_filled(tmp_path: Path, thread: InferenceThread) -> None:
    """Exports with a fixed number of points get the rest as padding, which marks nothing."""
    write_decoder(tmp_path / "d.onnx", "sam", points=5)
    shown = Guidance(positive=((200, 300),))
    prediction = await sam(tmp_path, thread, "sam").segment_prompted(dark(LANDSCAPE), POLYP, shown)
    assert centre(prediction) == pytest.approx((200, 300), abs=0.2)


@pytest.mark.parametrize("shape", [LANDSCAPE, PORTRAIT])
async def test_masks_without_a_low_resolution(
    tmp_path: Path, thread: InferenceThread, shape: tuple[int, int]
) -> None:
    """A decoder that gives only finished masks is asked for them at the frame's scale."""
    write_decoder(tmp_path / "d.onnx", "sam", low=False)
    shown = Guidance(positive=((200, 300),))
    prediction = await sam(tmp_path, thread, "sam").segment_prompted(dark(shape), POLYP, shown)
    assert centre(prediction) == pytest.approx((200, 300), abs=0.2)


async def test_a_decoder_frozen_to_one_image_is_refused(tmp_path: Path, thread: InferenceThread) -> None:
    """A careless export crops every mask for the image that it was traced with: that would shift it."""
    write_decoder(tmp_path / "d.onnx", "sam", low=False, frozen=(1500, 2250))
    with pytest.raises(InferenceError, match="one shape of image"):
        await sam(tmp_path, thread, "sam").segment_prompted(
            dark(LANDSCAPE), POLYP, Guidance(positive=((1, 1),))
        )


@pytest.mark.parametrize(
    ("encoder", "decoder", "reason"),
    [
        ({"family": "sam"}, {"family": "sam2"}, "the encoder gives image_embeddings, the decoder takes"),
        ({"family": "sam2"}, {"family": "sam"}, "the encoder gives high_res_feats_0"),
        ({"family": "efficient"}, {"family": "sam"}, "input batched_images is not"),
        ({"family": "sam"}, {"family": "efficient"}, "decoder is of EfficientSAM"),
        ({"family": "sam", "flat": True}, {"family": "sam"}, "not (1,3,Y,X) or (Y,X,3)"),
        ({"family": "sam"}, {"family": "sam", "points": 1}, "a single point"),
    ],
)
async def test_halves_of_different_exports_are_refused(
    tmp_path: Path, thread: InferenceThread, encoder: dict[str, Any], decoder: dict[str, Any], reason: str
) -> None:
    """By their inputs' names and shapes, with the reason, before anything is run."""
    write_encoder(tmp_path / "e.onnx", **encoder)
    write_decoder(tmp_path / "d.onnx", **decoder)
    with pytest.raises(WeightsError) as caught:
        await sam(tmp_path, thread, "sam").segment_prompted(
            dark(LANDSCAPE), POLYP, Guidance(positive=((1, 1),))
        )
    assert reason in caught.value.message


async def test_networks_of_another_kind_are_refused(tmp_path: Path, thread: InferenceThread) -> None:
    """Two halves of the built-in generalist, and a pair the wrong way round."""
    from tests.omnimodel.generalist import write_generalist

    write_generalist(tmp_path)
    shown = Guidance(positive=((1, 1),))
    with pytest.raises(WeightsError, match="asks for coarse, fine, prompts, task"):
        await sam(tmp_path, thread, "sam").segment_prompted(dark(LANDSCAPE), POLYP, shown)
    write_encoder(tmp_path / "turned" / "d.onnx", "sam")
    write_decoder(tmp_path / "turned" / "e.onnx", "sam")
    with pytest.raises(WeightsError, match="asks for input_image"):
        await sam(tmp_path / "turned", thread, "sam").segment_prompted(dark(LANDSCAPE), POLYP, shown)


async def test_changed_weights_are_refused(tmp_path: Path, thread: InferenceThread) -> None:
    """Only the very files that the card names are run."""
    model = sam(tmp_path, thread, "sam", decoder_sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"d\.onnx"):
        await model.segment_prompted(dark(LANDSCAPE), POLYP, Guidance(positive=((1, 1),)))

"""The built-in generalist on tiny real networks: views, tasks, prompts, memory, cancelling, errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniview.core.geometry import letterbox
from omniview.core.image import Image
from omniview.core.segmenter import Segmenter
from omniview.core.task import TASKS
from omniview.errors import CardError, InferenceError, WeightsError
from omniview.inference.card import GeneralistCard, read_card
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.promptable import BuiltinGeneralist, Guidance
from tests.omnimodel.generalist import SIZE, write_generalist

POLYP, VESSEL = TASKS["polyp"], TASKS["vessel"]


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    """An inference thread that is gone afterwards."""
    thread = InferenceThread()
    yield thread
    thread.close()


def generalist(folder: Path, thread: InferenceThread, **changes: Any) -> BuiltinGeneralist:
    """The tiny generalist, ready to run."""
    card = read_card(write_generalist(folder, **changes))
    assert isinstance(card, GeneralistCard)
    return BuiltinGeneralist(card, thread, device="cpu", threads=1)


@pytest.fixture
def image() -> Image:
    """A bright rectangle, off the centre, in a picture twice as wide as high."""
    pixels = np.full((64, 128, 3), 20, np.uint8)
    pixels[8:32, 16:72] = 235
    return Image(pixels)


async def test_without_prompts_it_is_a_segmenter(
    tmp_path: Path, thread: InferenceThread, image: Image
) -> None:
    """Mask at the image's own size, spread, quality, and a record of what ran; labelled as what it is."""
    model = generalist(tmp_path, thread)
    assert isinstance(model, Segmenter)
    assert "stand-in" in model.name
    prediction = await model.segment(image, POLYP)
    expected = image.pixels[..., 0] > 127
    assert (prediction.mask[0] != expected).sum() <= 4  # resampling rounds the corners
    assert prediction.role == "omnimodel"
    assert prediction.spread is not None
    assert prediction.spread.max() < 1e-5
    assert prediction.quality is not None
    assert prediction.quality.value > 0.7
    provenance = prediction.provenance
    assert (provenance.model_id, provenance.model_version, provenance.views) == ("tiny-generalist", "7", 2)
    assert provenance.provider == "CPUExecutionProvider"
    assert len((provenance.weights_sha256 or "").split()) == 2
    await model.close()
    await model.close()


async def test_each_task_has_its_own_place_and_calibration(
    tmp_path: Path, thread: InferenceThread, image: Image
) -> None:
    """The one-hot follows the card's order; temperature belongs to the task; no table, no quality."""
    model = generalist(tmp_path, thread)
    prediction = await model.segment(image, VESSEL)
    assert (prediction.mask[0] != (image.pixels[..., 0] < 127)).sum() <= 4
    assert prediction.quality is None
    # logit -20 * (20/255 - 0.5) = 8.43, cooled by 2
    assert prediction.probability[0, 60, 120] == pytest.approx(1 / (1 + np.exp(-8.431 / 2)), abs=1e-3)


async def test_a_task_may_be_looked_at_from_more_sides_and_judged_by_a_head(
    tmp_path: Path, thread: InferenceThread, image: Image
) -> None:
    """Views of a task take the card's place for it alone; a quality head weighs more than the confidence."""
    head = {"names": ["nothing", "steadiness"], "weights": [-9.0, 1.0], "bias": 1.0, "usual": [0.0, 1.0]}
    judged = {"confidence": [0.0, 1.0], "dice": [0.0, 1.0], "half_width": 0.2, "head": head}
    tasks = {"polyp": {"views": {"names": ["identity", "rot90", "vflip"]}, "quality": judged}, "vessel": {}}
    model = generalist(tmp_path, thread, tasks=tasks)
    seen = await model.segment(image, POLYP)
    assert seen.provenance.views == 3
    assert (await model.segment(image, VESSEL)).provenance.views == 2
    assert seen.quality is not None
    # all views of this network agree but at corners: steadiness is nearly 1, the head's score sigmoid(1 + 1)
    assert seen.quality.value == pytest.approx(1 / (1 + np.exp(-2.0)), abs=0.05)
    nothing = await model.segment(Image(np.full((64, 128, 3), 20, np.uint8)), POLYP)
    assert nothing.quality is not None
    assert nothing.quality.value < 0.01


async def test_clicks_change_the_mask_where_they_are(
    tmp_path: Path, thread: InferenceThread, image: Image
) -> None:
    """A positive click adds, a negative one takes away, in image pixels, in both views alike."""
    model = generalist(tmp_path, thread)
    guidance = Guidance(positive=((50.0, 100.0),), negative=((20.0, 30.0),))
    prediction = await model.segment_prompted(image, POLYP, guidance)
    assert prediction.mask[0, 50, 100]
    assert not prediction.mask[0, 20, 30]
    assert prediction.mask[0, 20, 60]
    assert not prediction.mask[0, 50, 30]
    assert prediction.quality is None
    assert prediction.spread is not None
    assert prediction.spread.max() < 1e-4


async def test_box_and_prior_change_the_mask(tmp_path: Path, thread: InferenceThread, image: Image) -> None:
    """Outside of the box nothing is left; a prior is taken up."""
    model = generalist(tmp_path, thread)
    boxed = await model.segment_prompted(image, POLYP, Guidance(box=(8, 40, 64, 200)))
    np.testing.assert_array_equal(boxed.mask[0, :, :40], False)
    assert boxed.mask[0, 20, 60]
    prior = np.zeros(image.shape, np.float32)
    prior[40:60, 80:120] = 1
    taken = await model.segment_prompted(image, POLYP, Guidance(prior=prior))
    assert taken.mask[0, 42:58, 84:116].all()
    with pytest.raises(ValueError, match=r"Guidance\.prior must be"):
        await model.segment_prompted(image, POLYP, Guidance(prior=prior[:9]))


async def test_prompts_go_to_the_click_network(tmp_path: Path, thread: InferenceThread, image: Image) -> None:
    """Unprompted the halves answer; with prompts the third network, from the prior or the halves' answer."""
    model = generalist(tmp_path, thread, third=True, click_views=["identity"])
    bright = image.pixels[..., 0] > 127
    alone = await model.segment(image, POLYP)
    assert (alone.mask[0] != bright).sum() <= 4
    spot = ((20.0, 40.0),)
    told = await model.segment_prompted(image, POLYP, Guidance(positive=spot))
    assert (told.mask[0] != bright).sum() < 0.1 * bright.sum()  # what the halves had found went in as prior
    blank = np.zeros(image.shape, np.float32)
    small = await model.segment_prompted(image, POLYP, Guidance(positive=spot, prior=blank))
    assert small.mask[0, 20, 40]
    assert small.mask.sum() < 0.2 * bright.sum()
    assert small.quality is None
    assert (alone.provenance.views, small.provenance.views) == (2, 1)
    assert len((small.provenance.weights_sha256 or "").split()) == 3
    assert small.spread is not None
    assert small.spread.shape == small.probability.shape


async def test_the_closer_look_is_finer(tmp_path: Path, thread: InferenceThread) -> None:
    """A small thing is seen again, close up, by the task that asks for it: its edge comes out sharper."""
    pixels = np.full((256, 256, 3), 10, np.uint8)
    pixels[101:124, 141:166] = 245
    image, truth = Image(pixels), pixels[..., 0] > 127
    model = generalist(tmp_path, thread, third=True)
    prior = np.zeros(image.shape, np.float32)
    prior[80:150, 120:190] = 1
    wrong = {}
    for task in (POLYP, VESSEL):
        answer = await model.segment_prompted(image, task, Guidance(prior=prior))
        wrong[task.name] = int((answer.mask[0] != truth).sum())
    assert wrong["polyp"] < 80
    assert wrong["polyp"] < 0.6 * wrong["vessel"]


async def test_a_click_is_obeyed_where_the_network_is_deaf(
    tmp_path: Path, thread: InferenceThread, image: Image
) -> None:
    """The clicked pixel is on the side that the click says; the rest stays as it was answered."""
    model = generalist(tmp_path, thread, third=True)
    prior = (image.pixels[..., 0] > 127).astype(np.float32)
    deaf = Guidance(positive=((12.0, 20.0), (50.0, 100.0)), negative=((20.0, 40.0),), prior=prior)
    mask = (await model.segment_prompted(image, VESSEL, deaf)).mask[0]
    assert not mask[20, 40]
    assert mask[12, 20]
    assert mask[50, 100]
    assert (mask != (prior > 0.5)).sum() < 60


async def test_a_task_may_stay_with_the_decoder(
    tmp_path: Path, thread: InferenceThread, image: Image
) -> None:
    """Where the card has no numbers for its prompted answers, both halves answer, and clicks are obeyed."""
    tasks = {"polyp": {"prompted": {"close": 1.5}}, "vessel": {}}
    model = generalist(tmp_path, thread, third=True, tasks=tasks)
    blank = np.zeros(image.shape, np.float32)
    told = Guidance(positive=((20.0, 40.0),), prior=blank)
    mask = (await model.segment_prompted(image, VESSEL, told)).mask[0]
    dark = image.pixels[..., 0] < 127
    assert mask[20, 40]
    assert not (dark & ~mask).any()
    assert (mask & ~dark).sum() < 0.1 * dark.size


async def test_a_click_network_of_another_kind_is_refused(
    tmp_path: Path, thread: InferenceThread, image: Image
) -> None:
    """It must take image, prompts and task."""
    card = read_card(write_generalist(tmp_path, third=True))
    assert isinstance(card, GeneralistCard)
    assert card.clicks is not None
    other = card.clicks.model_copy(update={"network": card.encoder, "sha256": card.encoder_sha256})
    model = BuiltinGeneralist(card.model_copy(update={"clicks": other}), thread, device="cpu", threads=1)
    with pytest.raises(WeightsError, match="click network"):
        await model.segment(image, POLYP)


async def test_the_image_is_encoded_once(tmp_path: Path, thread: InferenceThread, image: Image) -> None:
    """Further prompts and tasks use what is kept; other pixels do not; the memory is bounded."""
    model = generalist(tmp_path, thread)
    await model.segment(image, POLYP)
    assert model._networks is not None
    ((picture, views),) = model._seen.items()
    first = dict(views)
    assert set(first) == {"identity", "hflip"}
    await model.segment_prompted(image, VESSEL, Guidance(positive=((1.0, 1.0),)))
    await model.segment(Image(image.pixels.copy()), POLYP)
    assert {key: id(value) for key, value in model._seen[picture].items()} == {
        key: id(value) for key, value in first.items()
    }
    for shade in range(12):
        other = await model.segment(Image(np.full((64, 128, 3), 20 * shade, np.uint8)), POLYP)
        assert other.mask.any() == (20 * shade > 127)
    assert len(model._seen) == 8
    assert len(model._unprompted) == 8
    await model.close()
    assert not model._seen
    assert not model._unprompted


def test_prompts_are_drawn_where_training_draws_them() -> None:
    """The same maps as the simulated person of the training, on the letterboxed input."""
    from omniview.training.prompts import CLICK_SIGMA_PX, NEGATIVE, POSITIVE, add_clicks, no_prompt

    _, placement = letterbox(np.zeros((SIZE // 2, SIZE, 3), np.uint8), (SIZE, SIZE))
    expected = no_prompt(SIZE)
    add_clicks(expected, POSITIVE, [(8 + 3, 5), (8 + 12, 20)])
    add_clicks(expected, NEGATIVE, [(8 + 9, 30)])
    guidance = Guidance(positive=((3, 5), (12, 20)), negative=((9, 30),))
    drawn = guidance.maps(placement, CLICK_SIGMA_PX)
    np.testing.assert_allclose(drawn.transpose(2, 0, 1), expected, atol=1e-6)


def test_a_box_without_area_is_refused() -> None:
    """Guidance is checked where it is made; nothing shown is empty."""
    with pytest.raises(ValueError, match=r"Guidance\.box"):
        Guidance(box=(5, 5, 5, 9))
    with pytest.raises(ValueError, match=r"Guidance\.prior"):
        Guidance(prior=np.full((3, 3), 2, np.float32))
    assert Guidance().empty
    assert not Guidance(negative=((1, 1),)).empty


async def test_cancelling_stops_the_run(tmp_path: Path, thread: InferenceThread, image: Image) -> None:
    """A run that would take minutes ends, and the thread serves the next."""
    model = generalist(tmp_path / "endless", thread, endless=True)
    task = asyncio.create_task(model.segment(image, POLYP))
    await asyncio.sleep(0.3)  # under way by then as a rule; before that it must end as well
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await generalist(tmp_path / "quick", thread).segment(image, POLYP)).mask.any()


async def test_an_unknown_task_is_said(tmp_path: Path, thread: InferenceThread, image: Image) -> None:
    """It does not guess at what it was not trained for."""
    with pytest.raises(InferenceError, match="not trained for the task breast") as caught:
        await generalist(tmp_path, thread).segment(image, TASKS["breast"])
    assert "polyp, vessel" in caught.value.next_step


async def test_networks_of_two_trainings_are_refused(
    tmp_path: Path, thread: InferenceThread, image: Image
) -> None:
    """Encoder and decoder must speak of the same features."""
    card = read_card(write_generalist(tmp_path))
    assert isinstance(card, GeneralistCard)
    swapped = card.model_copy(update={"decoder": card.encoder, "decoder_sha256": card.encoder_sha256})
    with pytest.raises(WeightsError, match="do not fit"):
        await BuiltinGeneralist(swapped, thread, device="cpu", threads=1).segment(image, POLYP)


async def test_changed_weights_are_refused(tmp_path: Path, thread: InferenceThread, image: Image) -> None:
    """Only the very files that the card names are run."""
    model = generalist(tmp_path, thread, decoder_sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"d\.onnx"):
        await model.segment(image, POLYP)


def test_a_tiled_generalist_is_refused(tmp_path: Path, thread: InferenceThread) -> None:
    """One embedding stands for the whole image."""
    with pytest.raises(CardError, match="tile"):
        generalist(tmp_path, thread, input={"geometry": "tile", "size": [SIZE, SIZE]})

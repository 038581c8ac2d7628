"""A specialist gives calibrated maps at the image's own size and says what really ran."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniview.core.image import Image, Modality
from omniview.core.task import TASKS, Task
from omniview.errors import InferenceError, OmniViewError, WeightsError
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.cpu import dot_products
from omniview.inference.pair_card import identity
from omniview.inference.worker import InferenceThread
from omniview.specialists import carded
from omniview.specialists.course import Course, bytes_ahead
from omniview.specialists.onnx_specialist import OnnxSpecialist, batch_on_cpu
from omniview.training.eight_bits import to_int8
from tests.networks import write_card, write_convolutions, write_endless, write_specialist

POLYP = TASKS["polyp"]


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    """The inference thread, closed after the test."""
    one = InferenceThread()
    yield one
    one.close()


def _specialist(path: Path, thread: InferenceThread, **options: Any) -> OnnxSpecialist:
    card = read_card(path)
    assert isinstance(card, SpecialistCard)
    return OnnxSpecialist(card, thread, device="cpu", threads=1, **options)


def _half_bright(shape: tuple[int, int] = (50, 80)) -> Image:
    pixels = np.full((*shape, 3), 40, np.uint8)
    pixels[:, : shape[1] // 2] = 210
    return Image(pixels, modality=Modality.ENDOSCOPY, name="half")


@pytest.mark.parametrize(
    "geometry",
    [
        {"geometry": "stretch", "size": [32, 32]},
        {"geometry": "letterbox", "size": [32, 48]},
        {"geometry": "tile", "size": [32, 32], "overlap": 8},
    ],
)
async def test_the_mask_lies_where_the_image_is_bright(
    tmp_path: Path, thread: InferenceThread, geometry: dict[str, Any]
) -> None:
    """Whatever the geometry and the views, the mask is the bright half, and the views agree."""
    names = ["identity", "hflip", "vflip", "rot180"]
    specialist = _specialist(write_specialist(tmp_path, input=geometry, views={"names": names}), thread)
    prediction = await specialist.segment(_half_bright(), POLYP)
    assert prediction.mask.shape == (1, 50, 80)
    assert prediction.mask[0, :, :38].all()
    assert not prediction.mask[0, :, 42:].any()
    assert prediction.spread is not None
    assert prediction.spread[..., :36].max() < 0.02
    assert prediction.quality is not None
    provenance = prediction.provenance
    assert (provenance.provider, provenance.views) == ("CPUExecutionProvider", 4)
    assert provenance.weights_sha256 == specialist.card.sha256
    assert prediction.seconds > 0


async def test_one_view_has_no_spread_and_is_the_network_itself(
    tmp_path: Path, thread: InferenceThread
) -> None:
    """With the image at the network's size, the map is sigmoid(gain * (brightness - 0.5))."""
    specialist = _specialist(write_specialist(tmp_path), thread, views=1)
    pixels = np.linspace(0, 255, 32 * 32).astype(np.uint8).reshape(32, 32, 1).repeat(3, axis=2)
    prediction = await specialist.segment(Image(pixels), POLYP)
    expected = 1 / (1 + np.exp(-20 * (pixels[..., 0] / 255.0 - 0.5)))
    np.testing.assert_allclose(prediction.probability[0], expected, atol=1e-5)
    assert prediction.spread is not None
    assert prediction.spread.max() < 1e-3


@pytest.mark.parametrize(
    "geometry",
    [{"geometry": "stretch", "size": [32, 32]}, {"geometry": "tile", "size": [32, 32], "overlap": 8}],
)
async def test_it_does_not_matter_where_the_first_input_is_made(
    tmp_path: Path, thread: InferenceThread, geometry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the inference thread, as long as the network is not known or where it is large, or before."""
    names = ["identity", "hflip", "vflip", "rot180"]
    specialist = _specialist(write_specialist(tmp_path, input=geometry, views={"names": names}), thread)
    first, ahead = [await specialist.segment(_half_bright(), POLYP) for _ in range(2)]
    monkeypatch.setattr(carded, "_AHEAD", 0)
    late = await specialist.segment(_half_bright(), POLYP)
    assert first.provenance == ahead.provenance == late.provenance
    for other in (ahead, late):
        np.testing.assert_array_equal(other.probability, first.probability)


async def test_a_first_input_is_made_ahead_where_the_network_is_known_and_the_input_small(
    tmp_path: Path, thread: InferenceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before the network is loaded, not where views have a time, not where it is large."""
    path = write_specialist(tmp_path, views={"names": ["identity", "hflip", "vflip", "rot180"]})
    timed = _specialist(path, thread, view_seconds=1e9)
    specialist = _specialist(path, thread)
    image = _half_bright()
    assert specialist._prepared(image)[1] is None
    for one in (specialist, timed):
        await one.segment(image, POLYP)
    assert timed._prepared(image)[1] is None
    prepared, course = specialist._prepared(image)
    assert isinstance(course, Course)
    assert course.prepared is prepared
    needed = bytes_ahead(prepared, course.network, course._views)
    assert needed == 4 * prepared.inputs.nbytes * 5
    monkeypatch.setattr(carded, "_AHEAD", needed)
    assert specialist._prepared(image)[1] is not None
    monkeypatch.setattr(carded, "_AHEAD", needed - 1)
    assert specialist._prepared(image)[1] is None


async def test_the_cards_threshold_becomes_one_half(tmp_path: Path, thread: InferenceThread) -> None:
    """A pixel whose raw probability is the card's threshold ends at 0.5, and temperature keeps the order."""
    card = write_specialist(tmp_path, output={"threshold": 0.3, "temperature": 2.0})
    specialist = _specialist(card, thread, views=1)
    level = 0.5 + np.log(0.3 / 0.7) / 20  # brightness at which the network says 0.3
    pixels = np.full((32, 32, 3), round(level * 255), np.uint8)
    prediction = await specialist.segment(Image(pixels), POLYP)
    assert abs(float(prediction.probability.mean()) - 0.5) < 0.02


async def test_a_huge_image_is_seen_through_fewer_views_and_says_so(
    tmp_path: Path, thread: InferenceThread
) -> None:
    """Of four views, one is left where a single one already takes more runs than an image may."""
    tile = {"geometry": "tile", "size": [32, 32], "overlap": 0}
    names = ["identity", "hflip", "vflip", "rot180"]
    specialist = _specialist(write_specialist(tmp_path, input=tile, views={"names": names}), thread)
    prediction = await specialist.segment(_half_bright((320, 320)), POLYP)
    assert prediction.provenance.views == 1
    assert prediction.provenance.notes == ("a large image: 1 of 4 views",)


async def test_changed_weights_are_refused(tmp_path: Path, thread: InferenceThread) -> None:
    """A file that is not the card's is not run."""
    path = write_specialist(tmp_path)
    (tmp_path / "bright.onnx").write_bytes(b"something else")
    with pytest.raises(WeightsError):
        await _specialist(path, thread).segment(_half_bright(), POLYP)


async def test_a_wrong_number_of_labels_is_said(tmp_path: Path, thread: InferenceThread) -> None:
    """A network with one output cannot serve a task with two labels."""
    two = Task("two", Modality.ENDOSCOPY, ("a", "b"), "both")
    with pytest.raises(InferenceError, match=r"1 label.*2"):
        await _specialist(write_specialist(tmp_path), thread).segment(_half_bright(), two)


async def test_a_network_that_breaks_says_so(tmp_path: Path, thread: InferenceThread) -> None:
    """A channel count that contradicts the network ends in words, not in a traceback."""
    card = write_specialist(
        tmp_path, input={"geometry": "stretch", "size": [32, 32], "channels": 1, "mean": [0.0], "std": [1.0]}
    )
    with pytest.raises(OmniViewError) as caught:
        await _specialist(card, thread).segment(_half_bright(), POLYP)
    assert caught.value.next_step


async def test_cancelling_stops_the_network(tmp_path: Path, thread: InferenceThread) -> None:
    """A network that would run for minutes lets go of the thread when its task is cancelled."""
    write_endless(tmp_path / "endless.onnx")
    endless = _specialist(write_card(tmp_path, "endless"), thread, views=1)
    quick = _specialist(write_specialist(tmp_path), thread)
    task = asyncio.create_task(endless.segment(_half_bright(), POLYP))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await quick.segment(_half_bright(), POLYP)).mask.any()


async def test_eight_bits_run_by_themselves_and_are_said(tmp_path: Path, thread: InferenceThread) -> None:
    """Where the CPU is made for them; the record names the file that ran, and the one that was calibrated."""
    write_convolutions(tmp_path / "conv.onnx")
    inputs = np.random.default_rng(0).random((4, 1, 3, 32, 32), dtype=np.float32)
    eight = tmp_path / "conv.int8.onnx"
    to_int8(tmp_path / "conv.onnx", lambda: ({"image": one} for one in inputs), eight)
    digest = hashlib.sha256(eight.read_bytes()).hexdigest()
    about = {"dice_change": 0.0, "low": 0.0, "high": 0.0, "n": 9, "speedup": 2.0}
    path = write_card(tmp_path, "conv", int8={"weights": eight.name, "sha256": digest, **about})
    predictions = []
    for precision in ("auto", "fp32"):
        specialist = _specialist(path, thread, precision=precision)
        predictions.append(await specialist.segment(_half_bright(), POLYP))
    ran, full = (prediction.provenance for prediction in predictions)
    assert (full.variant, full.weights_sha256) == (None, specialist.card.sha256)
    if dot_products():
        assert (ran.variant, ran.weights_sha256, ran.variant_of) == ("int8", digest, specialist.card.sha256)
    difference = np.abs(predictions[0].probability - predictions[1].probability)
    assert difference.max() < 0.1
    assert identity(predictions[0]) == identity(predictions[1])


async def test_views_that_do_not_fit_into_the_time_are_left_out(
    tmp_path: Path, thread: InferenceThread
) -> None:
    """No time at all is enough for one view, and endless time for all; the record says how many."""
    card = write_specialist(tmp_path, views={"names": ["identity", "hflip", "vflip", "rot90"]})
    hasty = await _specialist(card, thread, view_seconds=1e-9).segment(_half_bright(), POLYP)
    assert hasty.provenance.views == 1
    assert hasty.provenance.notes == ("1e-09 s for views: 1 of 4 views",)
    patient = await _specialist(card, thread, view_seconds=1e9).segment(_half_bright(), POLYP)
    unhurried = await _specialist(card, thread).segment(_half_bright(), POLYP)
    assert (patient.provenance.views, patient.provenance.notes) == (4, ())
    np.testing.assert_allclose(patient.probability, unhurried.probability, atol=1e-6)


def test_large_inputs_run_one_by_one_on_a_cpu() -> None:
    """And small ones together."""
    assert [batch_on_cpu((side, side)) for side in (256, 544, 2048)] == [8, 1, 1]

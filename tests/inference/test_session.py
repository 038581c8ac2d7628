"""A session says where it really runs, and why a file cannot be loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from omniview.errors import InferenceError, WeightsError
from omniview.inference.session import CPU, gpu_may_run, open_session
from omniview.settings import Device
from tests.networks import write_brightness


def test_the_network_runs_and_names_its_provider(tmp_path: Path) -> None:
    """On the CPU there is no fallback to explain; the numbers are the network's."""
    write_brightness(tmp_path / "m.onnx", gain=2.0)
    session = open_session(tmp_path / "m.onnx", device="cpu", threads=1)
    assert (session.provider, session.fallback) == ("CPUExecutionProvider", None)
    assert list(session.inputs) == ["image"]
    assert session.outputs["logits"][1] == 1
    (logits,) = session.run({"image": np.full((2, 3, 4, 5), 0.75, np.float32)})
    np.testing.assert_allclose(logits, 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("device", "wanted"), [("cuda", "CUDAExecutionProvider"), ("tensorrt", "TensorrtExecutionProvider")]
)
def test_a_gpu_asked_for_is_taken_or_there_is_a_reason(tmp_path: Path, device: Device, wanted: str) -> None:
    """Asked for CUDA or TensorRT, the session runs there or says why it does not; automatically it runs."""
    write_brightness(tmp_path / "m.onnx")
    session = open_session(tmp_path / "m.onnx", device=device, threads=1, steady=True)
    assert (session.provider == wanted) == (session.fallback is None)
    for side in (4, 5, 4):
        (logits,) = session.run({"image": np.full((1, 3, side, side), 0.75, np.float32)})
        np.testing.assert_allclose(logits, 5.0, rtol=1e-3)
    assert gpu_may_run(device) or session.provider == CPU


def test_a_broken_file_is_a_weights_error(tmp_path: Path) -> None:
    """Neither garbage nor a missing file ends in ONNX Runtime's own exception."""
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    for name in ("m.onnx", "absent.onnx"):
        with pytest.raises(WeightsError, match=name):
            open_session(tmp_path / name, device="cpu", threads=1)


def test_a_wrong_shape_is_an_inference_error(tmp_path: Path) -> None:
    """What ONNX Runtime refuses is said in words, with the provider."""
    write_brightness(tmp_path / "m.onnx", size=(8, 8))
    session = open_session(tmp_path / "m.onnx", device="cpu", threads=1)
    with pytest.raises(InferenceError, match="CPUExecutionProvider"):
        session.run({"image": np.zeros((1, 3, 9, 9), np.float32)})


def test_the_runtime_keeps_no_identifier_and_sends_no_report(tmp_path: Path) -> None:
    """Its telemetry would leave a device identifier and a queue of reports in the home folder."""
    write_brightness(tmp_path / "m.onnx")
    home = tmp_path / "home"
    home.mkdir()
    hushed = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME", "XDG_DATA_HOME")
    environment = {k: v for k, v in os.environ.items() if k not in hushed}
    code = (
        "import sys; from pathlib import Path; from omniview.inference.session import open_session;"
        "open_session(Path(sys.argv[1]), device='cpu', threads=1)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.onnx")],
        env=environment | {"HOME": str(home), "LOCALAPPDATA": str(home), "OMNIVIEW_HOME": str(home)},
        check=True,
        timeout=120,
    )
    assert [path.name for path in home.rglob("*")] == []

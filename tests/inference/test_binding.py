"""Runs that keep their places on the device give what other runs give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from omniview.inference.binding import Bound
from tests.networks import write_brightness


def test_runs_in_kept_places_give_what_other_runs_give(tmp_path: Path) -> None:
    """Each run has its own values in the same places, and earlier outputs stay as they were."""
    write_brightness(tmp_path / "m.onnx")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).random((3, 2, 3, 8, 8), dtype=np.float32)
    bound = Bound(session, {"image": images[0]}, "cpu")
    outputs = [bound.run({"image": image}, ort.RunOptions())[0] for image in images]
    for image, output in zip(images, outputs, strict=True):
        np.testing.assert_array_equal(output, session.run(None, {"image": image})[0])

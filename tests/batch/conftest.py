"""A real run over phantoms, made once: what the tests of summaries and reports look at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from omniview.batch.journal import Journal
from omniview.batch.rows import Record
from omniview.core.phantom import nuclei
from omniview.core.prediction import Quality
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.worker import InferenceThread
from omniview.specialists.onnx_specialist import OnnxSpecialist
from tests.batch.otsu import OtsuModels, a_run
from tests.fakes import OtsuSegmenter
from tests.networks import write_specialist

CASES, NORMALS = 22, 2


@dataclass(frozen=True)
class PhantomRun:
    """Results of a run, and what they were published from."""

    out: Path
    records: tuple[Record, ...]
    about: Mapping[str, Any]


@pytest.fixture(scope="session")
def phantom_run(tmp_path_factory: pytest.TempPathFactory) -> PhantomRun:
    """Phantoms, dark images without anything, and a broken one, through a tiny ONNX network and Otsu."""
    root = tmp_path_factory.mktemp("phantoms")
    for kind in ("images", "masks"):
        (root / "set" / kind).mkdir(parents=True)
    for index in range(CASES):
        image, truth = nuclei(index, (64, 96))
        _write(root / "set", f"case{index:02d}", image.rgb8(), truth.mask[0])
    for index in range(NORMALS):
        black = np.zeros((64, 96, 3), np.uint8)
        _write(root / "set", f"normal{index}", black, np.zeros((64, 96), bool))
    (root / "set" / "images" / "torn.png").write_bytes(b"\x89PNG torn")
    (root / "set" / "masks" / "torn.png").write_bytes(b"")
    card = read_card(
        write_specialist(root / "model", task="nuclei", modality="microscopy", labels=["nucleus"])
    )
    assert isinstance(card, SpecialistCard)
    thread = InferenceThread()
    try:
        models = OtsuModels(
            OnnxSpecialist(card, thread, device="cpu", threads=1, views=1),
            OtsuSegmenter("otsu", role="omnimodel", quality=Quality(0.8, 0.6, 1.0)),
        )
        out = root / "out"
        asyncio.run(a_run(root / "set", out, models, omnimodel="builtin", task="nuclei").go())
    finally:
        thread.close()
    with Journal(out) as journal:
        records = tuple(journal.records())
    about = json.loads((out / "summary.json").read_text("utf-8"))["about"]
    return PhantomRun(out, records, about)


def _write(folder: Path, name: str, pixels: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> None:
    cv2.imwrite(str(folder / "images" / f"{name}.png"), np.ascontiguousarray(pixels[..., ::-1]))
    cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask.astype(np.uint8) * 255)

"""Tiny data folders made by code: bright discs on a dark, noisy ground, with exact masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage


def write_folder(folder: Path, counts: Mapping[str, int]) -> Path:
    """A data folder with ``counts[split]`` cases named for their split; returns it."""
    lines = ["name,split,group"]
    for split, count in counts.items():
        for index in range(count):
            name = f"{split}{index}"
            write_case(folder, name, np.random.default_rng([len(lines), 5]))
            lines.append(f"{name},{split},{name}")
    (folder / "split.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_case(folder: Path, name: str, rng: np.random.Generator, size: int = 64) -> None:
    """One image of ``size`` px with a disc, and its mask."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:size, :size]
    centre, radius = rng.uniform(0.3 * size, 0.7 * size, 2), rng.uniform(0.12 * size, 0.25 * size)
    disc = np.hypot(y - centre[0], x - centre[1]) < radius
    pixels = np.clip(60 + 120 * disc[..., None] + rng.normal(0, 12, (size, size, 3)), 0, 255)
    PillowImage.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{name}.png")
    PillowImage.fromarray(disc.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")

"""Folders of images and masks, and the rule that gives figures their worth: training sees `train` only.

A folder holds ``images/NAME.*``, ``masks/NAME.png`` (0/255, or instance numbers as uint16) and ``split.csv``
with ``name,split,group``. A folder without ``split.csv`` is split here by a hash of the name, one fifth to
calibrate. Images are decoded once and kept as uint8 in memory, with Pillow as the viewer does (two JPEG
decoders differ by up to seven grey levels), so that a training step is bound by arithmetic and not by files.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from omniview.errors import InputError, SizeMismatch, UnreadableFile

SPLIT_FILE = "split.csv"
SPLITS = ("train", "calibrate", "test")

# DSB 2018 names each image's size where other sets name a subject. That groups nothing that belongs together.
STRATUM = re.compile(r"\d+x\d+")

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


@dataclass(frozen=True, slots=True)
class Row:
    """One case of a folder: its name, its split, its group (subject, sequence), its files."""

    name: str
    split: str
    group: str
    image: Path
    mask: Path


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One decoded case.

    ``image (Y,X,3) uint8`` RGB, ``mask (Y,X) uint8`` 0 or 255 (greys between where the case was shrunk),
    ``border (Y,X) uint8`` 255 on background between two touching instances (None where the masks hold no
    instances). ``group`` as in :class:`Row`, empty where nobody said. ``labels (Y,X) int32``: the instances,
    where the masks hold any and the case was not shrunk.
    """

    name: str
    folder: str
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    border: NDArray[np.uint8] | None
    group: str = ""
    labels: NDArray[np.int32] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to find."""
        return not self.mask.any()


def read_rows(folder: Path) -> list[Row]:
    """Every case of ``folder``, in order of name.

    Raises :class:`InputError` for a split that is none of train, calibrate, test, for a case without files,
    and for a group with cases on two sides.
    """
    images = {
        path.stem: path
        for path in sorted((folder / "images").glob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    }
    masks = {
        path.stem: path
        for path in sorted((folder / "masks").glob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    }
    listed = folder / SPLIT_FILE
    if listed.is_file():
        entries = _split_of(listed)
    else:
        entries = [(name, _split_by_name(name), name) for name in images if name in masks]
    if not entries:
        raise InputError(
            f"The folder {folder.name} holds no case.",
            "Give a folder with images/ and masks/ of the same names.",
        )
    rows = []
    for name, split, group in sorted(entries):
        if split not in SPLITS:
            raise InputError(
                f"{listed.name}: the split of {name} is {split!r}.", f"Use one of {', '.join(SPLITS)}."
            )
        if name not in images or name not in masks:
            raise InputError(
                f"{listed.name} names {name}, whose image or mask is missing.", "Add it or drop the row."
            )
        rows.append(Row(name, split, _together(name, group), images[name], masks[name]))
    refuse_leaks(rows)
    return rows


def groups_in(folder: Path) -> dict[str, str]:
    """Name to group (subject, sequence) of what a folder's ``split.csv`` lists; empty where there is none.

    A case whose group is left empty is one of its own. Raises :class:`InputError` for a file that is no such
    table.
    """
    listed = folder / SPLIT_FILE
    if not listed.is_file():
        return {}
    return {name: _together(name, group) or name for name, _, group in _split_of(listed)}


def _together(name: str, group: str) -> str:
    return name if STRATUM.fullmatch(group) else group


def _split_of(listed: Path) -> list[tuple[str, str, str]]:
    """Name, split and group of each row of a `split.csv`."""
    try:
        with listed.open(newline="", encoding="utf-8-sig") as file:
            return [(row["name"], row["split"], row["group"]) for row in csv.DictReader(file)]
    except (KeyError, ValueError, csv.Error, OSError) as error:
        raise InputError(
            f"{listed.parent.name}/{listed.name} cannot be read ({type(error).__name__}).",
            "Its columns are name, split and group, parted by commas, in UTF-8; or leave it out.",
        ) from error


def refuse_leaks(rows: Iterable[Row]) -> None:
    """Raise :class:`InputError` if a group (video sequence, subject) has cases in more than one split."""
    sides: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        sides[row.group].add(row.split)
    for group, splits in sides.items():
        if len(splits) > 1:
            raise InputError(
                f"The group {group!r} lies in {' and '.join(sorted(splits))}.", "Keep each group on one side."
            )


def load(folders: Sequence[Path], split: str, *, longest_px: int | None = None) -> list[Example]:
    """Decode every case of ``split`` from all ``folders``.

    ``longest_px`` caps the longer side (area averaging), to spare memory where the network sees less anyway.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
    return [
        _decode(row, folder.name, longest_px)
        for folder in folders
        for row in read_rows(folder)
        if row.split == split
    ]


def data_hash(folders: Sequence[Path], split: str = "train") -> str:
    """SHA-256 over the names and file contents of ``split``: two models with one hash saw the same data."""
    digest = hashlib.sha256()
    for folder in folders:
        for row in read_rows(folder):
            if row.split == split:
                digest.update(f"{folder.name}/{row.name}\n".encode())
                digest.update(hashlib.sha256(row.image.read_bytes()).digest())
                digest.update(hashlib.sha256(row.mask.read_bytes()).digest())
    return digest.hexdigest()


def read_image(path: Path) -> NDArray[np.uint8]:
    """``(Y,X,3) uint8`` RGB. Raises :class:`UnreadableFile`."""
    try:
        with PillowImage.open(path) as file:
            return np.asarray(file.convert("RGB"))
    except OSError as error:
        raise UnreadableFile(f"{path.name} cannot be decoded: {error}", "Replace the file.") from error


def read_labels(path: Path) -> NDArray[np.int32]:
    """``(Y,X) int32``, 0 background, else foreground or instances. Raises :class:`UnreadableFile`."""
    try:
        with PillowImage.open(path) as file:
            labels = np.asarray(file)
    except OSError as error:
        raise UnreadableFile(f"{path.name} cannot be decoded: {error}", "Replace the file.") from error
    if labels.ndim == 3:
        labels = labels[..., :3].max(axis=2)
    labels = labels.astype(np.int32)
    # A JPEG mask has greys around 0 and 255; instance numbers are 16 bit or run from 1 without such a gap.
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return np.where(labels > 127, 255, 0).astype(np.int32)
    return labels


def between_instances(labels: NDArray[np.int32], reach_px: int = 3) -> NDArray[np.uint8]:
    """255 on background within ``reach_px`` of two different instances, else 0. ``labels (Y,X)``."""
    window = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    values = labels.astype(np.float32)
    highest = cv2.dilate(values, window)
    lowest = cv2.erode(np.where(labels > 0, values, np.float32(np.inf)).astype(np.float32), window)
    return np.where((labels == 0) & (highest > 0) & (lowest != highest), 255, 0).astype(np.uint8)


def _decode(row: Row, folder: str, longest_px: int | None) -> Example:
    image = read_image(row.image)
    labels = read_labels(row.mask)
    if labels.shape != image.shape[:2]:
        raise SizeMismatch(
            f"{row.name}: image {image.shape[:2]}, mask {labels.shape}.", "Pair it with its own mask."
        )
    mask = np.where(labels > 0, 255, 0).astype(np.uint8)
    border = between_instances(labels) if labels.max() > 1 and np.unique(labels).size > 2 else None
    instances = None if border is None else labels
    height, width = mask.shape
    if longest_px is not None and max(height, width) > longest_px:
        instances = None
        scale = longest_px / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        border = (
            None
            if border is None
            else cv2.resize(border, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        )
    for array in (image, mask, border, instances):
        if array is not None:
            array.setflags(write=False)
    return Example(row.name, folder, image, mask, border, row.group, instances)


def _split_by_name(name: str) -> str:
    return "calibrate" if hashlib.sha256(name.encode()).digest()[0] % 5 == 0 else "train"

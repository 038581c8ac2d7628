"""Which format a file is in: by its first bytes, and only where they say nothing by its name.

Hospitals, cameras and downloads name files wrongly all the time; the bytes do not lie.
"""

from __future__ import annotations

import gzip
import unicodedata
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from omniview.errors import UnreadableFile
from omniview.io.decoding import decoding

__all__ = [
    "KNOWN",
    "SUFFIXES",
    "Kind",
    "folded",
    "is_image_name",
    "is_text",
    "kind_of",
    "stem_of",
    "unopened",
]

Kind: TypeAlias = Literal["raster", "tiff", "dicom", "volume"]

_BY_SUFFIX: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys((".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".webp", ".gif"), "raster"),
        **dict.fromkeys((".pbm", ".pgm", ".ppm", ".pnm"), "raster"),
        **dict.fromkeys((".tif", ".tiff"), "tiff"),
        **dict.fromkeys((".dcm", ".dicom", ".ima"), "dicom"),
        **dict.fromkeys((".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr"), "volume"),
    }
)
SUFFIXES: frozenset[str] = frozenset(_BY_SUFFIX)
"""Lower-case file name endings, with the dot, of everything that can be opened."""

KNOWN = "PNG, JPEG, BMP, WebP, GIF, PNM, TIFF, DICOM, NIfTI, MHA and NRRD"
"""The formats, in words, for messages."""

_BY_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "raster"),
    (b"\xff\xd8\xff", "raster"),
    (b"GIF87a", "raster"),
    (b"GIF89a", "raster"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),  # BigTIFF
    (b"MM\0+", "tiff"),
    (b"NRRD000", "volume"),
    # a data set without the preamble of PS3.10: group 0002 or 0008 first, little endian
    (b"\x02\0\0\0", "dicom"),
    (b"\x02\0\x10\0", "dicom"),
    (b"\x08\0\0\0", "dicom"),
    (b"\x08\0\x05\0", "dicom"),
    (b"\x08\0\x08\0", "dicom"),
    (b"\x08\0\x16\0", "dicom"),
)
_UNOPENED = frozenset(
    f".{ending}"
    for ending in [
        "heic",
        "heif",
        "avif",
        "jxl",
        "jp2",
        "j2k",
        "jpx",
        "psd",
        "xcf",
        "svg",
        "dng",
        "cr2",
        "nef",
        "arw",
        "exr",
        "tga",
        "pcx",
        "svs",
        "ndpi",
        "mrxs",
        "scn",
        "czi",
        "lif",
        "vsi",
        "mp4",
        "avi",
        "mov",
        "mkv",
        "wmv",
        "webm",
        "mpg",
        "mpeg",
        "npy",
        "npz",
        "mat",
        "mgz",
    ]
)
"""Endings of pictures, clips and arrays that cannot be opened, and that a person may take for cases."""
_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_NIFTI_SIZES = tuple(size.to_bytes(4, order) for size in (348, 540) for order in _ORDERS)
_BMP_HEADERS = (b"\x0c", b"\x28", b"\x34", b"\x38", b"\x40", b"\x6c", b"\x7c")  # sizes of the known headers


def kind_of(path: Path) -> Kind:
    """The kind of reader that the file at `path` needs.

    Raises:
        UnreadableFile: missing, a folder, empty, or of no known kind.
    """
    with decoding(path, "a file"):
        if path.is_dir():  # fails where a folder above may not be looked into
            raise UnreadableFile(f"{path.name or path} is a folder.", "Open an image inside it.")
        with path.open("rb") as stream:
            head = stream.read(512)
    if not head:
        raise UnreadableFile(f"{path.name} is empty.", "Copy or download it again.")
    if head.startswith(b"\x1f\x8b") and _by_content(_unzipped(path)) != "volume":
        raise UnreadableFile(
            f"{path.name} is compressed (gzip) or broken.", "Unpack it and open what is inside."
        )
    kind = _by_content(head) or _BY_SUFFIX.get(path.name[len(stem_of(path.name)) :].lower())
    # a raster is known by its first bytes or not at all: Pillow could do nothing with the others
    if kind is None or (kind == "raster" and _by_content(head) is None):
        raise UnreadableFile(f"{path.name} is not an image of a known kind.", f"OmniView opens {KNOWN}.")
    return kind


def stem_of(name: str) -> str:
    """A file's name without its suffix, where `.nii.gz` is one suffix."""
    if name.lower().endswith(".nii.gz"):
        return name[:-7]
    dot = name.rfind(".")
    return name[:dot] if dot > 0 else name


def is_image_name(name: str) -> bool:
    """Whether a file of this name is one that can be opened, as far as its suffix tells."""
    return name[len(stem_of(name)) :].lower() in SUFFIXES


def folded(text: str) -> str:
    """As names are compared: in lower case, and an accent as part of its letter (macOS writes it behind)."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).lower()


def is_text(name: str) -> bool:
    """Whether a name can be written; the bytes of one in another encoding cannot."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def unopened(name: str) -> str | None:
    """Why a file that looks like an image by its name cannot be opened; None if it does not, or can."""
    lower = name.lower()
    if lower.endswith(".gz") and not lower.endswith(".nii.gz") and is_image_name(name[:-3]):
        return "it is compressed (gzip): unpack it first"
    if name[len(stem_of(name)) :].lower() in _UNOPENED:
        return "its format is none that can be opened"
    return None


def _unzipped(path: Path) -> bytes:
    """The first bytes inside a gzip file; empty where it is broken."""
    try:
        with gzip.open(path) as stream:
            return stream.read(512)
    except (OSError, EOFError, zlib.error):
        return b""


def _by_content(head: bytes) -> Kind | None:
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "raster"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "raster"
    if head.startswith(b"BM") and head[14:15] in _BMP_HEADERS:
        return "raster"
    if head[:4] in _NIFTI_SIZES or (b"NDims" in head and b"=" in head):
        return "volume"
    return next((kind for magic, kind in _BY_MAGIC if head.startswith(magic)), None)

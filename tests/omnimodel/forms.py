"""Answers of an omnimodel, written here in every form that decoding has to know."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import cv2
import numpy as np

from omniview.core.image import UInt8Array

__all__ = ["BOMB", "boxed", "disc", "encoded", "entry", "fenced", "png64"]


def png64(grey: UInt8Array, prefix: bool = True) -> str:
    """(h,w) uint8 as base64 PNG."""
    done, data = cv2.imencode(".png", grey)
    assert done
    text = base64.b64encode(data.tobytes()).decode()
    return f"data:image/png;base64,{text}" if prefix else text


def encoded(picture: UInt8Array, kind: str = ".png") -> bytes:
    """(h,w) or (h,w,3) RGB uint8 as a file of a kind."""
    done, data = cv2.imencode(kind, picture if picture.ndim == 2 else picture[..., ::-1])
    assert done
    return data.tobytes()


def disc(size: int = 64) -> UInt8Array:
    """A white disc that touches all sides of a black square."""
    grey = np.zeros((size, size), np.uint8)
    cv2.circle(grey, (size // 2, size // 2), size // 2 - 1, 255, -1)
    return grey


def entry(mask: Any = None, box: Any = (200, 300, 600, 800), **more: Any) -> dict[str, Any]:
    """One object as a model writes it; a mask or box of None is left out."""
    whole = {"box_2d": box if box is None else list(box), "mask": mask, "label": "polyp", **more}
    return {key: value for key, value in whole.items() if value is not None}


def boxed(**more: Any) -> dict[str, Any]:
    """A disc as PNG in a box."""
    return entry(png64(disc()), **more)


def fenced(value: Any) -> str:
    """JSON in a Markdown fence, as models love it."""
    return f"```json\n{json.dumps(value, indent=1)}\n```"


def _bomb() -> str:
    """A few hundred bytes that claim to be a picture of 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


BOMB = _bomb()

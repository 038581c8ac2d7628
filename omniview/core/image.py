"""The picture that everything else looks at: always 2D, oriented, and without a patient.

There is no field for a person's name, number or dates, so that nothing downstream can leak one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Array", "BoolArray", "Doubles", "FloatArray", "Image", "Modality", "UInt8Array", "read_only"]

Array: TypeAlias = npt.NDArray[Any]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
FloatArray: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]


class Modality(StrEnum):
    """The ten modalities of UniBiomed; endoscopy, fundus, ultrasound and microscopy have specialists here."""

    ENDOSCOPY = "endoscopy"
    FUNDUS = "fundus"
    ULTRASOUND = "ultrasound"
    MICROSCOPY = "microscopy"
    PATHOLOGY = "pathology"
    DERMOSCOPY = "dermoscopy"
    OCT = "oct"
    XRAY = "x-ray"
    CT = "ct"
    MRI = "mri"


def read_only(array: Array) -> Array:
    """A view of `array` that cannot be written to; the data is not copied."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One 2D image, oriented as a person looks at it.

    Attributes:
        pixels: (Y,X,C) uint8, uint16 or float32, C 1 (grey) or 3 (RGB); read-only. float32 must be finite.
        spacing_mm: distance of pixel centres (row, column) in millimetres, or None where it is not known.
        modality: what kind of image, or None where it is not known.
        name: the short name shown to a person, usually the file's name.
        source: where it was read from; stays on this machine.
        frame: index within a clip or volume, or None for a single image.
        window: (centre, width) in pixel values that displays a wide range well, or None for the full range.
    """

    pixels: Array
    spacing_mm: tuple[float, float] | None = None
    modality: Modality | None = None
    name: str = "image"
    source: str = ""
    frame: int | None = None
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
            raise ValueError(f"Image.pixels must be (Y,X,1) or (Y,X,3) and not empty, got {pixels.shape}")
        if pixels.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"Image.pixels must be uint8, uint16 or float32, got {pixels.dtype}")
        if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
            raise ValueError("Image.pixels must be finite")
        if self.spacing_mm is not None and not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise ValueError(f"Image.spacing_mm must be positive and finite, got {self.spacing_mm}")
        if self.window is not None and not (np.isfinite(self.window).all() and self.window[1] > 0):
            raise ValueError(
                f"Image.window must have a finite centre and a positive width, got {self.window}"
            )
        object.__setattr__(self, "pixels", read_only(pixels))

    @property
    def shape(self) -> tuple[int, int]:
        """(Y,X) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def grey(self) -> FloatArray:
        """(Y,X) float32 luma (ITU-R BT.601 weights) in the pixels' own units."""
        if self.pixels.shape[2] == 1:
            return self.pixels[..., 0].astype(np.float32)
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        return (self.pixels.astype(np.float32) @ weights).astype(np.float32)

    def rgb8(self, window: tuple[float, float] | None = None) -> UInt8Array:
        """(Y,X,3) uint8 as shown on screen and given to models.

        8-bit pixels are passed through unless a window is asked for. Wider types go through `window`, else
        the image's own window, else their full range of values.

        Args:
            window: (centre, width) in pixel values, mapped linearly to 0-255 (DICOM PS3.3 C.11.2.1.3.2).
        """
        pixels = self.pixels
        window = window or self.window
        if window is None and pixels.dtype == np.uint8:
            eight = pixels
        else:
            if window is None:
                low, high = float(pixels.min()), float(pixels.max())
            else:
                low, high = window[0] - window[1] / 2, window[0] + window[1] / 2
            scale = np.float32(255.0 / max(high - low, 1e-12))
            scaled = (pixels.astype(np.float32) - np.float32(low)) * scale
            eight = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        if eight.shape[2] == 1:
            return np.asarray(cv2.cvtColor(np.ascontiguousarray(eight), cv2.COLOR_GRAY2RGB), np.uint8)
        return np.ascontiguousarray(eight)

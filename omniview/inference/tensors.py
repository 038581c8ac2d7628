"""Image <-> network input, as the card says: placed, normalised, and back with the exact inverse."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from omniview.core.geometry import Placement, letterbox, rescale, stretch
from omniview.core.image import FloatArray, UInt8Array
from omniview.core.tiling import Tiling, tiles
from omniview.inference.card import InputSpec

__all__ = ["Prepared", "prepare", "to_nchw"]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An image cut into network inputs, and the way back.

    Attributes:
        inputs: (N,h,w,3) uint8; N is 1 unless the card says "tile".
        spec: what `to_nchw` normalises them by: the card's own, with this image's mean and standard deviation
            filled in where it says so.
    """

    inputs: UInt8Array
    spec: InputSpec
    _placement: Placement
    _tiling: Tiling | None = None

    def restore(self, maps: FloatArray) -> FloatArray:
        """Maps of the network's inputs, put back to the image's own size.

        Args:
            maps: (N,K,h,w) float32.

        Returns:
            (K,Y,X) float32.
        """
        whole = maps[0] if self._tiling is None else self._tiling.blend(maps)
        return self._placement.inverse(whole)


def prepare(rgb: UInt8Array, spec: InputSpec) -> Prepared:
    """Place (Y,X,3) uint8 pixels as `spec` says."""
    if spec.geometry == "stretch":
        placed, placement = stretch(rgb, spec.size)
    elif spec.geometry == "letterbox":
        placed, placement = letterbox(rgb, spec.size)
    else:
        placed, placement = rescale(rgb, spec.long_side or max(rgb.shape[:2]))
        tiling = tiles((placed.shape[0], placed.shape[1]), spec.size, spec.overlap)
        return Prepared(tiling.cut(placed), _resolved(spec, placed), placement, tiling)
    top, left, height, width = placement.box
    return Prepared(placed[None], _resolved(spec, placed[top : top + height, left : left + width]), placement)


def to_nchw(pixels: UInt8Array, spec: InputSpec) -> FloatArray:
    """(N,h,w,3) uint8 to (N,C,h,w) float32, normalised: (x / 255 - mean) / std for each channel.

    Raises:
        ValueError: `spec` wants each image's own mean: take `Prepared.spec`, which knows it.
    """
    if spec.normalise == "image":
        raise ValueError("spec must have a mean of its own: take that of the Prepared image")
    if spec.channels == 1:
        luma = [
            np.asarray(cv2.cvtColor(np.ascontiguousarray(p), cv2.COLOR_RGB2GRAY), np.uint8) for p in pixels
        ]
        pixels = np.stack(luma)[..., None]
    std = np.array(spec.std, np.float32)
    gain, offset = np.float32(1 / 255) / std, -np.array(spec.mean, np.float32) / std
    # bytes are moved before they become floats, four times as many
    bytes_first = np.empty((len(pixels), spec.channels, *pixels.shape[1:3]), np.uint8)
    for apart, together in zip(bytes_first, pixels, strict=True):
        cv2.split(together, list(apart))
    planes: FloatArray = np.multiply(bytes_first, gain[:, None, None], dtype=np.float32)
    planes += offset[:, None, None]
    return planes


def _resolved(spec: InputSpec, placed: UInt8Array) -> InputSpec:
    """`spec` with the mean and standard deviation of `placed` (h,w,3), over all of its pixels, if it asks."""
    if spec.normalise == "fixed":
        return spec
    seen = cv2.cvtColor(placed, cv2.COLOR_RGB2GRAY) if spec.channels == 1 else placed
    mean, std = (values.ravel() / 255 for values in cv2.meanStdDev(seen))
    # less than one grey level is no contrast: a flat image stays flat
    std = np.maximum(std, 1 / 255)
    return spec.model_copy(update={"normalise": "fixed", "mean": tuple(mean), "std": tuple(std)})

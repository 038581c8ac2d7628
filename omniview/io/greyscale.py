"""From the stored greys of DICOM to values that mean something, and the window to see them through.

The order is the standard's (PS3.3 C.11): stored value, modality rescale or table, then the window. The window
is not applied, only handed on, so that a person can change it and models see all of the range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from omniview.core.image import Array
from omniview.io.calibration import functional_group
from omniview.io.depth import held

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["as_displayed", "window_of"]


def as_displayed(header: Dataset, frame: int, stored: Array) -> tuple[Array, tuple[float, float] | None]:
    """(Y,X,1) rescaled values with white as the largest, and (centre, width) of the window or None.

    8-bit and 16-bit values without a rescale stay as they are; everything else becomes float32. A window that
    spans just the range of 8-bit values is dropped, so that they are shown unchanged.

    Args:
        header: the data set without its pixels.
        frame: which frame, for files in which each has its own rescale or window.
        stored: (Y,X) stored values.
    """
    bits = int(header.get("BitsStored") or 8 * stored.dtype.itemsize)
    if stored.dtype.kind == "u" and bits < 8 * stored.dtype.itemsize:
        stored = stored & stored.dtype.type(2**bits - 1)  # overlays may hide in the bits above
    values, ends = _rescaled(header, frame, stored, bits)
    window = window_of(header, frame)
    if header.PhotometricInterpretation == "MONOCHROME1":
        total = ends[0] + ends[1]
        values = values.dtype.type(total) - values
        window = (total - window[0], window[1]) if window else None
    if window is not None and values.dtype == np.uint8 and _is_whole_range(window):
        window = None
    if window is None and values.dtype == np.uint8 and bits < 8:
        window = (ends[1] / 2, ends[1])
    return values[..., None], window


def window_of(header: Dataset, frame: int) -> tuple[float, float] | None:
    """(centre, width) such that centre - width/2 is black and centre + width/2 is white, or None.

    The first of several windows. DICOM's LINEAR function is half a unit and one unit narrower than that
    (PS3.3 C.11.2.1.2.1), LINEAR_EXACT is just that, SIGMOID is shown as LINEAR_EXACT. A table instead of a
    window (VOI LUT Sequence) gives the range of values that it covers.
    """
    macro = functional_group(header, frame, "FrameVOILUTSequence")
    source = macro if macro is not None else header
    centre, width = _first(source.get("WindowCenter")), _first(source.get("WindowWidth"))
    if centre is not None and width is not None and width >= 1:
        if source.get("VOILUTFunction", "LINEAR") == "LINEAR":
            return centre - 0.5, max(width - 1, 1e-3)
        return centre, width
    if tables := source.get("VOILUTSequence"):
        entries, first = (int(n) for n in tables[0].LUTDescriptor[:2])
        entries = entries or 65536  # which 16 bits cannot hold
        return first + entries / 2, float(entries)
    return None


def _rescaled(header: Dataset, frame: int, stored: Array, bits: int) -> tuple[Array, tuple[float, float]]:
    """Values after the modality rescale or table (PS3.3 C.11.1), and the two ends of their possible range."""
    from pydicom.pixels.processing import apply_modality_lut

    if header.get("ModalityLUTSequence"):
        values = held(apply_modality_lut(stored, header))
        return values, (float(values.min()), float(values.max()))
    macro = functional_group(header, frame, "PixelValueTransformationSequence")
    source = macro if macro is not None else header
    slope = float(source.get("RescaleSlope", 1) or 1)
    intercept = float(source.get("RescaleIntercept", 0) or 0)
    if stored.dtype.kind == "f":
        low, high = float(stored.min()), float(stored.max())
    elif stored.dtype.kind == "i":
        low, high = -float(2 ** (bits - 1)), float(2 ** (bits - 1) - 1)
    else:
        low, high = 0.0, float(2**bits - 1)
    if (slope, intercept) != (1.0, 0.0):
        stored = stored.astype(np.float64) * slope + intercept
        low, high = sorted((low * slope + intercept, high * slope + intercept))
    return held(stored), (low, high)


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    numbers = value if hasattr(value, "__len__") else [value]
    return float(numbers[0]) if len(numbers) else None


def _is_whole_range(window: tuple[float, float]) -> bool:
    low, high = window[0] - window[1] / 2, window[0] + window[1] / 2
    return abs(low) <= 1 and abs(high - 255) <= 1

"""Two mask files, compared: what `omniview metrics` prints, and what a script can ask for just the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omniview.core.case import Truth
from omniview.core.image import BoolArray, FloatArray, Image, UInt8Array
from omniview.core.matching import INSTANCE_METRICS, instance_scores
from omniview.core.metrics import CONVENTIONS, DEFAULT_CONVENTION, METRICS, is_true_negative, score
from omniview.core.metrics_explain import definitions, differences, plain
from omniview.core.prediction import EDGE
from omniview.errors import OmniViewError
from omniview.io.read import read, read_truth

__all__ = ["Comparison", "compare_files"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two files, compared.

    Attributes:
        values: metric to value, and what was asked for besides; JSON can hold it all.
        notes: what a person should know about the files.
    """

    values: dict[str, Any]
    notes: Sequence[str]


def compare_files(
    prediction: Path,
    truth: Path,
    *,
    region: Path | None = None,
    spacing_mm: tuple[float, float] | None = None,
    tolerance: float | None = None,
    convention: str = DEFAULT_CONVENTION,
    explain: bool = False,
    everybody: bool = False,
) -> Comparison:
    """Every metric of a prediction against its reference.

    A prediction of more than two greys is taken for a probability map, 0 to full scale is 0 to 1, and its
    mask is what lies above 0.5. Two label images are compared object by object too.

    Args:
        prediction: the mask's file.
        truth: the reference's.
        region: mask of what counts.
        spacing_mm: distance of pixel centres (row, column); distances are in mm with it, else in px.
        tolerance: of surface Dice, in mm or px like the distances.
        convention: one of `CONVENTIONS`.
        explain: with definitions, and with the reasons where conventions differ.
        everybody: with the values of all conventions.

    Raises:
        OmniViewError: a file cannot be read, sizes differ, or the convention is unknown.
    """
    if convention not in CONVENTIONS:
        raise OmniViewError(f"--convention is {convention!r}.", f"Choose one of: {', '.join(CONVENTIONS)}.")
    image = read(prediction)
    found, reference = read_truth(prediction, image), read_truth(truth, image)
    probability = _probability(image, found)
    mask, notes = found.mask[0], list(found.notes)
    if probability is not None:
        mask = probability > (EDGE * 255 if probability.dtype == np.uint8 else EDGE)
        notes = [f"{prediction.name} has more than two greys: it was taken for a probability map."]
    counted = None if region is None else read_truth(region, image).mask[0]

    def scored(name: str) -> dict[str, float | None]:
        return dict(
            score(
                mask,
                reference.mask[0],
                spacing_mm,
                counted,
                tolerance,
                probability=probability,
                names=METRICS,
                convention=name,
            )
        )

    own = scored(convention)
    values, odd = plain(own)
    result: dict[str, Any] = dict(values)
    result |= {
        "distance_unit": "px" if spacing_mm is None else "mm",
        "tolerance": tolerance,
        "convention": convention,
        "true_negative": _true_negative(mask, reference.mask[0], counted),
    }
    if odd:
        result["not_finite"] = odd
    if found.instances is not None and reference.instances is not None:
        result["objects"] = instance_scores(found.instances, reference.instances, counted)
    if everybody:
        result["conventions"] = {name: plain(scored(name))[0] for name in CONVENTIONS}
    if explain:
        result["definitions"] = definitions(own, convention)
        if "objects" in result:
            result["definitions"] |= {
                name: {"title": m.title, "source": m.source} for name, m in INSTANCE_METRICS.items()
            }
        beside = CONVENTIONS if everybody else dict.fromkeys((DEFAULT_CONVENTION, convention))
        result["differences"] = differences({name: scored(name) for name in beside})
    return Comparison(result, (*notes, *reference.notes))


def _true_negative(mask: BoolArray, truth: BoolArray, region: BoolArray | None) -> bool:
    return (
        is_true_negative(mask, truth) if region is None else is_true_negative(mask & region, truth & region)
    )


def _probability(image: Image, found: Truth) -> UInt8Array | FloatArray | None:
    """(Y,X) probabilities, or None where the file holds a mask, numbered objects, or colours."""
    pixels = image.pixels
    if found.instances is not None or (pixels != pixels[..., :1]).any():
        return None
    grey = pixels[..., 0]
    low, high = grey.min(), grey.max()
    if not ((grey != low) & (grey != high)).any():
        return None
    if grey.dtype == np.uint8:
        return np.ascontiguousarray(grey)
    if grey.dtype == np.uint16:
        return grey.astype(np.float32) / np.float32(65535)
    return np.ascontiguousarray(grey) if low >= 0.0 and high <= 1.0 else None

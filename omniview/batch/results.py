"""What one analysed case leaves on disk: a PNG for each mask that exists, and a JSON that says what ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omniview.analyse import FUSED
from omniview.core.case import Case
from omniview.core.image import BoolArray, FloatArray
from omniview.core.prediction import Prediction, Quality
from omniview.io.kinds import stem_of
from omniview.io.write import mask_png, write_bytes, write_json, write_map

__all__ = ["MASKS", "case_json", "mask_files", "unique_stems", "write_case"]

MASKS = "masks"
"""Folder of a run's masks within its results."""


def write_case(case: Case, folder: Path, stem: str) -> None:
    """Write STEM.fused.png, STEM.specialist.png, STEM.omnimodel.png, STEM.uncertainty.png and STEM.json.

    A model without a usable mask writes no mask. With K > 1 labels the label's name follows the kind.

    Raises:
        OutputError: a file could not be written.
    """
    for name, png in mask_files(case, stem).items():
        write_bytes(folder / name, png)
    if case.fusion is not None:
        for name, values in _per_label(case, "uncertainty", case.fusion.uncertainty):
            write_map(folder / f"{stem}.{name}.png", values)
    write_json(folder / f"{stem}.json", case_json(case))


def mask_files(case: Case, stem: str) -> dict[str, bytes]:
    """File name to PNG (0/255, the image's own size) of every mask that the case has."""
    masks: dict[str, BoolArray] = {p.role: p.mask for p in case.predictions}
    if case.fusion is not None:
        masks[FUSED] = case.fusion.mask
    each = (named for kind, mask in masks.items() for named in _per_label(case, kind, mask))
    return {f"{stem}.{name}.png": mask_png(one) for name, one in each}


def case_json(case: Case) -> dict[str, Any]:
    """The case without its arrays, for STEM.json."""
    height, width = case.image.shape
    models: dict[str, Any] = {p.role: _prediction_json(p) for p in case.predictions}
    fusion: dict[str, Any] | None = None
    if case.fusion is not None:
        quality = case.fusion.quality
        models[FUSED] = {
            **_quality_json(quality),
            "seconds": max(p.seconds for p in case.predictions),
            "provenance": {"models": [p.model for p in case.predictions], **_notes_json(case.fusion.notes)},
        }
        fusion = {
            "omnimodel_share": round(float(case.fusion.weight.mean()), 6),
            "mean_uncertainty": round(float(case.fusion.uncertainty.mean()), 6),
        }
    return {
        "image": case.image.name,
        "frame": case.image.frame,
        "width": width,
        "height": height,
        "spacing_mm": case.image.spacing_mm,
        "task": case.task.name,
        "labels": list(case.task.labels),
        "models": models,
        "failures": [
            {
                "model": f.model,
                "role": f.role,
                "kind": f.kind,
                "reason": f.reason,
                "next_step": f.next_step,
                **({} if f.cost is None else {"cost": f.cost, "currency": f.currency}),
            }
            for f in case.failures
        ],
        "fusion": fusion,
        "scores": {name: dict(scores) for name, scores in case.scores.items()},
    }


def unique_stems(paths: Iterable[Path]) -> list[str]:
    """A name for the results of each path, so that no two write over each other: a, b, a-2, ..."""
    seen: Counter[str] = Counter()
    stems: list[str] = []
    taken: set[str] = set()
    for path in paths:
        # lower case: a.png and A.png are one file on Windows and macOS
        stem = own = stem_of(path.name)
        key = own.lower()
        while stem.lower() in taken:
            seen[key] += 1
            stem = f"{own}-{seen[key] + 1}"
        taken.add(stem.lower())
        stems.append(stem)
    return stems


def _per_label(case: Case, kind: str, maps: Any) -> list[tuple[str, Any]]:
    labels = case.task.labels
    names = [kind] if len(labels) == 1 else [f"{kind}.{label}" for label in labels]
    return list(zip(names, maps, strict=True))


def _prediction_json(prediction: Prediction) -> dict[str, Any]:
    return {
        "model": prediction.model,
        **_quality_json(prediction.quality),
        "seconds": round(prediction.seconds, 4),
        "novelty": None if prediction.novelty is None else round(prediction.novelty, 4),
        "mean_spread": _mean(prediction.spread),
        "mean_mutual_information": _mean(prediction.mutual_information),
        "provenance": prediction.provenance.to_json(),
    }


def _mean(values: FloatArray | None) -> float | None:
    return None if values is None else round(float(values.mean()), 6)


def _notes_json(notes: tuple[str, ...]) -> dict[str, list[str]]:
    return {"notes": list(notes)} if notes else {}


def _quality_json(quality: Quality | None) -> dict[str, Any]:
    if quality is None:
        return {"quality": None, "quality_interval": None}
    return {
        "quality": round(quality.value, 4),
        "quality_interval": [round(quality.low, 4), round(quality.high, 4)],
    }

"""What an answer in words leaves on disk: a JSON with text and findings, and a PNG for each mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omniview.core.image import Image
from omniview.core.interpreter import Answer, Finding
from omniview.io.write import mask_png, write_bytes, write_json

__all__ = ["answer_json", "write_answer"]


def write_answer(answer: Answer, image: Image, question: str, folder: Path, stem: str) -> None:
    """Write STEM.answer.json, and STEM.finding1.png, ... (0/255, the image's own size) where there is a mask.

    Raises:
        OutputError: a file could not be written.
    """
    for number, finding in enumerate(answer.findings, 1):
        if finding.mask is not None:
            write_bytes(folder / _mask_name(stem, number), mask_png(finding.mask))
    write_json(folder / f"{stem}.answer.json", answer_json(answer, image, question, stem))


def answer_json(answer: Answer, image: Image, question: str, stem: str | None = None) -> dict[str, Any]:
    """The answer without arrays; boxes are top, left, bottom, right in pixels, areas a share of the image.

    Args:
        answer: what was answered.
        image: what was asked about.
        question: in the person's words.
        stem: under which masks are written, or None if they are not.
    """
    height, width = image.shape
    return {
        "image": image.name,
        "frame": image.frame,
        "width": width,
        "height": height,
        "question": question,
        "text": answer.text,
        "findings": [
            _finding_json(finding, None if stem is None else _mask_name(stem, number))
            for number, finding in enumerate(answer.findings, 1)
        ],
        "model": answer.model,
        "seconds": round(answer.seconds, 3),
        "provenance": answer.provenance.to_json(),
    }


def _finding_json(finding: Finding, mask_name: str | None) -> dict[str, Any]:
    mask = finding.mask
    return {
        "text": finding.text,
        "label": finding.label,
        "grounded": finding.place,
        "box": finding.box,
        "area": None if mask is None else round(float(mask.mean()), 6),
        "mask": None if mask is None else mask_name,
        "note": finding.note,
    }


def _mask_name(stem: str, number: int) -> str:
    return f"{stem}.finding{number}.png"

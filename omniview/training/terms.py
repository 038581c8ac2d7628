"""Where the training data comes from and on what terms: each card names it, because weights inherit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from omniview.training.dataset import read_rows


@dataclass(frozen=True, slots=True)
class Terms:
    """A data set's origin and licence, in words."""

    source: str
    licence: str


KNOWN: Mapping[str, Terms] = MappingProxyType(
    {
        "polyp_kvasir": Terms("Kvasir-SEG (Jha 2020)", "research and education"),
        "polyp_clinicdb": Terms("CVC-ClinicDB (Bernal 2015)", "research and education, no commercial use"),
        "breast_busi": Terms("BUSI (Al-Dhabyani 2020)", "CC BY"),
        "vessel_chase": Terms("CHASE_DB1 (Kingston University)", "CC BY 4.0"),
        "vessel_hrf": Terms("HRF (Erlangen); labels via lwnet", "CC BY 4.0; labels MIT"),
        "nuclei_dsb2018": Terms("BBBC038 / Data Science Bowl 2018", "CC0"),
    }
)
UNKNOWN = Terms("a folder on the trainer's own machine", "ask whoever trained this model")


def data_fields(folders: Sequence[Path]) -> list[dict[str, object]]:
    """The card's ``[[data]]``: one row per folder and split that training or calibration read."""
    rows: list[dict[str, object]] = []
    for folder in folders:
        terms = KNOWN.get(folder.name, UNKNOWN)
        splits = [row.split for row in read_rows(folder)]
        rows.extend(
            {
                "name": folder.name,
                "split": split,
                "n": splits.count(split),
                "source": terms.source,
                "licence": terms.licence,
            }
            for split in ("train", "calibrate")
            if split in splits
        )
    return rows

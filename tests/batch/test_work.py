"""What is left of a case: the same whatever came first, and nothing is missed where there is no truth."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from omniview.errors import Unreachable
from tests.batch.otsu import OtsuModels, a_run, write_set
from tests.fakes import OtsuSegmenter

FILES = ("cases.csv", "summary.json", "report.html", "tables.md", "tables.tex", "columns.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve cases."""
    return write_set(tmp_path / "set")


def rows_in(out: Path) -> list[dict[str, str]]:
    """The lines of cases.csv."""
    with (out / "cases.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("error", [None, Unreachable("Down.")], ids=["answers", "failures"])
async def test_it_does_not_show_which_model_was_first(
    folder: Path, tmp_path: Path, error: Unreachable | None
) -> None:
    """A slow specialist and a slow omnimodel leave the same bytes."""
    for late in ("specialist", "omnimodel"):
        models = OtsuModels(
            OtsuSegmenter("own", delay_s=0.1 * (late == "specialist"), error=error),
            OtsuSegmenter("other", role="omnimodel", delay_s=0.1 * (late == "omnimodel"), error=error),
        )
        await a_run(folder, tmp_path / late, models, omnimodel="other", limit=3).go()
    for name in FILES:
        assert (tmp_path / "specialist" / name).read_bytes() == (tmp_path / "omnimodel" / name).read_bytes()
    summary = json.loads((tmp_path / "omnimodel" / "summary.json").read_text("utf-8"))
    assert list(summary["reliability"]) == ([] if error else ["specialist", "omnimodel", "fused"])


async def test_without_a_truth_nothing_counts_as_missed(folder: Path, tmp_path: Path) -> None:
    """An omnimodel that fails on every image has as many zeros as there are truths; the reason is told."""
    for index in (1, 3, 4):
        (folder / "masks" / f"case{index:02d}.png").unlink()
    dead = OtsuSegmenter("cloud", role="omnimodel", error=Unreachable("Down."))
    out = tmp_path / "out"
    result = await a_run(folder, out, OtsuModels(omnimodel=dead), omnimodel="cloud", limit=6).go()
    omnimodel = result.summary["models"]["omnimodel"]
    assert (omnimodel["failed"], omnimodel["without_truth"], omnimodel["metrics"]["dice"]["n"]) == (3, 3, 3)
    untold = [row for row in rows_in(out) if row["image"] == "case03"]
    assert {row["status"] for row in untold} == {"no truth"}
    assert [bool(row["area_px"]) for row in untold] == [True, False, True]  # there are masks to look at
    assert "Down." in untold[1]["reason"]
    assert result.totals.failed == 0


async def test_what_has_neither_mask_nor_truth_has_failed(folder: Path, tmp_path: Path) -> None:
    """A case that gives no mask is told as failed, but is no zero of any mean."""
    (folder / "masks" / "case00.png").unlink()
    dead = OtsuSegmenter("own", error=Unreachable("Down."))
    result = await a_run(folder, tmp_path / "out", OtsuModels(dead), limit=2).go()
    assert result.totals.failed == 2
    fused = result.summary["models"]["fused"]
    assert (fused["failed"], fused["without_truth"]) == (1, 1)

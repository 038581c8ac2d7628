"""What a run leaves behind: complete, the same bytes for the same records, and safe to open."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omniview.batch.columns import TABLE
from omniview.batch.publish import publish, safe_text
from omniview.batch.rows import COLUMNS, FAILED, NO_TRUTH, NOT_ASKED, UNREADABLE, Record, Row
from omniview.core.metrics import METRICS
from omniview.errors import OutputError
from tests.batch.conftest import CASES, NORMALS, PhantomRun
from tests.batch.made import record_of, row_of

FILES = {
    "cases.csv",
    "cases.parquet",
    "columns.json",
    "report.html",
    "summary.json",
    "tables.md",
    "tables.tex",
}


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name in FILES}


def _summary(folder: Path) -> dict:  # type: ignore[type-arg]
    found: dict = json.loads((folder / "summary.json").read_text("utf-8"))  # type: ignore[type-arg]
    return found


def _lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_records_give_the_same_bytes(phantom_run: PhantomRun, tmp_path: Path) -> None:
    """Published again, from a list or from a generator, every file of the run is equal to the last byte."""
    publish(phantom_run.records, phantom_run.about, tmp_path / "a")
    publish(iter(phantom_run.records), phantom_run.about, tmp_path / "b")
    first = _bytes(tmp_path / "a")
    assert set(first) == FILES
    assert {path.name for path in (tmp_path / "a").iterdir()} == FILES
    assert first == _bytes(tmp_path / "b") == _bytes(phantom_run.out)


def test_no_path_of_this_machine_is_written(phantom_run: PhantomRun) -> None:
    """Neither the folder of the images nor that of the results stands in any file."""
    for name, content in _bytes(phantom_run.out).items():
        assert str(phantom_run.out.parent).encode() not in content, name


def test_what_is_not_written_is_said_without_a_path(
    phantom_run: PhantomRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pyarrow is missing summary.json names the extra alone: pip is another's on another machine."""
    monkeypatch.setattr("omniview.batch.parquet.find_spec", lambda _: None)
    publish(phantom_run.records, phantom_run.about, tmp_path)
    said = _summary(tmp_path)["not_written"]["cases.parquet"]
    assert "install omniview[parquet]" in said
    assert "pip" not in said
    assert not (tmp_path / "cases.parquet").exists()


def test_every_column_is_defined(phantom_run: PhantomRun) -> None:
    """columns.json has the columns of cases.csv in order, metrics with range, direction and source."""
    defined = json.loads((phantom_run.out / "columns.json").read_text("utf-8"))["columns"]
    with (phantom_run.out / "cases.csv").open(encoding="utf-8") as file:
        assert file.readline().strip().split(",") == [one["name"] for one in defined] == list(COLUMNS)
    assert set(TABLE) == set(COLUMNS)
    for one in defined:
        assert one["definition"]
        if one["name"] in METRICS:
            assert one["source"]
            assert one["direction"] in ("higher is better", "lower is better")
            assert one["range"][0] is not None


def test_means_are_those_of_the_rows(phantom_run: PhantomRun) -> None:
    """Recomputed from cases.csv; the torn image is counted apart and in no mean."""
    rows, summary = _lines(phantom_run.out), _summary(phantom_run.out)
    assert summary["cases"] == CASES + NORMALS + 1
    for model, one in summary["models"].items():
        dice = [float(row["dice"]) for row in rows if row["model"] == model and row["dice"]]
        assert one["metrics"]["dice"]["n"] == len(dice) == CASES + NORMALS
        assert one["metrics"]["dice"]["mean"] == pytest.approx(np.mean(dice), abs=1e-6)
        assert one["unreadable"] == 1
        without = one["metrics_without_true_negatives"]["dice"]
        assert without["n"] == CASES + NORMALS - one["true_negatives"]
        assert one["nothing_to_find"] == NORMALS


def test_parquet_holds_the_same_rows(phantom_run: PhantomRun) -> None:
    """Row by row the numbers of cases.csv, with their types; blanks are nulls."""
    import pyarrow.parquet as pq

    table = pq.read_table(phantom_run.out / "cases.parquet")
    assert table.column_names == list(COLUMNS)
    assert json.loads(table.schema.metadata[b"omniview"]) == _summary(phantom_run.out)["about"]
    for row, line in zip(table.to_pylist(), _lines(phantom_run.out), strict=True):
        assert row["image"] == line["image"]
        assert (row["dice"] is None) == (line["dice"] == "")
        if row["dice"] is not None:
            assert row["dice"] == pytest.approx(float(line["dice"]), rel=1e-8)
            assert row["true_negative"] is (line["true_negative"] == "1")


def test_failures_count_as_worst_and_apart(tmp_path: Path) -> None:
    """A missing mask: Dice 0, HD95 the diagonal; what was not asked, or has no truth, is in no mean."""
    statuses = [FAILED, NOT_ASKED, NO_TRUTH, UNREADABLE]
    rows = [row_of("good", "specialist", 0.8, hd95=10.0, precision=0.9)]
    rows += [row_of(status, "specialist", None, status) for status in statuses]
    publish([record_of(row.image, [row]) for row in rows], {}, tmp_path)
    one = _summary(tmp_path)["models"]["specialist"]
    assert (one["cases"], one["scored"], one["failed"]) == (5, 1, 1)
    assert (one["not_asked"], one["without_truth"], one["unreadable"]) == (1, 1, 1)
    assert (one["metrics"]["dice"]["n"], one["metrics"]["dice"]["mean"]) == (2, 0.4)
    assert one["metrics"]["hd95"]["mean"] == pytest.approx((10 + 141.42) / 2)
    assert one["defined"]["hd95"] == {**one["defined"]["hd95"], "n": 1, "mean": 10.0}


def test_undefined_values_count_by_what_made_them_so(tmp_path: Path) -> None:
    """An empty mask where there is something: precision 0. Nothing to find: sensitivity does not count."""
    missed = row_of("missed", "fused", 0.0, area_px=0, precision=None, sensitivity=0.0, hd95=None)
    false = row_of("false", "fused", 0.0, truth_area_px=0, precision=0.0, sensitivity=None, hd95=None)
    good = row_of("good", "fused", 1.0, precision=1.0, sensitivity=1.0, hd95=0.0)
    publish([record_of(row.image, [row]) for row in (missed, false, good)], {}, tmp_path)
    one = _summary(tmp_path)["models"]["fused"]
    assert (one["metrics"]["precision"]["n"], one["metrics"]["precision"]["mean"]) == (
        3,
        pytest.approx(1 / 3),
    )
    assert (one["metrics"]["sensitivity"]["n"], one["metrics"]["sensitivity"]["mean"]) == (2, 0.5)
    assert one["metrics"]["hd95"]["mean"] == pytest.approx(2 * 141.42 / 3, rel=1e-6)
    assert (one["missed"], one["false_finds"]) == (1, 1)


def test_each_task_has_its_own_means_and_mixed_units_none(tmp_path: Path) -> None:
    """Two tasks, one in mm: means a task; over all, Dice has a mean and distances have none."""
    rows = [row_of(f"p{k}", "fused", 0.5, hd95=4.0) for k in range(3)]
    rows += [row_of(f"b{k}", "fused", 0.9, hd95=1.0, task="breast", distance_unit="mm") for k in range(3)]
    publish([record_of(row.image, [row]) for row in rows], {}, tmp_path)
    summary = _summary(tmp_path)
    assert summary["models"]["fused"]["metrics"]["dice"]["mean"] == pytest.approx(0.7)
    assert "hd95" not in summary["models"]["fused"]["metrics"]
    assert summary["tasks"]["breast"]["models"]["fused"]["metrics"]["hd95"]["mean"] == 1.0
    assert (summary["tasks"]["breast"]["distance_unit"], summary["distance_unit"]) == ("mm", None)
    assert "breast" in (tmp_path / "report.html").read_text("utf-8")


def test_readers_are_scored_each_and_against_each_other(tmp_path: Path) -> None:
    """The first reader counts in the means; the others and the people stand apart."""
    records = []
    for case in range(4):
        name = f"c{case}"
        rows = [row_of(name, "fused", 0.9, truth="anna"), row_of(name, "fused", 0.6, truth="bo")]
        records.append(record_of(name, [*rows, row_of(name, "observer bo", 0.7, truth="anna")]))
    publish(records, {}, tmp_path)
    summary = _summary(tmp_path)
    assert list(summary["models"]) == ["fused"]
    assert summary["models"]["fused"]["metrics"]["dice"]["mean"] == pytest.approx(0.9)
    found = {(one["model"], one["against"]): one for one in summary["readers"]}
    assert found["fused", "bo"]["metrics"]["dice"]["mean"] == pytest.approx(0.6)
    assert found["bo", "anna"]["is_person"]
    assert "People against each other" in (tmp_path / "report.html").read_text("utf-8")


def test_a_run_of_failures_has_a_mean(tmp_path: Path) -> None:
    """Where every case has failed, no metric was computed, and the Dice is 0 all the same."""
    rows = [row_of(name, "fused", None, FAILED) for name in ("a", "b")]
    publish([record_of(row.image, [row]) for row in rows], {}, tmp_path)
    metrics = _summary(tmp_path)["models"]["fused"]["metrics"]
    assert {name: (one["n"], one["mean"]) for name, one in metrics.items()} == {"dice": (2, 0.0)}


def test_tables_say_what_made_them(tmp_path: Path) -> None:
    """Version and models stand in the files of tables too, which leave the folder alone."""
    about = {"provided_by": "OmniView 9.8", "models": {"specialist": [{"model": "net-7"}]}}
    publish([record_of("a", [row_of("a", "specialist", 0.5)])], about, tmp_path)
    for name in ("tables.md", "tables.tex"):
        text = (tmp_path / name).read_text("utf-8")
        assert "OmniView 9.8" in text
        assert "net-7" in text


def test_comparisons_are_paired_and_adjusted(phantom_run: PhantomRun) -> None:
    """Every pair of three models on three metrics; adjusted p never below p."""
    found = _summary(phantom_run.out)["comparisons"]
    assert {(one["a"], one["b"]) for one in found} == {
        ("specialist", "omnimodel"),
        ("specialist", "fused"),
        ("omnimodel", "fused"),
    }
    assert len(found) == 9
    assert all(one["p_holm"] >= one["p"] and one["n"] == CASES + NORMALS for one in found)


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_is_a_formula(words: str) -> None:
    """Words that a spreadsheet would run are quoted; numbers stay numbers."""
    assert safe_text(words) == "'" + words
    assert safe_text("'" + words) == "''" + words, "two names must not become one"
    assert safe_text(-1.5) == "-1.5"
    assert safe_text("case-1") == "case-1"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_evil_names_stay_names(tmp_path: Path, end: str) -> None:
    """Markup, commas, quotes and line breaks in names and reasons come back as they were; nothing runs."""
    name = f'<script>alert("x")</script>,{end}"=HYPERLINK(0)" & \\input{{x}} | 100 % _$'
    rows = [row_of(name, "fused", None, FAILED, reason=name)]
    publish([record_of(name, rows), record_of("b", [row_of("b", "fused", 0.5)])], {"note": name}, tmp_path)
    assert _lines(tmp_path)[0]["image"] == name
    report = (tmp_path / "report.html").read_text("utf-8")
    assert "<script>alert" not in report
    assert "&lt;script&gt;alert" in report


def test_no_case_at_all_is_a_report_too(tmp_path: Path) -> None:
    """An empty run, and one in which nothing could be read, leave every file."""
    publish([], {"incomplete": True, "cases": 5, "finished": 0}, tmp_path / "empty")
    nothing = Row("a", "fused", UNREADABLE, values={"reason": "torn"})
    publish([record_of("a", [nothing])], {}, tmp_path / "torn")
    for folder in (tmp_path / "empty", tmp_path / "torn"):
        assert {path.name for path in folder.iterdir()} == FILES
    assert "not finished" in (tmp_path / "empty" / "report.html").read_text("utf-8")
    assert "torn" in (tmp_path / "torn" / "report.html").read_text("utf-8")


def test_what_breaks_off_leaves_the_old_files(phantom_run: PhantomRun, tmp_path: Path) -> None:
    """Records that end in an error replace nothing, and leave no rest."""
    publish(phantom_run.records, phantom_run.about, tmp_path)
    before = _bytes(tmp_path)

    def broken() -> Iterator[Record]:
        yield phantom_run.records[0]
        raise OutputError("The journal is gone.")

    with pytest.raises(OutputError):
        publish(broken(), phantom_run.about, tmp_path)
    assert _bytes(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_memory_is_bounded(phantom_run: PhantomRun, tmp_path: Path) -> None:
    """Three thousand cases with thumbnails take far less memory than their records would."""
    one = phantom_run.records[0]

    def many() -> Iterator[Record]:
        for case in range(3000):
            rows = tuple(replace(row, image=f"c{case}", values=dict(row.values)) for row in one.rows)
            yield replace(one, name=f"c{case}", rows=rows, thumbnail=bytes(20_000))

    tracemalloc.start()
    try:
        publish(many(), {}, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 120e6
    assert (tmp_path / "report.html").stat().st_size < 3e6

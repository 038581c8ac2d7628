"""Two runs: what moved, by how much, and what had changed between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omniview.batch.against import compare_runs
from omniview.batch.publish import publish
from omniview.batch.rows import FAILED, Row
from omniview.errors import InputError, UnreadableFile
from tests.batch.conftest import PhantomRun
from tests.batch.made import record_of, row_of


def _run(folder: Path, rows: list[Row], **about: Any) -> Path:
    publish([record_of(row.image, [row]) for row in rows], about, folder)
    return folder


def _rows(**changed: Row) -> list[Row]:
    """Cases c0 to c7 with Dice 0.5; some of them replaced."""
    return [changed.get(f"c{k}", row_of(f"c{k}", "fused", 0.5, quality=0.6)) for k in range(8)]


def test_what_moved_is_told_with_its_reason(tmp_path: Path) -> None:
    """The furthest first: a failure, a new truth, a mask alone; the others are counted."""
    there = _run(tmp_path / "there", _rows(), version="1", weights={"net": "aa"})
    moved = _rows(
        c1=row_of("c1", "fused", None, FAILED, reason="The network failed."),
        c2=row_of("c2", "fused", 0.9, quality=0.6, truth_area_px=700),
        c3=row_of("c3", "fused", 0.52, quality=0.6),
    )
    here = _run(tmp_path / "here", moved, version="2", weights={"net": "bb"})
    found = compare_runs(here, there)
    assert [move.image for move in found.moves] == ["c1", "c2", "c3"]
    assert found.same == 5
    assert "ok became failed" in found.moves[0].why
    assert "The network failed." in found.moves[0].why
    assert (found.moves[1].before, found.moves[1].after) == (0.5, 0.9)
    assert "the truth changed" in found.moves[1].why
    assert found.moves[2].why == "the mask alone changed"
    assert found.changed == {"version": ("1", "2"), "weights.net": ("aa", "bb")}
    said = "\n".join(found.lines())
    assert "3 rows moved, 5 did not" in said
    assert "weights.net: aa -> bb" in said


def test_what_ran_is_compared_fact_by_fact(tmp_path: Path) -> None:
    """Of two models in one part, what differs is told, what does not is left out; a terminal can show it."""
    one, two = ({"model": name, "provider": "CPU", "weights_sha256": name * 64} for name in "ab")
    there = _run(tmp_path / "there", _rows(), models={"specialist": [one | {"views": 2}, two | {"views": 8}]})
    ran = {"specialist": [one | {"views": 1}, two | {"views": 1}], "omnimodel": [one]}
    found = compare_runs(_run(tmp_path / "here", _rows(), models=ran), there)
    assert found.changed["models.specialist.views"] == ([2, 8], 1)
    assert set(found.changed) == {"models.specialist.views", "models.omnimodel"}
    said = "\n".join(found.lines())
    assert "models.specialist.views: [2, 8] -> 1" in said
    assert "models.omnimodel: none -> model a, provider CPU" in said
    assert found.to_json()["about"]["other"]["models"]["specialist"][1]["weights_sha256"] == "b" * 64
    assert ("b" * 64).encode() in (tmp_path / "here" / "against.html").read_bytes()


def test_a_terminal_names_the_cases(tmp_path: Path) -> None:
    """Those that moved furthest, with the reason, and where the others are; small p values are bounds."""
    there = _run(tmp_path / "one" / "out", [row_of(f"c{k}", "fused", 0.5) for k in range(20)])
    here = _run(tmp_path / "two" / "out", [row_of(f"c{k}", "fused", 0.6 + k / 100) for k in range(20)])
    found = compare_runs(here, there)
    said = [*found.lines()]
    assert "c19: fused: Dice 0.500 -> 0.790: the mask alone changed" in said
    assert len([line for line in said if ": Dice 0.500" in line]) == 10
    assert said[-1] == "10 rows moved less than these: see against.html."
    assert "p (Holm) < 0.001" in "\n".join(said)
    assert (found.out, found.other) == ("out (this)", "out (other)")
    lone = [*compare_runs(_run(tmp_path / "lone", [row_of("c0", "fused", 0.5)]), there).lines()]
    assert lone[:2] == ["0 rows moved, 1 did not.", "19 cases only in the other run."]


def test_means_are_compared_in_pairs(tmp_path: Path) -> None:
    """Every case gains 0.1, one fails: the mean difference counts it as 0, and n is that of the pairs."""
    there = _run(tmp_path / "there", _rows())
    gained = {f"c{k}": row_of(f"c{k}", "fused", 0.6, quality=0.6) for k in range(1, 8)}
    here = _run(tmp_path / "here", _rows(c0=row_of("c0", "fused", None, FAILED), **gained))
    (test,) = compare_runs(here, there).tests
    assert (test.model, test.metric, test.difference.n) == ("fused", "dice", 8)
    assert test.difference.mean == pytest.approx((7 * 0.1 - 0.5) / 8)
    assert (test.difference.better, test.difference.worse) == (7, 1)


def test_distances_in_other_units_are_not_compared(tmp_path: Path) -> None:
    """Pixels less millimetres mean nothing: such metrics are left out and named; in one unit they stand."""
    rows = {
        unit: [row_of(f"c{k}", "fused", 0.5, hd95=4.0 + k, distance_unit=unit) for k in range(8)]
        for unit in ("px", "mm")
    }
    one_apart = [*rows["mm"][:7], rows["px"][7]]
    there = _run(tmp_path / "there", rows["mm"])
    same = compare_runs(_run(tmp_path / "same", rows["mm"]), there)
    assert ("hd95" in {test.metric for test in same.tests}, same.left_out, same.note) == (True, (), "")
    assert b"HD95, mm" in (tmp_path / "same" / "against.html").read_bytes()
    for name, changed in (("all", rows["px"]), ("one", one_apart)):
        found = compare_runs(_run(tmp_path / name, changed), there)
        assert {test.metric for test in found.tests} == {"dice"}
        assert found.left_out == ("hd95",)
        assert "some distances are in px and some in mm: hd95" in "\n".join(found.lines())
        assert b"in px and some in mm: hd95" in (tmp_path / name / "against.html").read_bytes()


def test_cases_of_one_run_alone_are_named(tmp_path: Path) -> None:
    """They are in no mean, and stand apart."""
    here, there = _run(tmp_path / "here", _rows()[:5]), _run(tmp_path / "there", _rows()[2:])
    found = compare_runs(here, there)
    assert found.only_here == ("c0", "c1")
    assert found.only_there == ("c5", "c6", "c7")
    assert found.same == 3


def test_files_are_written(tmp_path: Path) -> None:
    """against.json and a page of its own, with every word escaped; the same bytes again."""
    there = _run(tmp_path / "there", _rows())
    here = _run(tmp_path / "here", _rows(c1=row_of("c1", "fused", 0.1, reason="<b>blurred")))
    found = compare_runs(here, there)
    written = json.loads((here / "against.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(found.to_json()))
    page = (here / "against.html").read_bytes()
    assert b"&lt;b&gt;blurred" in page
    assert b"<b>blurred" not in page
    compare_runs(here, there)
    assert (here / "against.html").read_bytes() == page


def test_a_run_is_what_it_is(phantom_run: PhantomRun, tmp_path: Path) -> None:
    """A real run against itself, published elsewhere: nothing moved, and every p is 1."""
    publish(phantom_run.records, phantom_run.about, tmp_path / "again")
    found = compare_runs(tmp_path / "again", phantom_run.out, write=False)
    assert found.moves == ()
    assert found.changed == {}
    assert all(test.difference.p == 1.0 for test in found.tests)
    assert not (tmp_path / "again" / "against.json").exists()


def test_what_is_no_run_is_refused_in_words(tmp_path: Path) -> None:
    """A folder without results, one with torn results, the same folder, and a run of other cases."""
    here = _run(tmp_path / "here", _rows())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFile, match=r"empty holds no finished run: summary\.json is missing"):
        compare_runs(here, tmp_path / "empty")
    with pytest.raises(UnreadableFile, match="nowhere"):
        compare_runs(here, tmp_path / "nowhere")
    with pytest.raises(InputError, match="itself"):
        compare_runs(here, tmp_path / "empty" / ".." / "here")
    other = _run(tmp_path / "other", [row_of("z", "fused", 0.5)])
    with pytest.raises(InputError, match="share no case"):
        compare_runs(here, other)
    (other / "summary.json").write_text("{torn")
    with pytest.raises(UnreadableFile, match="cannot be read"):
        compare_runs(here, other)
    (other / "summary.json").write_text("[]")
    with pytest.raises(UnreadableFile, match="not of a run"):
        compare_runs(here, other)
    (other / "cases.csv").write_text("name,dice\n")
    (other / "summary.json").write_text("{}")
    with pytest.raises(UnreadableFile, match="no column"):
        compare_runs(here, other)

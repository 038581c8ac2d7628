"""The journal holds every finished case once and whole, and belongs to one run at a time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from omniview.batch.journal import NAME, Input, Journal
from omniview.batch.rows import FAILED, OK, Record, Row
from omniview.batch.work import Done
from omniview.errors import OutputError


def done(name: str, *, cost: float | None = None, status: str = OK) -> Done:
    """A case of two rows."""
    paid = {} if cost is None else {"cost": cost, "currency": "USD"}
    rows = (
        Row(name, "omnimodel", OK, "first", {"dice": 0.1 + 0.2, **paid}),
        Row(name, "fused", status, "first", {"dice": None, "true_negative": False}),
    )
    record = Record(
        name, f"/set/{name}.png", {"first": "/set/m.png"}, rows, {"fused": ((3, 0.5, 2.0),)}, b"\xff\xd8\0"
    )
    return Done(record, {"omnimodel": {"model": "m"}}, {"total": 1.5}, {f"masks/{name}.png": b"png"})


INPUTS = [Input("b", "1"), Input("a", "2"), Input("c", "3")]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Records come in the order of the inputs, equal to the last bit, with their masks on the disk."""
    with Journal(tmp_path) as journal:
        journal.begin({"deciding": {"x": 1}}, INPUTS)
        journal.add(done("a"))
        journal.add(done("b", cost=0.25, status=FAILED))
    with Journal(tmp_path) as journal:
        assert journal.about()["deciding"] == {"x": 1}
        assert journal.inputs() == INPUTS
        assert journal.stamp("a") == "2"
        assert journal.finished() == {"a", "b"}
        records = journal.records()
        assert len(records) == 2
        assert list(records) == [done("b", cost=0.25, status=FAILED).record, done("a").record]
        assert list(records) == list(records)
        totals = journal.totals()
        assert (totals.finished, totals.failed, totals.cost, totals.currency) == (2, 1, 0.25, "USD")
        assert journal.ran() == {"omnimodel": [{"model": "m"}]}
        assert list(journal.seconds()) == [("b", {"total": 1.5}), ("a", {"total": 1.5})]
    assert (tmp_path / "masks" / "a.png").read_bytes() == b"png"


def test_nothing_is_counted_twice(tmp_path: Path) -> None:
    """The same case a second time is refused, and what was there stays."""
    with Journal(tmp_path) as journal:
        journal.begin({}, INPUTS)
        journal.add(done("a", cost=1.0))
        with pytest.raises(OutputError):
            journal.add(done("a", cost=2.0))
        assert journal.totals().cost == 1.0


def test_cases_of_other_files_are_dropped(tmp_path: Path) -> None:
    """When a run goes on with changed inputs, only cases of unchanged files are kept."""
    with Journal(tmp_path) as journal:
        journal.begin({}, INPUTS)
        for name in "abc":
            journal.add(done(name))
        journal.begin({}, [Input("a", "2"), Input("b", "changed"), Input("d", "4")])
        assert journal.finished() == {"a"}


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second journal of the folder is refused while the first is open, and free afterwards."""
    with Journal(tmp_path), pytest.raises(OutputError, match="another run is writing"):
        Journal(tmp_path)
    Journal(tmp_path).close()


@pytest.mark.skipif(sys.platform == "win32", reason="an open file is not deleted there")
def test_a_folder_that_was_taken_away_is_not_written_to(tmp_path: Path) -> None:
    """Neither where it was deleted meanwhile, nor where another run has begun in its place."""
    with Journal(tmp_path / "out") as journal:
        journal.begin({}, INPUTS)
        journal.add(done("a"))
        (tmp_path / "out").rename(tmp_path / "moved")
        with pytest.raises(OutputError, match="is gone"):
            journal.add(done("b"))
        assert not (tmp_path / "out").exists()
        with Journal(tmp_path / "out"), pytest.raises(OutputError, match="is gone"):
            journal.add(done("b"))
        assert not (tmp_path / "out" / "masks").exists()
    with Journal(tmp_path / "moved") as journal:
        assert journal.finished() == {"a"}


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """Whatever has that name is left as it is."""
    (tmp_path / NAME).write_bytes(b"something else entirely" * 100)
    with pytest.raises(OutputError, match="damaged"):
        Journal(tmp_path)
    assert (tmp_path / NAME).read_bytes().startswith(b"something else")

"""The audit: complete, chained, safe among threads and processes, and silent about persons."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from omniview.errors import OutputError, UnreadableFile
from omniview.omnimodel.audit import Audit, Paid, paid, verify


def written(folder: Path, count: int = 5) -> Path:
    """An audit with some records."""
    audit = Audit(folder)
    for number in range(count):
        assert audit.append(event="sent", bytes=number, model="m", cost=None) == number + 1
    return audit.path


def test_an_unbroken_chain_is_counted(tmp_path: Path) -> None:
    """Verify gives the number of records; none yet is no error; empty fields are left out."""
    assert verify(tmp_path / "audit.jsonl") == 0
    path = written(tmp_path)
    assert verify(path) == 5
    record = json.loads(path.read_text("utf-8").splitlines()[2])
    assert (record["n"], record["bytes"], record["event"]) == (3, 2, "sent")
    assert record["time"].endswith("+00:00")
    assert "cost" not in record


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (3, lambda lines: [*lines[:2], lines[2].replace('"bytes":2', '"bytes":9'), *lines[3:]]),
        (2, lambda lines: [lines[0], *lines[2:]]),
        (1, lambda lines: lines[1:]),
        (2, lambda lines: [lines[0], lines[2], lines[1], *lines[3:]]),
        (4, lambda lines: [*lines[:3], lines[2], *lines[3:]]),
        (5, lambda lines: lines[:4]),
        (1, lambda lines: lines[:0]),
        (6, lambda lines: [*lines, '{"n":6}']),
        (3, lambda lines: [*lines[:2], "torn", *lines[3:]]),
        (2, lambda lines: [lines[0], "[]", *lines[2:]]),
    ],
    ids=["changed", "removed", "first removed", "swapped", "doubled", "end removed", "emptied", "added",
         "torn", "other JSON"],
)  # fmt: skip
def test_tampering_is_found_at_its_line(tmp_path: Path, line: int, change: object) -> None:
    """Any change, removal, insertion or new order is reported with the line where it shows."""
    assert callable(change)
    path = written(tmp_path)
    path.write_text("".join(f"{text}\n" for text in change(path.read_text("utf-8").splitlines())), "utf-8")
    with pytest.raises(UnreadableFile, match=f"line {line}:") as caught:
        verify(path)
    assert caught.value.next_step


def test_a_missing_file_or_head_is_found(tmp_path: Path) -> None:
    """Deleting either file does not make a clean slate."""
    path = written(tmp_path)
    head = path.with_suffix(".head").read_bytes()
    path.with_suffix(".head").unlink()
    with pytest.raises(UnreadableFile):
        verify(path)
    path.with_suffix(".head").write_bytes(b"gibberish")
    with pytest.raises(UnreadableFile):
        verify(path)
    path.with_suffix(".head").write_bytes(head)
    assert verify(path) == 5
    path.unlink()
    with pytest.raises(UnreadableFile):
        verify(path)


def test_a_crash_before_the_head_is_no_tampering(tmp_path: Path) -> None:
    """The head may lag one record behind; the next record mends it."""
    path = written(tmp_path, 2)
    head = path.with_suffix(".head").read_bytes()
    Audit(tmp_path).append(event="sent")
    path.with_suffix(".head").write_bytes(head)
    assert verify(path) == 3
    Audit(tmp_path).append(event="ended")
    assert verify(path) == 4


def test_a_torn_line_stays_visible(tmp_path: Path) -> None:
    """After a power cut in mid line the audit goes on, and verify shows where it was torn."""
    path = written(tmp_path, 3)
    path.write_bytes(path.read_bytes()[:-20])
    assert Audit(tmp_path).append(event="sent") == 3
    assert len(path.read_text("utf-8").splitlines()) == 4
    with pytest.raises(UnreadableFile, match="line 3"):
        verify(path)


def test_many_threads_write_one_chain(tmp_path: Path) -> None:
    """Concurrent records neither mix nor fork the chain."""
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda i: Audit(tmp_path).append(bytes=i), range(120)))
    assert sorted(numbers) == list(range(1, 121))
    assert verify(tmp_path / "audit.jsonl") == 120


def test_many_processes_write_one_chain(tmp_path: Path) -> None:
    """The same among processes."""
    code = (
        "import sys; from pathlib import Path; from omniview.omnimodel.audit import Audit\n"
        "for i in range(40): Audit(Path(sys.argv[1])).append(bytes=i)"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert verify(tmp_path / "audit.jsonl") == 120


def test_what_cannot_be_written_or_read_is_said(tmp_path: Path) -> None:
    """A home that is no folder is an error with a next step."""
    file = tmp_path / "file"
    file.write_text("", "utf-8")
    with pytest.raises(OutputError, match="audit") as caught:
        Audit(file).append(event="sent")
    assert "nothing is sent" in caught.value.next_step
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(UnreadableFile, match="cannot be read"):
        verify(tmp_path / "audit.jsonl")


def test_what_was_paid_is_told_by_endpoint(tmp_path: Path) -> None:
    """The end of a call belongs to where its last departure went; an unknown cost is counted, not guessed."""
    assert paid(tmp_path / "audit.jsonl") == ()
    audit = Audit(tmp_path)
    for endpoint, cost in (("https://a:443", 0.25), ("https://b:443", 0.5), ("https://a:443", 0.5)):
        number = audit.append(event="sent", endpoint=endpoint)
        audit.append(event="ended", of=number, cost=cost, currency="USD")
    audit.append(event="ended", of=audit.append(event="sent", endpoint="https://b:443"))
    found = paid(audit.path)
    day = found[0].day
    assert found == (
        Paid(day, "https://a:443", 2, 0.75, "USD"),
        Paid(day, "https://b:443", 1, None, ""),
        Paid(day, "https://b:443", 1, 0.5, "USD"),
    )

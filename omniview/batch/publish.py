"""From records to files: the one door that a run calls when it ends.

The same records and the same facts give the same bytes: no clock, no path, no order of dictionaries from
elsewhere. Records go by once; each file takes its name only when it is whole.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Literal

from omniview.batch.columns import columns_json
from omniview.batch.findings import find
from omniview.batch.gather import Gatherer
from omniview.batch.parquet import ParquetTable, parquet_missing
from omniview.batch.report import report_html
from omniview.batch.rows import COLUMNS, Record, Row, text_of
from omniview.batch.summary import summary_json
from omniview.batch.tables import latex, markdown
from omniview.io.write import replacing, write_bytes, write_json

__all__ = ["publish", "safe_text"]

_RUN = frozenset("=+-@\t\r\n")  # first characters of what a spreadsheet takes for a formula


def publish(records: Iterable[Record], about: Mapping[str, Any], out: Path) -> None:
    """Write cases.csv, columns.json, cases.parquet, summary.json, report.html, tables.md and tables.tex.

    cases.parquet is written where pyarrow is installed (omniview[parquet]); what is not written is named in
    summary.json, under `not_written`.

    Args:
        records: finished cases in order; gone through once.
        about: what ran: versions, settings, hashes, counts; JSON can hold it.
        out: folder; made if missing, files in it are replaced.

    Raises:
        OutputError: a file cannot be written; those of an earlier run stay as they were.
    """
    gatherer = Gatherer()
    missing = parquet_missing()
    with ExitStack() as files:
        table = _CsvTable(files.enter_context(replacing(out / "cases.csv")))
        parquet = None
        if missing is None:
            columns = files.enter_context(replacing(out / "cases.parquet"))
            parquet = files.enter_context(ParquetTable(columns, about))
        for record in records:
            gatherer.add(record)
            table.add(record.rows)
            if parquet is not None:
                parquet.add(record.rows)
    write_json(out / "columns.json", columns_json())
    findings = find(gatherer.finish())
    summary = summary_json(findings, about)
    summary["not_written"] = {} if missing is None else {"cases.parquet": missing}
    write_json(out / "summary.json", summary)
    write_bytes(out / "tables.tex", latex(findings, about).encode())
    write_bytes(out / "tables.md", markdown(findings, about).encode())
    write_bytes(out / "report.html", report_html(findings, about).encode())


def safe_text(value: Any) -> str:
    """A value as cases.csv has it; words that a spreadsheet would run get an apostrophe before them."""
    if type(value) is float:  # most are: millions of them in a large folder
        return f"{value:.9g}"
    text = text_of(value)
    if isinstance(value, str) and text.lstrip("'")[:1] in _RUN:  # also '=a, which must not become =a's name
        return "'" + text
    return text


class _CsvTable:
    """Lines of cases.csv, straight to the disk."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._write([COLUMNS])

    def add(self, rows: Iterable[Row]) -> None:
        """Write rows."""
        self._write(_lines(rows))

    def _write(self, lines: Iterable[Iterable[str]]) -> None:
        fields = [*lines]
        text = _csv(fields, csv.QUOTE_MINIMAL)
        if "\r" in text:  # quoted by nobody, and taken for the end of a line by every reader
            text = _csv(fields, csv.QUOTE_ALL)
        self._stream.write(text.encode())


def _csv(lines: Iterable[Iterable[str]], quoting: Literal[0, 1]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=quoting).writerows(lines)
    return text.getvalue()


def _lines(rows: Iterable[Row]) -> Iterator[list[str]]:
    for row in rows:
        values = row.as_dict()
        yield ["" if (value := values.get(name)) is None else safe_text(value) for name in COLUMNS]

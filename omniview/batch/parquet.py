"""cases.parquet: the rows of cases.csv with their types, for whoever reads columns rather than lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from types import TracebackType
from typing import Any, BinaryIO, Self

from omniview.batch.columns import TABLE
from omniview.batch.rows import COLUMNS, Row

__all__ = ["ParquetTable", "parquet_missing"]

_AT_ONCE = 2000  # rows: a group of the file, and what is held in memory


def parquet_missing() -> str | None:
    """What to do to get the file, or None where it can be written."""
    if find_spec("pyarrow") is None:
        return "pyarrow is not installed; install omniview[parquet], then score with --resume."
    return None


class ParquetTable:
    """Rows into a stream of Parquet; use as a context, which ends the file.

    Args:
        stream: takes the file's bytes.
        about: what ran; kept as JSON in the file's metadata, under `omniview`, but for `unpaired`.
    """

    def __init__(self, stream: BinaryIO, about: Mapping[str, Any]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64(), "truth": pa.bool_()}
        fields = [(name, types[TABLE[name].type]) for name in COLUMNS]
        ran = {name: value for name, value in about.items() if name != "unpaired"}
        self._schema = pa.schema(fields, {"omniview": json.dumps(ran)})
        self._table = pa.Table
        self._writer = pq.ParquetWriter(stream, self._schema, compression="snappy")
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Write rows."""
        self._rows += [
            {name: value for name in COLUMNS if (value := one.get(name)) is not None}
            for one in (row.as_dict() for row in rows)
        ]
        if len(self._rows) >= _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

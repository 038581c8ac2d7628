"""The table of a batch: what it says of each case, and that 100,000 of them are sorted and found at once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QPixmap, QTextDocument

from omniview.batch.rows import Record, Row
from omniview.io.pair_types import Pair
from omniview.ui.batch_cases import Cases, Line
from omniview.ui.batch_table import CaseTable
from omniview.ui.batch_view import CaseView
from omniview.ui.messages import Level
from omniview.ui.panel import as_written


def _table(*names: str) -> CaseTable:
    table = CaseTable()
    table.show_cases(Cases([Pair(Path(f"{name}.png"), None, name) for name in names]))
    return table


def _line(name: str, dice: float, thumbnail: bytes | None = None) -> Line:
    row = Row(name, "fused", "ok", values={"dice": dice, "quality": 0.5})
    return Line.of(Record(name, f"{name}.png", {}, (row,), thumbnail=thumbnail))


def test_a_hundred_thousand_rows_are_not_looked_at_before_they_are_seen(qapp: object) -> None:
    """The table answers for any row at once, sorts by score, and puts what has none last."""
    table = _table(*map(str, range(100_000)))
    table.put([_line("99999", 0.25), _line("5", 0.5), _line("elsewhere", 1.0)])
    table.sort(4, Qt.SortOrder.AscendingOrder)
    assert [table.index(row, 1).data() for row in range(3)] == ["99999", "5", "0"]
    table.sort(4, Qt.SortOrder.DescendingOrder)
    assert [table.index(row, 1).data() for row in range(3)] == ["5", "99999", "0"]
    table.put([_line("0", 0.75)])  # comes while a person reads: it does not move
    assert table.index(2, 4).data() == "0.750"
    table.filter("9999")
    assert table.rowCount() == 19  # 9999, 19999 ... 99999, 99990 ... 99998
    assert table.pair_at(0).image == Path("99999.png")
    table.sort(-1)
    table.filter("")
    assert table.index(99_999, 6).data() == "done"
    assert table.index(7, 6).data() == "waiting"


def test_sorted_by_name_and_by_state(qapp: object) -> None:
    """Names keep the natural order of the pairing, both ways; cases that wait come last in either order."""
    table = _table("case2", "case10", "case11")
    failed = Row("case10", "fused", "failed", values={"reason": "It broke."})
    table.put([_line("case2", 0.5), Line.of(Record("case10", "case10.png", {}, (failed,)))])
    for order, expected in (
        (Qt.SortOrder.AscendingOrder, ["case2", "case10", "case11"]),
        (Qt.SortOrder.DescendingOrder, ["case10", "case2", "case11"]),
    ):
        table.sort(6, order)
        assert [table.index(row, 1).data() for row in range(3)] == expected
    table.sort(1, Qt.SortOrder.DescendingOrder)
    assert [table.index(row, 1).data() for row in range(3)] == ["case11", "case10", "case2"]


def test_what_is_selected_stays_selected_when_sorted(qapp: object) -> None:
    """Enter after a click on a title opens the case that was chosen, not the one that took its row."""
    table = _table("a", "b", "c")
    view = CaseView(table)
    table.put([_line("a", 0.9), _line("b", 0.8), _line("c", 0.1)])
    view.selectRow(0)
    view.sortByColumn(4, Qt.SortOrder.AscendingOrder)
    assert view.currentIndex().row() == 2
    assert view.currentIndex().siblingAtColumn(1).data() == "a"
    model = view.selectionModel()
    assert model is not None
    assert [index.row() for index in model.selectedRows()] == [2]
    view.deleteLater()


@pytest.mark.parametrize(
    ("rows", "state", "level"),
    [
        ({"specialist": "ok", "omnimodel": "ok", "fused": "ok"}, "done", Level.GOOD),
        ({"specialist": "ok", "omnimodel": "failed", "fused": "ok"}, "no omnimodel", Level.WARNING),
        ({"specialist": "failed", "omnimodel": "ok", "fused": "ok"}, "no specialist", Level.WARNING),
        ({"specialist": "ok", "omnimodel": "not asked", "fused": "ok"}, "not asked", Level.INFO),
        ({"specialist": "failed", "omnimodel": "failed", "fused": "failed"}, "failed", Level.ERROR),
        ({"specialist": "no truth", "omnimodel": "no truth", "fused": "no truth"}, "no truth", Level.INFO),
        ({"specialist": "unreadable", "fused": "unreadable"}, "unreadable", Level.ERROR),
    ],
)
def test_a_lone_opinion_is_not_taken_for_two(rows: dict[str, str], state: str, level: Level) -> None:
    """The state says what became of both models, not of the fused mask alone."""
    made = [Row("a", model, status, values={"area_px": 9}) for model, status in rows.items()]
    line = Line.of(Record("a", "a.png", {}, tuple(made)))
    assert (line.state, line.level) == (state, level)


def test_what_has_neither_truth_nor_mask_has_failed() -> None:
    """The state does not hide a failure behind a missing truth, and the reason is told."""
    rows = tuple(Row("a", model, "no truth", values={"reason": "Down."}) for model in ("specialist", "fused"))
    line = Line.of(Record("a", "a.png", {}, rows))
    assert (line.state, line.level, line.told) == ("failed", Level.ERROR, "failed: Down.")


def test_the_reason_stands_beside_the_state(qapp: object) -> None:
    """Nobody needs a mouse to learn why a case has failed; that there is no truth needs no further word."""
    table = _table("a", "b")
    why = {"reason": "a.png is cut short.\nCopy it again."}
    looked = {"reason": "None.", "area_px": 9}
    table.put(
        [
            Line.of(Record("a", "a.png", {}, (Row("a", "fused", "unreadable", values=why),))),
            Line.of(Record("b", "b.png", {}, (Row("b", "fused", "no truth", values=looked),))),
        ]
    )
    assert table.index(0, 6).data() == "unreadable: a.png is cut short. Copy it again."
    assert table.index(0, 6).data(Qt.ItemDataRole.AccessibleDescriptionRole) == why["reason"]
    assert table.index(1, 6).data() == "no truth"


def test_a_picture_is_decoded_once(qapp: object) -> None:
    """What was painted before is painted again as it is, until a newer picture comes."""
    jpeg = cv2.imencode(".jpg", np.full((240, 200, 3), 90, np.uint8))[1].tobytes()
    table = _table("a")
    table.put([_line("a", 0.5, jpeg)])
    first = table.index(0, 0).data(Qt.ItemDataRole.DecorationRole)
    assert isinstance(first, QPixmap)
    assert max(first.width(), first.height()) == round(44 * first.devicePixelRatio())
    again = table.index(0, 0).data(Qt.ItemDataRole.DecorationRole)
    assert again.cacheKey() == first.cacheKey()
    table.put([_line("a", 0.6, jpeg)])
    assert table.index(0, 0).data(Qt.ItemDataRole.DecorationRole).cacheKey() != first.cacheKey()


def test_a_name_that_looks_like_markup_is_shown_as_it_is(qapp: object) -> None:
    """Qt would draw a picture, or nothing, where the name of a file stands."""
    table = _table("a")
    why = {"reason": "<img src=x>.png cannot be read."}
    table.put([Line.of(Record("a", "a.png", {}, (Row("a", "fused", "unreadable", values=why),)))])
    tooltip = QTextDocument()
    tooltip.setHtml(table.index(0, 6).data(Qt.ItemDataRole.ToolTipRole))
    assert tooltip.toPlainText() == why["reason"]
    assert as_written("a plain one\nof two lines") == "a plain one\nof two lines"

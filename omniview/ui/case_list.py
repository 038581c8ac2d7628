"""The cases to look at: a filter, and a row with state and score for each. Nothing is read unless chosen."""

from __future__ import annotations

from typing import Any

from PyQt6.QtCore import QAbstractListModel, QModelIndex, QRect, QSize, QSortFilterProxyModel, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter
from PyQt6.QtWidgets import (
    QApplication,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from omniview.ui.messages import Level
from omniview.ui.panel import as_written, heading
from omniview.ui.session import Entry, Snapshot, Stage
from omniview.ui.theme import LEVELS, MUTED

__all__ = ["CaseList", "mark"]

_ROW = int(Qt.ItemDataRole.UserRole)


def mark(entry: Entry) -> tuple[str, Level]:
    """What stands at the end of a row, and its weight: score, tick, dots or an exclamation mark."""
    if entry.stage is Stage.FAILED:
        return "!", Level.ERROR
    if entry.stage is Stage.ASKING:
        return "?", Level.WARNING
    if entry.stage is Stage.DONE:
        return ("✓" if entry.dice is None else f"{entry.dice:.2f}"), Level.GOOD
    return ("…", Level.BUSY) if entry.stage.busy else ("", Level.INFO)


class _Rows(QAbstractListModel):
    """The snapshot's entries, as Qt asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: tuple[Entry, ...] = ()

    def show_entries(self, entries: tuple[Entry, ...]) -> None:
        old, same = self._entries, len(entries) == len(self._entries)
        if not same:
            self.beginResetModel()
        self._entries = entries
        if not same:
            self.endResetModel()
            return
        for row, (before, now) in enumerate(zip(old, entries, strict=True)):
            if before is not now:
                self.dataChanged.emit(self.index(row), self.index(row))

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._entries)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        entry = self._entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.name
        if role == _ROW:
            return entry
        if role == Qt.ItemDataRole.ToolTipRole:
            place = str(entry.path) if entry.path is not None else "built-in sample"
            return as_written("\n".join(part for part in (place, entry.stage.value, entry.note) if part))
        return None


class _Delegate(QStyledItemDelegate):
    """Name on the left, shortened in the middle; state or Dice on the right."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        assert painter is not None
        entry = index.data(_ROW)
        style = QApplication.style()
        assert style is not None
        chosen = QStyleOptionViewItem(option)
        self.initStyleOption(chosen, index)
        chosen.text = ""
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, chosen, painter, chosen.widget)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        text, level = mark(entry)
        area = option.rect.adjusted(8, 0, -8, 0)
        centre = Qt.AlignmentFlag.AlignVCenter
        width = max(30, option.fontMetrics.horizontalAdvance(text) + 8) if text else 0
        painter.save()
        painter.setPen(QColor("#ffffff" if selected else LEVELS[level]))
        painter.drawText(area, centre | Qt.AlignmentFlag.AlignRight, text)
        quiet = entry.stage is Stage.WAITING and not selected
        painter.setPen(QColor(MUTED) if quiet else option.palette.text().color())
        if selected:
            painter.setPen(QColor("#ffffff"))
        room = QRect(area.left(), area.top(), area.width() - width, area.height())
        name = option.fontMetrics.elidedText(entry.name, Qt.TextElideMode.ElideMiddle, room.width())
        painter.drawText(room, centre | Qt.AlignmentFlag.AlignLeft, name)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(60, option.fontMetrics.height() + 12)


class CaseList(QWidget):
    """The list with its filter."""

    chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("side")
        self._filter = QLineEdit()
        self._filter.setPlaceholderText("Filter…")
        self._filter.setAccessibleName("Filter the cases by name")
        self._filter.setClearButtonEnabled(True)
        self._rows = _Rows()
        self._shown = QSortFilterProxyModel(self)
        self._shown.setSourceModel(self._rows)
        self._shown.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._filter.textChanged.connect(self._shown.setFilterFixedString)
        self._view = QListView()
        self._view.setAccessibleName("Cases")
        self._view.setModel(self._shown)
        self._view.setItemDelegate(_Delegate(self))
        self._view.setUniformItemSizes(True)
        self._view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._view.clicked.connect(self._choose)
        self._view.activated.connect(self._choose)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 10, 6, 6)
        column.setSpacing(7)
        for widget in (heading("Cases"), self._filter, self._view):
            column.addWidget(widget)

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show the entries, and which one is on screen."""
        if new.entries is not old.entries:
            self._rows.show_entries(new.entries)
        row = new.opening if new.opening is not None else new.current
        before = old.opening if old.opening is not None else old.current
        if row is not None and (row != before or len(new.entries) != len(old.entries)):
            self._view.setCurrentIndex(self._shown.mapFromSource(self._rows.index(row)))

    def neighbour(self, current: int | None, step: int) -> int | None:
        """Index of the entry `step` visible rows from `current`, or None at the end of the list."""
        row = -1 if current is None else self._shown.mapFromSource(self._rows.index(current)).row()
        wanted = row + step
        if not 0 <= wanted < self._shown.rowCount():
            return None
        return self._shown.mapToSource(self._shown.index(wanted, 0)).row()

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self._filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._filter.selectAll()

    def _choose(self, index: QModelIndex) -> None:
        self.chosen.emit(self._shown.mapToSource(index).row())

"""How good the masks are against the ground truth: one column a mask, one row a measure."""

from __future__ import annotations

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFont
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from omniview.analyse import FUSED
from omniview.core.case import Case
from omniview.ui.messages import number
from omniview.ui.panel import Elided, heading
from omniview.ui.session import Entry, Snapshot
from omniview.ui.theme import MUTED, TEXT
from omniview.ui.view import LOOKS, Layer

__all__ = ["ScorePanel"]

_ROW = 20  # device-independent pixels
_MASKS = (("specialist", Layer.SPECIALIST), ("omnimodel", Layer.OMNIMODEL), (FUSED, Layer.FUSED))
_MEASURES = (
    ("dice", "Dice", True, "Overlap: twice the common area over the sum of both areas. 1 is perfect."),
    ("iou", "IoU", True, "Common area over joint area (Jaccard). 1 is perfect."),
    ("sensitivity", "Sens.", True, "Share of the true area that was found (recall). 1 is perfect."),
    ("specificity", "Spec.", True, "Share of the true background that was left alone. 1 is perfect."),
    ("precision", "Prec.", True, "Share of the found area that is true. 1 is perfect."),
    (
        "hd95",
        "HD95",
        False,
        "95th percentile of the distances between the contours, the worse direction. 0 is perfect.",
    ),
)
_UNDEFINED = "Not defined for this pair of masks: one of them is empty."


class ScorePanel(QWidget):
    """Scores of specialist, omnimodel and fused mask; the best of each row is bold."""

    reader_chosen = pyqtSignal(int)
    """Index of the reader whose mask is to be the ground truth."""

    def __init__(self) -> None:
        super().__init__()
        table = QTableWidget(len(_MEASURES), len(_MASKS))
        table.setAccessibleName("Scores against the ground truth")
        table.setHorizontalHeaderLabels([LOOKS[layer].title for _, layer in _MASKS])
        table.setVerticalHeaderLabels([title for _, title, _, _ in _MEASURES])
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        table.setShowGrid(False)
        table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        across, down = table.horizontalHeader(), table.verticalHeader()
        assert across is not None
        assert down is not None
        across.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        across.setHighlightSections(False)
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down.setMinimumSectionSize(_ROW)
        down.setDefaultSectionSize(_ROW)
        down.setFixedWidth(64)
        table.setCornerButtonEnabled(False)
        for column, (_, layer) in enumerate(_MASKS):
            head = table.horizontalHeaderItem(column)
            assert head is not None
            head.setForeground(QColor(*LOOKS[layer].colour))
        for row, (_, _, _, hint) in enumerate(_MEASURES):
            head = table.verticalHeaderItem(row)
            assert head is not None
            head.setToolTip(hint)
            head.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
            for column in range(len(_MASKS)):
                item = QTableWidgetItem("–")
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                item.setForeground(QColor(MUTED))
                table.setItem(row, column, item)
        table.setFixedHeight(_ROW * len(_MEASURES) + 30)
        self._table = table
        self._against = Elided(Qt.TextElideMode.ElideMiddle)
        self._against.setObjectName("muted")
        self._readers = QComboBox()
        self._readers.setAccessibleName("Reader of the ground truth")
        self._readers.setToolTip("Several people drew this image's mask: whose the scores are against")
        self._readers.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._readers.setMinimumContentsLength(16)
        self._readers.activated.connect(self.reader_chosen)
        self._readers.hide()
        last = QHBoxLayout()
        last.addWidget(self._against, 1)
        last.addWidget(self._readers)
        column_layout = QVBoxLayout(self)
        column_layout.setContentsMargins(0, 0, 0, 0)
        column_layout.setSpacing(4)
        for widget in (heading("Scores"), table):
            column_layout.addWidget(widget)
        column_layout.addLayout(last)
        self._tell(None, False)

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show the case's scores."""
        listed = new.current == old.current and new.entries is old.entries
        if not listed:
            self._show_readers(new.shown_entry)
        if listed and new.case is old.case and new.truth is old.truth and new.image is old.image:
            return
        case = new.case
        unit = "mm" if new.image is not None and new.image.spacing_mm is not None else "px"
        head = self._table.verticalHeaderItem(len(_MEASURES) - 1)
        assert head is not None
        head.setText(f"HD95 {unit}")
        for row, (name, _, higher, hint) in enumerate(_MEASURES):
            self._fill_row(row, case, name, higher, hint)
        self._tell(new.truth.source if new.truth is not None else None, new.truth is not None)

    def texts(self) -> list[list[str]]:
        """What the table shows, row by row."""
        items = [[self._table.item(r, c) for c in range(len(_MASKS))] for r in range(len(_MEASURES))]
        return [[item.text() if item is not None else "" for item in row] for row in items]

    def _show_readers(self, entry: Entry | None) -> None:
        """Let the person choose where there are several; none is chosen beside a mask of the person's own."""
        names = [one.reader or "first reader" for one in entry.truths] if entry is not None else []
        with QSignalBlocker(self._readers):
            if names != [self._readers.itemText(n) for n in range(self._readers.count())]:
                self._readers.clear()
                self._readers.addItems(names)
            self._readers.setCurrentIndex(-1 if entry is None or entry.truth is not None else entry.reader)
        self._readers.setVisible(len(names) > 1)

    def _fill_row(self, row: int, case: Case | None, name: str, higher: bool, hint: str) -> None:
        scores = {} if case is None else case.scores
        values = [scores.get(mask, {}).get(name) for mask, _ in _MASKS]
        known = [value for value in values if value is not None]
        digits = 3 if higher else 1
        # as it is shown: of two equal numbers neither may look better
        best = number(max(known) if higher else min(known), digits) if len(known) > 1 else None
        for column, ((mask, _), value) in enumerate(zip(_MASKS, values, strict=True)):
            item = self._table.item(row, column)
            assert item is not None
            scored = mask in scores
            item.setText(number(value, digits) if scored else "–")
            item.setForeground(QColor(TEXT if value is not None else MUTED))
            item.setToolTip(_UNDEFINED if scored and value is None else hint)
            font = QFont(self.font())
            font.setBold(value is not None and item.text() == best)
            item.setFont(font)

    def _tell(self, source: str | None, there: bool) -> None:
        if there:
            name = (source or "").replace("\\", "/").rsplit("/", 1)[-1]
            if self._readers.count() > 1 and self._readers.currentIndex() >= 0:
                text = "against"  # the reader's name is beside it
            else:
                text = f"against {name}" if name else "against the sample's ground truth"
            self._against.show_text(text, source)
        else:
            self._against.show_text(
                "No ground truth: drop a mask on the image", "Or File > Use ground truth…"
            )

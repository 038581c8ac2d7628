"""The table of scores: what stands in it, and which of it is told apart as the best."""

from __future__ import annotations

from typing import Any

import numpy as np
from PyQt6.QtWidgets import QTableWidget

from omniview.core.case import Case
from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.ui.score_panel import ScorePanel
from omniview.ui.session import Snapshot


def test_of_equal_numbers_none_looks_better(qtbot: Any) -> None:
    """Bold is whatever reads as the best, also where digits that nobody sees differ."""
    panel = ScorePanel()
    qtbot.addWidget(panel)
    image = Image(np.zeros((8, 8, 1), np.uint8))
    dice = {"specialist": 0.98341, "omnimodel": 0.982, "fused": 0.98339}
    scores = {model: {"dice": value} for model, value in dice.items()}
    panel.apply(Snapshot(), Snapshot(image=image, case=Case(image, TASKS["polyp"], scores=scores)))
    assert panel.texts()[0] == ["0.983", "0.982", "0.983"]
    table = panel.findChild(QTableWidget)
    assert table is not None
    cells = [table.item(0, column) for column in range(3)]
    assert [cell is not None and cell.font().bold() for cell in cells] == [True, False, True]

"""Asks for files and folders without a nested event loop, which would break the coroutines that run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFileDialog, QWidget

from omniview.io.read import SUFFIXES

__all__ = ["ask_paths"]


def ask_paths(
    parent: QWidget, title: str, mode: QFileDialog.FileMode, then: Callable[[list[Path]], None]
) -> None:
    """Open a dialog; `then` gets what was chosen, and nothing happens if nothing was."""
    dialog = QFileDialog(parent, title)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setFileMode(mode)
    if mode is QFileDialog.FileMode.Directory:
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    else:
        patterns = " ".join(f"*{suffix}" for suffix in sorted(SUFFIXES))
        dialog.setNameFilters([f"Images ({patterns})", "All files (*)"])
    dialog.filesSelected.connect(lambda names: then([Path(name) for name in names]))
    dialog.open()

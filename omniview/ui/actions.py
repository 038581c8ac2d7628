"""Menus, tool bar and shortcuts as literal tables; the window says what each action does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PyQt6.QtCore import QObject, QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QMainWindow, QMenu, QSizePolicy, QToolBar, QWidget

from omniview.io.samples import Sample
from omniview.ui.prompting import why_not
from omniview.ui.session import Snapshot
from omniview.ui.view import LOOKS, Layer

__all__ = ["Actions"]

_SAMPLES, _LAYERS, _RULE = "samples", "layers", ""
_MENUS: tuple[tuple[str, tuple[tuple[str, str, tuple[str, ...]], ...]], ...] = (
    (
        "&File",
        (
            ("open", "&Open images…", ("Ctrl+O",)),
            ("folder", "Open &folder…", ("Ctrl+Shift+O",)),
            (_SAMPLES, "Sa&mples", ()),
            (_RULE, "", ()),
            ("truth", "Use &ground truth…", ("Ctrl+T",)),
            ("save", "&Save masks…", ("Ctrl+S",)),
            ("copy", "&Copy picture of the window", ("Ctrl+Shift+C",)),
            (_RULE, "", ()),
            ("score", "S&core folder…", ("Ctrl+B",)),
            (_RULE, "", ()),
            ("settings", "Se&ttings…", ("Ctrl+,",)),
            ("quit", "&Quit", ("Ctrl+Q",)),
        ),
    ),
    (
        "&Case",
        (
            ("next", "&Next case", ("PgDown",)),
            ("previous", "&Previous case", ("PgUp",)),
            ("filter", "&Filter the cases", ("Ctrl+F",)),
            (_RULE, "", ()),
            ("next_frame", "Next f&rame", (".",)),
            ("previous_frame", "Previous fra&me", (",",)),
            (_RULE, "", ()),
            ("again", "&Analyse again", ("F5",)),
            ("stop", "&Stop", ("Esc",)),
        ),
    ),
    (
        "&View",
        (
            (_LAYERS, "", ()),
            (_RULE, "", ()),
            ("fit", "&Fit", ("F",)),
            ("actual", "&One-to-one", ("A",)),
            ("zoom_in", "Zoom &in", ("+", "=", "Ctrl++", "Ctrl+=")),
            ("zoom_out", "Zoom o&ut", ("-", "Ctrl+-")),
            (_RULE, "", ()),
            ("next_doubt", "Next &doubtful region", ("N",)),
            ("previous_doubt", "Previous d&oubtful region", ("Shift+N",)),
            (_RULE, "", ()),
            ("stretch_window", "&Stretch grey window", ("W",)),
            ("reset_window", "&Reset grey window", ("R",)),
            ("legend", "&Legend on the image", ("L",)),
            (_RULE, "", ()),
            ("cases", "&Case list", ("F7",)),
            ("results", "Re&sults", ("F8",)),
        ),
    ),
    (
        "&Prompts",
        (
            ("prompt", "&Click on the image", ("C",)),
            (_RULE, "", ()),
            ("undo", "&Undo", ("Ctrl+Z", "Backspace")),
            ("redo", "&Redo", ("Ctrl+Shift+Z", "Ctrl+Y")),
            ("clear_prompts", "C&lear prompts", ("Ctrl+Backspace",)),
        ),
    ),
    (
        "&Models",
        (
            ("permit", "&Key and consent…", ()),
            ("preview", "Show what would be &sent…", ()),
            ("withdraw", "&Withdraw consent", ()),
            (_RULE, "", ()),
            ("finetune", "&Fine-tune a specialist…", ()),
        ),
    ),
    ("&Help", (("keys", "&Keys and mouse", ("F1",)), ("about", "&About OmniView", ()))),
)
_TOOLS = (("open", "Open"), ("folder", "Folder"), ("fit", "Fit"), ("actual", "1:1"), ("prompt", "Click"))
_PROMPT_HINT = (
    "Show the omnimodel what is meant (C): left click for what belongs to it, right click or Alt+click for "
    "what does not, drag for a box; a click on a mark takes it away. Esc puts the tool down."
)


class Actions(QObject):
    """All actions of a window, in its menus and its tool bar.

    Args:
        window: the window.
        samples: the built-in samples, by key.
        listening: names of the omnimodels that can be shown clicks.
    """

    sample_chosen = pyqtSignal(str)
    layer_chosen = pyqtSignal(object)

    def __init__(
        self, window: QMainWindow, samples: Mapping[str, Sample], listening: Sequence[str] = ()
    ) -> None:
        super().__init__(window)
        self._listening = tuple(listening)
        self._actions: dict[str, QAction] = {}
        self._layers: dict[Layer, QAction] = {}
        bar = window.menuBar()
        assert bar is not None
        for title, rows in _MENUS:
            menu = bar.addMenu(title)
            assert menu is not None
            menu.setToolTipsVisible(True)
            for name, text, keys in rows:
                self._add(menu, name, text, keys, samples)
        self.toolbar = QToolBar("Tools")
        self.toolbar.setMovable(False)
        self.toolbar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        for name, text in _TOOLS:
            action = self._actions[name]
            action.setIconText(text)
            shortcut = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            action.setToolTip(f"{action.text().replace('&', '')} ({shortcut})")
            self.toolbar.addAction(action)
        self._actions["prompt"].setCheckable(True)
        gap = QWidget()
        gap.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.toolbar.addWidget(gap)
        window.addToolBar(self.toolbar)

    def on(self, name: str, slot: Callable[[], Any]) -> None:
        """Have the action `name` call `slot`."""
        self._actions[name].triggered.connect(lambda _checked: slot())

    def action(self, name: str) -> QAction:
        """The action `name`."""
        return self._actions[name]

    def trigger(self, name: str) -> None:
        """As if the action were chosen."""
        self._actions[name].trigger()

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show which actions make sense, and which layers are switched on."""
        for layer, action in self._layers.items():
            with QSignalBlocker(action):
                action.setChecked(new.view.layers[layer].shown)
        self._show_tool(new)
        there, many = new.image is not None, len(new.series) > 1
        usable = {
            "save": new.case is not None and bool(new.case.predictions),
            "truth": there,
            "again": there,
            "next_doubt": new.case is not None and new.case.fusion is not None,
            "previous_doubt": new.case is not None and new.case.fusion is not None,
            "reset_window": new.view.window is not None,
            "next_frame": many,
            "previous_frame": many,
            "undo": bool(new.prompts.past),
            "redo": bool(new.prompts.future),
            "clear_prompts": bool(new.prompts.marks),
        }
        for name, usable_now in usable.items():
            self._actions[name].setEnabled(usable_now)

    def _show_tool(self, now: Snapshot) -> None:
        """Whether the image can be clicked on, and why not."""
        action, reason = self._actions["prompt"], why_not(now, self._listening)
        with QSignalBlocker(action):
            action.setChecked(now.prompting)
        action.setEnabled(not reason)
        action.setToolTip(reason or _PROMPT_HINT)

    def _add(
        self, menu: QMenu, name: str, text: str, keys: tuple[str, ...], samples: Mapping[str, Sample]
    ) -> None:
        if name == _RULE:
            menu.addSeparator()
        elif name == _SAMPLES:
            inner = menu.addMenu(text)
            assert inner is not None
            for key, sample in samples.items():
                self._sample(inner, key, sample.title)
        elif name == _LAYERS:
            for layer, look in LOOKS.items():
                self._layer(menu, layer, f"{look.title}\t{look.key}")
        else:
            action = QAction(text, self)
            action.setShortcuts([QKeySequence(key) for key in keys])
            menu.addAction(action)
            self._actions[name] = action

    def _sample(self, menu: QMenu, key: str, title: str) -> None:
        action = QAction(title, self)
        action.triggered.connect(lambda _checked: self.sample_chosen.emit(key))
        menu.addAction(action)

    def _layer(self, menu: QMenu, layer: Layer, text: str) -> None:
        action = QAction(text, self)
        action.setCheckable(True)
        action.setToolTip(f"{LOOKS[layer].hint}. Hold the key to see it alone.")
        action.triggered.connect(lambda _checked: self.layer_chosen.emit(layer))
        menu.addAction(action)
        self._layers[layer] = action

"""The settings as rows of a form: a literal table of pages, and one small editor for each kind of value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from PyQt6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget

__all__ = ["PAGES", "Editor", "Page", "Row"]


class Editor(Protocol):
    """A widget that holds one setting."""

    def value(self) -> Any:
        """The setting as entered."""
        ...

    def show_value(self, value: Any) -> None:
        """Show `value`."""
        ...

    def widget(self) -> QWidget:
        """The widget itself."""
        ...


class _Choice:
    """One of several values."""

    def __init__(self, *options: tuple[Any, str]) -> None:
        self._box = QComboBox()
        self._values = [value for value, _ in options]
        self._box.addItems([title for _, title in options])

    def value(self) -> Any:
        return self._values[self._box.currentIndex()]

    def show_value(self, value: Any) -> None:
        if value not in self._values:  # written into the file by hand: kept, not lost
            self._values.append(value)
            self._box.addItem(str(value))
        self._box.setCurrentIndex(self._values.index(value))

    def widget(self) -> QWidget:
        return self._box


class _Line:
    """A line of text; empty is None where the setting is optional. With `split`, words between commas."""

    def __init__(self, placeholder: str = "", *, split: bool = False) -> None:
        self._box = QLineEdit()
        self._box.setPlaceholderText(placeholder)
        self._optional = bool(placeholder)
        self._split = split

    def value(self) -> Any:
        text = self._box.text().strip()
        if self._split:
            return [part.strip() for part in text.split(",") if part.strip()]
        return None if self._optional and not text else text

    def show_value(self, value: Any) -> None:
        self._box.setText(", ".join(value) if self._split else value or "")
        self._box.setCursorPosition(0)

    def widget(self) -> QWidget:
        return self._box


class _Number:
    """A number; `special` are the words for the lowest value, which means None if `optional`."""

    def __init__(
        self,
        low: float,
        high: float,
        *,
        digits: int = 0,
        step: float = 1,
        suffix: str = "",
        special: str = "",
        optional: bool = False,
    ) -> None:
        self._box: QSpinBox | QDoubleSpinBox = QDoubleSpinBox() if digits else QSpinBox()
        self._optional = optional
        self._low = low - step if optional else low
        if isinstance(self._box, QDoubleSpinBox):
            self._box.setDecimals(digits)
            self._box.setRange(self._low, high)
            self._box.setSingleStep(step)
        else:
            self._box.setRange(round(self._low), round(high))
            self._box.setSingleStep(round(step))
        self._box.setSuffix(suffix)
        self._box.setSpecialValueText(special)

    def value(self) -> float | int | None:
        value = self._box.value()
        return None if self._optional and value <= self._low + 1e-9 else value

    def show_value(self, value: Any) -> None:
        shown = self._low if value is None else float(value)
        if isinstance(self._box, QDoubleSpinBox):
            self._box.setValue(shown)
        else:
            self._box.setValue(round(shown))

    def widget(self) -> QWidget:
        return self._box


class _Tick:
    """Yes or no."""

    def __init__(self, text: str) -> None:
        self._box = QCheckBox(text)

    def value(self) -> bool:
        return self._box.isChecked()

    def show_value(self, value: Any) -> None:
        self._box.setChecked(bool(value))

    def widget(self) -> QWidget:
        return self._box


@dataclass(frozen=True, slots=True)
class Row:
    """One setting.

    Attributes:
        name: where it is, such as `gemini.model`.
        title: its label.
        hint: what it does, in a sentence.
        editor: makes its editor.
    """

    name: str
    title: str
    hint: str
    editor: Callable[[], Editor]


@dataclass(frozen=True, slots=True)
class Page:
    """A tab of the dialog.

    Attributes:
        title: its name.
        rows: its settings.
        provider: whose key and connection are looked after on this page, or empty.
        key_hint: what the key is for.
    """

    title: str
    rows: tuple[Row, ...]
    provider: str = ""
    key_hint: str = ""


_MASKS = (("png", "Picture masks (base64 PNG)"), ("polygon", "Polygons"), ("picture", "A painted picture"))
_SIDE = Row(
    "max_side",
    "Longer side sent",
    "The picture is downscaled to this.",
    lambda: _Number(64, 4096, suffix=" px"),
)
_DEADLINE = Row(
    "timeout_s",
    "Deadline",
    "Of one answer, repetitions included.",
    lambda: _Number(1, 600, suffix=" s"),
)
_TOKENS = Row(
    "max_output_tokens",
    "Longest answer",
    "Too small a limit cuts masks off; thinking counts too.",
    lambda: _Number(256, 1_000_000, step=1024, suffix=" tokens"),
)
_STYLE = Row("mask_style", "Ask for", "Whatever comes is read by its content.", lambda: _Choice(*_MASKS))


def _of(group: str, *rows: Row) -> tuple[Row, ...]:
    return tuple(Row(f"{group}.{row.name}", row.title, row.hint, row.editor) for row in rows)


PAGES = (
    Page(
        "General",
        (
            Row(
                "omnimodel",
                "Omnimodel at start",
                "Who gives the second opinion.",
                lambda: _Choice(
                    ("none", "None"),
                    ("builtin", "Built-in generalist"),
                    ("gemini", "Gemini"),
                    ("openai", "OpenAI-compatible"),
                    ("sam", "SAM family"),
                ),
            ),
            Row("offline", "Network", "No connection is opened at all.", lambda: _Tick("Start offline")),
            Row(
                "answers",
                "Answers a case",
                "How often a cloud is asked about one image; the answers vote.",
                lambda: _Number(1, 16),
            ),
            Row(
                "views",
                "Views of the specialist",
                "Mirrored and turned copies that are averaged; 1 is fastest.",
                lambda: _Number(1, 8),
            ),
            Row(
                "view_seconds",
                "Time for views",
                "After the first view only as many more as fit; rows of a batch then depend on the machine.",
                lambda: _Number(0, 3600, digits=1, suffix=" s", special="No limit"),
            ),
            Row(
                "device",
                "Local models run on",
                "Automatic takes CUDA where it really runs.",
                lambda: _Choice(
                    ("auto", "Automatic"), ("cpu", "CPU"), ("cuda", "CUDA"), ("tensorrt", "TensorRT")
                ),
            ),
            Row(
                "precision",
                "Precision on a CPU",
                "Automatic takes 8 bits where a specialist has them, and the processor is made for them.",
                lambda: _Choice(("auto", "Automatic"), ("fp32", "32 bits"), ("int8", "8 bits")),
            ),
            Row(
                "threads", "CPU threads", "Of one inference.", lambda: _Number(0, 256, special="All but one")
            ),
        ),
    ),
    Page(
        "Gemini",
        _of(
            "gemini",
            Row("model", "Model", "As the interface has it; ids move, so it is not built in.", _Line),
            Row("api_version", "Interface version", "v1beta has the newest fields.", _Line),
            Row(
                "base_url",
                "Address",
                "Empty for Google's own; or a proxy of your institution.",
                lambda: _Line("Google's own"),
            ),
            Row(
                "thinking_level",
                "Thinking (3.x)",
                "More thinking costs tokens; masks rarely gain.",
                lambda: _Choice(
                    (None, "The model's default"),
                    ("minimal", "Minimal"),
                    ("low", "Low"),
                    ("medium", "Medium"),
                    ("high", "High"),
                ),
            ),
            Row(
                "thinking_budget",
                "Thinking (2.5)",
                "In tokens; excludes the level above. 0 turns it off.",
                lambda: _Number(0, 65536, step=1, suffix=" tokens", special="Not sent", optional=True),
            ),
            _STYLE,
            _SIDE,
            _TOKENS,
            _DEADLINE,
        ),
        provider="gemini",
        key_hint="Kept in this system's keyring, never in a file.",
    ),
    Page(
        "OpenAI-compatible",
        _of(
            "openai",
            Row("model", "Model", "As the server has it.", _Line),
            Row(
                "base_url",
                "Address",
                "Such as http://127.0.0.1:11434/v1 for Ollama; empty for OpenAI's own.",
                lambda: _Line("OpenAI's own"),
            ),
            Row(
                "reasoning_effort",
                "Reasoning",
                "Only for models that take it.",
                lambda: _Choice(
                    (None, "Not sent"),
                    ("minimal", "Minimal"),
                    ("low", "Low"),
                    ("medium", "Medium"),
                    ("high", "High"),
                ),
            ),
            _STYLE,
            _SIDE,
            _TOKENS,
            _DEADLINE,
        ),
        provider="openai",
        key_hint="Not needed by servers of your own. Kept in this system's keyring.",
    ),
    Page(
        "Privacy",
        _of(
            "airlock",
            Row(
                "burned_in_text",
                "Text in the pixels",
                "Names and numbers that are part of the picture itself.",
                lambda: _Choice(
                    ("blackout", "Find and black out"),
                    ("refuse", "Refuse to send the picture"),
                    ("keep", "Send as it is"),
                ),
            ),
            Row(
                "trusted",
                "Own network",
                "Your institution's hosts and networks: 10.0.0.0/8, pacs.local",
                lambda: _Line("None", split=True),
            ),
        ),
    ),
    Page(
        "Cost",
        (
            Row(
                "ask.when",
                "Ask the cloud",
                "Doubtful: the specialist's predicted Dice is below this limit.",
                lambda: _Choice(
                    ("always", "For every case"), ("doubtful", "For doubtful cases"), ("never", "Never")
                ),
            ),
            Row(
                "ask.below",
                "Doubtful below",
                "Predicted Dice of the specialist.",
                lambda: _Number(0, 1, digits=2, step=0.05),
            ),
            Row(
                "budget.session",
                "Cap of a session",
                "In US dollars; nothing is sent beyond it.",
                lambda: _Number(0, 100_000, digits=2, step=0.5, special="No cap", optional=True),
            ),
            Row(
                "budget.daily",
                "Cap of a day",
                "In US dollars, over all sessions, by UTC.",
                lambda: _Number(0, 100_000, digits=2, step=0.5, special="No cap", optional=True),
            ),
            Row(
                "cache_mb",
                "Kept answers",
                "Nothing is paid for twice. 0 keeps none.",
                lambda: _Number(0, 65536, step=64, suffix=" MB"),
            ),
        ),
    ),
)
"""All settings a person can change here, in the order of the tabs."""

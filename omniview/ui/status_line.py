"""What lies under the cursor, what is going on, what really ran, and what this program is not."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel

from omniview.core.case import Case
from omniview.core.image import Image
from omniview.core.prediction import ROLES
from omniview.ui.messages import DISCLAIMER, number, ran, shown
from omniview.ui.panel import Elided
from omniview.ui.session import Snapshot, Stage

__all__ = ["Reading", "ReadoutBar", "StatusLine", "read_at"]

_SIDE = 12  # device-independent pixels left and right of the read-out


@dataclass(frozen=True, slots=True)
class Reading:
    """The values at one pixel; for several labels, those of the label with the highest fused probability.

    Attributes:
        x: column.
        y: row.
        pixel: the image's own values, one a channel.
        specialist: probability, or None.
        omnimodel: probability, or None.
        fused: probability, or None.
        weight: share of the omnimodel in it, or None.
        uncertainty: of the fused mask, or None.
        contradiction: mutual information over the specialist's views, bits, or None.
        label: name of the label, where there are several.
    """

    x: int
    y: int
    pixel: tuple[float, ...]
    specialist: float | None = None
    omnimodel: float | None = None
    fused: float | None = None
    weight: float | None = None
    uncertainty: float | None = None
    contradiction: float | None = None
    label: str = ""

    def text(self) -> str:
        """The read-out: `x 512  y 300   [9]   p 0.93 / 0.71 → 0.90 (omnimodel 22 %)   uncertainty 0.47`."""
        where = f"x {self.x}  y {self.y}   [{' '.join(f'{v:g}' for v in self.pixel)}]"
        if self.fused is None:
            return where
        first, second, fused, unsure = (number(v, 2) for v in self._maps())
        label = f"{self.label}: " if self.label else ""
        return f"{where}   {label}p {first} / {second} → {fused} ({self._share()})   uncertainty {unsure}"

    def explained(self) -> str:
        """The same, a line for each value with its name; empty before there is a mask."""
        if self.fused is None:
            return ""
        names = ("Specialist", "Omnimodel", "Fused", "Uncertainty of the fused mask")
        label = f" of {self.label}" if self.label else ""
        lines = [f"Probability{label} at x {self.x}, y {self.y}"]
        lines += [f"{name}: {number(value, 2)}" for name, value in zip(names, self._maps(), strict=True)]
        if self.contradiction is not None:
            lines.append(
                f"The specialist's views contradict each other: {number(self.contradiction, 2)} bits"
            )
        return "\n".join((*lines, f"Weight: {self._share()}"))

    def _maps(self) -> tuple[float | None, ...]:
        return self.specialist, self.omnimodel, self.fused, self.uncertainty

    def _share(self) -> str:
        if self.weight is None or self.omnimodel is None:
            return "omnimodel n/a"
        return f"omnimodel {100 * self.weight:.0f} %"


def read_at(image: Image, case: Case | None, x: int, y: int) -> Reading:
    """The values of the image and of all maps at pixel (x,y)."""
    pixel = tuple(float(value) for value in image.pixels[y, x])
    if case is None or case.fusion is None:
        return Reading(x, y, pixel)
    fusion = case.fusion
    k = int(fusion.probability[:, y, x].argmax())
    first, second = (
        None if (p := case.prediction(role)) is None else float(p.probability[k, y, x]) for role in ROLES
    )
    own = case.prediction("specialist")
    information = None if own is None else own.mutual_information
    return Reading(
        x,
        y,
        pixel,
        specialist=first,
        omnimodel=second,
        fused=float(fusion.probability[k, y, x]),
        weight=float(fusion.weight[k, y, x]),
        uncertainty=float(fusion.uncertainty[k, y, x]),
        contradiction=None if information is None else float(information[k, y, x]),
        label=case.task.labels[k] if len(case.task.labels) > 1 else "",
    )


class ReadoutBar(QFrame):
    """Under the image: values under the cursor on the left, size and zoom on the right."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("strip")
        self._values, self._size = Elided(), QLabel()
        self._size.setObjectName("muted")
        self._zoom, self._now = 1.0, Snapshot()
        self._position: tuple[int, int] | None = None
        line = QHBoxLayout(self)
        line.setContentsMargins(_SIDE, 4, _SIDE, 4)
        line.addWidget(self._values, 1)
        line.addWidget(self._size)

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show the image's size."""
        self._now = new
        if new.image is not old.image or new.tour is not old.tour:
            self.show_values(None)
        elif new.case is not old.case:
            self.show_values(self._position)
        if new.view.window != old.view.window:
            self._show_size()

    def show_zoom(self, scale: float) -> None:
        """Show the zoom; 1 is one image pixel on one device pixel."""
        self._zoom = scale
        self._show_size()

    def show_values(self, position: tuple[int, int] | None) -> None:
        """Show what lies at (x,y); else which doubtful region is looked at, if one is."""
        self._position = position
        image = self._now.image
        # the image may have changed since the cursor was there
        if (
            position is None
            or image is None
            or position[1] >= image.shape[0]
            or position[0] >= image.shape[1]
        ):
            tour = self._now.tour
            self._values.show_text(tour.text() if tour is not None and tour.of(self._now.case) else "")
        else:
            reading = read_at(image, self._now.case, *position)
            self._values.show_text(reading.text(), reading.explained())
        self._show_size()

    def text(self) -> str:
        """What is shown of the pixel."""
        return self._values.text()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Say as much of the image as there is room for."""
        super().resizeEvent(event)
        self._show_size()

    def _show_size(self) -> None:
        """Size and zoom; beside long values only what there is room for, the zoom always."""
        image = self._now.image
        if image is None:
            self._size.setText("")
            return
        height, width = image.shape
        kind = {"uint8": "8 bit", "uint16": "16 bit"}.get(str(image.pixels.dtype), "float")
        parts = [f"{width} × {height} px", f"{kind} {'RGB' if image.pixels.shape[2] == 3 else 'grey'}"]
        if image.spacing_mm is not None:
            parts.append(f"{image.spacing_mm[0]:.3g} × {image.spacing_mm[1]:.3g} mm/px")
        if self._now.view.window is not None:
            parts.append("window {:g} / {:g}".format(*(round(v, 1) for v in self._now.view.window)))
        parts.append(f"{100 * self._zoom:.0f} %")
        metrics = self._size.fontMetrics()
        room = self.width() - 3 * _SIDE - self._values.fontMetrics().horizontalAdvance(self._values.text())
        self._size.setToolTip("   ".join(parts))
        while len(parts) > 1 and metrics.horizontalAdvance("   ".join(parts)) > room:
            del parts[min(1, len(parts) - 2)]  # the size of the image goes last
        self._size.setText("   ".join(parts))


class StatusLine(QFrame):
    """The bottom of the window."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("strip")
        self._ran, notice = Elided(), QLabel(DISCLAIMER)
        self._ran.setObjectName("muted")
        notice.setObjectName("muted")
        notice.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 4, 12, 4)
        line.setSpacing(24)
        line.addWidget(self._ran, 1)
        line.addWidget(notice)

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show what goes on or what ran."""
        watched = ("case", "stage", "opening", "asking", "prompting", "prompts", "spent")
        if any(getattr(new, name) != getattr(old, name) for name in watched):
            self._ran.show_text(_status(new))

    def text(self) -> str:
        """What is shown."""
        return self._ran.text()


_GESTURES = "Left click: this belongs to it.  Right click: this does not.  Drag: a box around it.  Esc: done."


def _status(now: Snapshot) -> str:
    if now.opening is not None:
        return f"Opening {now.entries[now.opening].name}…"
    if now.stage in (Stage.RECOGNISING, Stage.LOADING):
        return f"{now.stage.value.capitalize()}…"
    if now.case is None:
        return ""
    if now.asking and now.prompts.marks:
        return f"Asking with {shown([mark.to_json() for mark in now.prompts.marks])}…"
    if now.prompting and not now.prompts.marks and not now.stage.busy:
        return _GESTURES
    parts = []
    for role in ROLES:
        if (prediction := now.case.prediction(role)) is not None:
            parts.append(f"{role}: {ran(prediction)}")
        elif (failure := now.case.failure(role)) is not None:
            parts.append(f"{role}: {failure.reason}")
        elif role in now.case.pending:
            parts.append(f"{role}: {'running…' if now.stage.busy else 'stopped'}")
    if now.spent:
        parts.append(f"this session: {now.spent:.4f} USD")
    return "     ".join(parts)

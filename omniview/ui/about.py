"""The About box and the list of keys; both open beside the window and block nothing."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

import omniview
from omniview.ui.messages import DISCLAIMER
from omniview.ui.theme import icon

__all__ = ["AboutBox", "KeysBox"]

_ABOUT = f"""<h2>OmniView {omniview.__version__}</h2>
<p>A local specialist and an omnimodel on the same medical image: one mask, fused by how far each can be
trusted, and measured against ground truth on the spot.</p>
<p><b>{DISCLAIMER}.</b><br>Not cleared or approved for diagnosis, treatment or any other clinical use.
Masks, scores and predicted qualities can be wrong.</p>
<p>Free software under the GNU General Public License, version 3 or any later version; there is no warranty,
to the extent permitted by law.</p>
<p>Built on Qt and PyQt6, pyqtgraph, qasync, NumPy, SciPy, OpenCV and ONNX Runtime.</p>"""

_KEYS = (
    ("1 to 7", "switch a layer; hold to see it alone"),
    ("N / Shift+N", "next / previous doubtful region"),
    ("Wheel, + and −", "zoom (the wheel: at the cursor)"),
    ("Left drag, arrows", "pan"),
    ("Right drag", "grey window: across for width, up and down for centre"),
    ("F / A", "fit / one-to-one"),
    ("W / R", "stretch the grey window to the image's values / reset it"),
    ("L", "legend on the image"),
    ("Page Up, Page Down", "previous, next case"),
    (", and .", "previous, next frame"),
    ("F5 / Esc", "analyse again / put the tool down, dismiss the message, stop"),
    ("C", "show the omnimodel what is meant: left click for yes, right or Alt+click for no, drag for a box"),
    ("Backspace, Ctrl+Z / Ctrl+Y", "undo / redo what was shown; a click on a mark takes it away"),
    ("F7 / F8", "fold the case list / the results away"),
    ("Ctrl+O, Ctrl+Shift+O", "open images, a folder"),
    ("Ctrl+T / Ctrl+S", "use a ground truth / save the masks"),
    ("Ctrl+F", "filter the cases"),
    ("Ctrl+B / Ctrl+,", "score a folder / settings"),
)


class _Box(QDialog):
    """A dialog of a picture, a text and a button to close it."""

    def __init__(self, parent: QWidget, title: str, text: str, width: int) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        picture = QLabel()
        picture.setPixmap(icon("omniview").pixmap(64, 64))
        picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        words = QLabel(text)
        words.setWordWrap(True)
        words.setFixedWidth(width)
        words.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        line = QHBoxLayout()
        line.setSpacing(18)
        line.addWidget(picture)
        line.addWidget(words)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(14)
        column.addLayout(line)
        column.addWidget(buttons)


class AboutBox(_Box):
    """What this is, and what it is not."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "About OmniView", _ABOUT, 440)


class KeysBox(_Box):
    """Every key and what it does."""

    def __init__(self, parent: QWidget) -> None:
        rows = "".join(
            f"<tr><td style='padding-right: 18px'><b>{key}</b></td><td>{what}</td></tr>"
            for key, what in _KEYS
        )
        super().__init__(parent, "Keys and mouse", f"<table cellspacing='5'>{rows}</table>", 520)

"""The picture that would leave, as it is drawn."""

from __future__ import annotations

import cv2
import numpy as np
from PyQt6.QtWidgets import QApplication

from omniview.ui.models import Preview
from omniview.ui.preview import drawn


def test_the_sent_bytes_are_drawn_with_their_boxes(qapp: QApplication) -> None:
    """A grey picture comes back grey, at the screen's size, with the outline where the text was."""
    done, data = cv2.imencode(".png", np.full((100, 200, 3), 90, np.uint8))
    assert done
    picture = drawn(Preview(data.tobytes(), ((20.0, 30.0, 60.0, 50.0),), "", ""), 400).toImage()
    assert (picture.width(), picture.height()) == (400, 200)
    assert picture.pixelColor(5, 5).getRgb()[:3] == (90, 90, 90)
    red, _, blue = picture.pixelColor(80, 60).getRgb()[:3]  # on the box's upper edge
    assert red > blue + 60
    assert picture.pixelColor(80, 80).getRgb()[:3] == (90, 90, 90)

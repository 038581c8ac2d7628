"""Values under the cursor."""

from __future__ import annotations

import numpy as np

from omniview.core.case import Case
from omniview.core.fusion import Fusion, fuse
from omniview.core.image import Image, Modality
from omniview.core.prediction import Prediction
from omniview.core.task import TASKS, Task
from omniview.ui.status_line import read_at


def test_reading_of_several_labels_is_that_of_the_likeliest() -> None:
    """With two labels, the read-out names the one with the higher fused probability and gives its values."""
    random = np.random.default_rng(3)
    maps = random.random((4, 2, 6, 8), dtype=np.float32)
    image = Image(random.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    task = Task("organs", Modality.CT, ("liver", "spleen"), "both organs")
    fusion = Fusion(maps[2], maps[2] > 0.5, maps[3], maps[0])
    case = Case(
        image,
        task,
        (Prediction("a", "specialist", maps[0]), Prediction("b", "omnimodel", maps[1])),
        fusion=fusion,
    )
    for y, x in ((0, 0), (5, 7), (2, 3)):
        k = int(maps[2, :, y, x].argmax())
        reading = read_at(image, case, x, y)
        assert reading.pixel == tuple(image.pixels[y, x])
        assert reading.label == task.labels[k]
        found = (reading.specialist, reading.omnimodel, reading.fused, reading.uncertainty, reading.weight)
        assert found == tuple(float(m[k, y, x]) for m in (maps[0], maps[1], maps[2], maps[3], maps[0]))


def test_reading_says_where_there_is_none() -> None:
    """Without an omnimodel its probability and its share are n/a; all else is as it is."""
    maps = np.full((1, 2, 2), 0.25, np.float32)
    prediction = Prediction("a", "specialist", maps)
    image = Image(np.full((2, 2, 1), 7, np.uint8))
    case = Case(image, TASKS["polyp"], (prediction,), fusion=fuse((prediction,)))
    reading = read_at(image, case, 1, 0)
    assert reading.text() == "x 1  y 0   [7]   p 0.25 / n/a → 0.25 (omnimodel n/a)   uncertainty 0.81"
    assert reading.explained().splitlines() == [
        "Probability at x 1, y 0",
        "Specialist: 0.25",
        "Omnimodel: n/a",
        "Fused: 0.25",
        "Uncertainty of the fused mask: 0.81",
        "Weight: omnimodel n/a",
    ]
    assert read_at(image, None, 1, 0).explained() == ""


def test_reading_explains_what_the_views_contradict_each_other_in() -> None:
    """The mutual information of the likeliest label stands in the explanation, where somebody looked."""
    maps = np.full((1, 2, 2), 0.25, np.float32)
    doubt = np.full((1, 2, 2), 0.125, np.float32)
    prediction = Prediction("a", "specialist", maps, mutual_information=doubt)
    image = Image(np.full((2, 2, 1), 7, np.uint8))
    case = Case(image, TASKS["polyp"], (prediction,), fusion=fuse((prediction,)))
    reading = read_at(image, case, 0, 1)
    assert reading.contradiction == 0.125
    assert "The specialist's views contradict each other: 0.12 bits" in reading.explained()


def test_reading_without_masks_is_the_pixel() -> None:
    """Before the analysis there is only the image's own value."""
    image = Image(np.full((2, 2, 1), 513, np.uint16))
    assert read_at(image, None, 1, 0).text() == "x 1  y 0   [513]"

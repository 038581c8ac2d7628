"""Each convention gives its library's values where a mask is empty, and says why values differ.

That the values of other pairs agree is tested against the libraries themselves, in tests/oracles.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from omniview.core.image import BoolArray
from omniview.core.metrics import CONVENTIONS, METRICS, score, why

NAN, INF = math.nan, math.inf
EMPTY = np.zeros((8, 9), bool)
FULL = np.ones((8, 9), bool)
SOME = EMPTY.copy()
SOME[2:5, 3:6] = True
APART = EMPTY.copy()
APART[6:8, 0:2] = True

PAIRS = {
    "both": (EMPTY, EMPTY),
    "mask": (EMPTY, SOME),
    "truth": (SOME, EMPTY),
    "full": (FULL, FULL),
    "apart": (SOME, APART),
    "inside": (SOME, FULL),
}

# measured with the libraries: which masks are empty, metric, value
EXPECTED = {
    "metricsreloaded": [
        ("both", {"dice": 1.0, "iou": NAN, "hd95": 0.0, "nsd": 1.0, "precision": NAN, "cldice": NAN}),
        (
            "mask",
            {"dice": 0.0, "hd": NAN, "hd95": NAN, "nsd": 0.0, "precision": 0.0, "cldice_precision": NAN},
        ),
        ("truth", {"dice": 0.0, "sensitivity": NAN, "assd": NAN, "masd": NAN, "auc": NAN}),
        (
            "apart",
            {
                "cldice": NAN,
                "cldice_sensitivity": 0.0,
                "boundary_iou": 0.0,
                "mcc": -36 / math.sqrt(9 * 4 * 63 * 68),
            },
        ),
        ("full", {"specificity": NAN, "mcc": NAN, "balanced_accuracy": NAN, "accuracy": 1.0}),
    ],
    "monai": [
        ("both", {"hd": NAN, "hd95": NAN, "assd": NAN, "nsd": NAN, "dice": NAN, "iou": NAN, "accuracy": 1.0}),
        (
            "mask",
            {"hd": INF, "hd95": NAN, "assd": INF, "nsd": 0.0, "dice": 0.0, "iou": 0.0, "precision": NAN},
        ),
        ("truth", {"hd": INF, "hd95": NAN, "assd": INF, "nsd": 0.0, "dice": NAN, "specificity": 0.875}),
        ("full", {"hd": 0.0, "hd95": 0.0, "assd": 0.0, "nsd": 1.0, "specificity": NAN, "mcc": NAN}),
    ],
    "deepmind": [
        ("both", {"dice": NAN, "hd": INF, "hd95": INF, "nsd": NAN, "nsd_weighted": NAN}),
        ("mask", {"dice": 0.0, "hd": INF, "hd95": INF, "nsd": 0.0, "nsd_weighted": 0.0}),
        ("full", {"dice": 1.0, "hd": 0.0, "hd95": 0.0, "nsd": 1.0}),
    ],
    "pysod": [
        ("both", {"dice": 0.0, "iou": 0.0, "precision": 0.0, "weighted_f": 0.0, "mean_dice_256": 0.0}),
        ("mask", {"dice": 0.0, "sensitivity": 0.0, "specificity": 1.0}),
        ("full", {"dice": 1.0, "specificity": 0.0, "e_measure_max": 72 / 71}),
    ],
    "nnunet": [("both", {"dice": NAN, "iou": NAN}), ("mask", {"dice": 0.0, "iou": 0.0})],
}


def values(pair: tuple[BoolArray, BoolArray], convention: str) -> dict[str, float | None]:
    """Everything that a convention says of a pair, the mask being its own probability."""
    mask, truth = pair
    probability = mask.astype(np.float32)
    return dict(score(mask, truth, probability=probability, names=METRICS, convention=convention))


@pytest.mark.parametrize(
    ("convention", "pair", "expected"),
    [(name, pair, expected) for name, rows in EXPECTED.items() for pair, expected in rows],
)
def test_empty_masks(convention: str, pair: str, expected: dict[str, float]) -> None:
    """nan, infinity, 0 and 1 as the library has them."""
    found = values(PAIRS[pair], convention)
    assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_convention_knows_rows_of_the_table(convention: str) -> None:
    """No name of its own, and nothing that its library does not compute."""
    known = CONVENTIONS[convention]
    assert set(known) <= set(METRICS)
    assert list(values(PAIRS["apart"], convention)) == [name for name in METRICS if name in known]
    assert all(reading.how.endswith((".", ")")) for reading in known.values())


def test_what_differs_is_explained() -> None:
    """Wherever two conventions give two values, both are described, and not in the same words."""
    for pair in PAIRS.values():
        found = {name: values(pair, name) for name in CONVENTIONS}
        for one, other in itertools.combinations(CONVENTIONS, 2):
            for metric in set(found[one]) & set(found[other]):
                a, b = found[one][metric], found[other][metric]
                if a != b and not (a != a and b != b):
                    text = why(metric, one, other)
                    assert text.startswith(f"{one}: ")
                    assert f" {other}: " in text
                    assert CONVENTIONS[one][metric].how != CONVENTIONS[other][metric].how
    with pytest.raises(KeyError):
        why("cldice", "omniview", "nnunet")


def test_definitions_that_differ_on_every_pair() -> None:
    """Brier over two classes, calibration without zeros, and borders one pixel wide."""
    probability = np.zeros((8, 9), np.float32)
    probability[2:6, 3:6] = 0.75
    names = ("brier", "ece", "average_precision", "boundary_iou")
    ours, theirs = (
        score(SOME, SOME, probability=probability, names=names, convention=c)
        for c in ("omniview", "metricsreloaded")
    )
    assert ours["brier"] == pytest.approx((9 * 0.25**2 + 3 * 0.75**2) / 72)
    assert theirs["brier"] == pytest.approx(2 * (ours["brier"] or 0.0))
    assert ours["ece"] == pytest.approx(abs(9 - 12 * 0.75) / 72)
    assert theirs["ece"] == pytest.approx(abs(9 - 12 * 0.75) / 12)
    assert ours["average_precision"] == pytest.approx(9 / 12)
    assert theirs["average_precision"] == pytest.approx((1 + 9 / 12) / 2)
    assert theirs["boundary_iou"] == 1.0


def test_labels_are_averaged_whatever_comes() -> None:
    """A mean of labels is spoilt by nan, and infinite with infinity."""
    masks, truths = np.stack([EMPTY, SOME]), np.stack([SOME, SOME])
    found = score(masks, truths, convention="monai")
    assert found["hd"] == INF
    assert math.isnan(found["hd95"] or 0.0)

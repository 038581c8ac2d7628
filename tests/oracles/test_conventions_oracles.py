"""Each convention gives the values of its library, empty masks included.

MetricsReloaded is not on any package index and nnU-Net brings far too much: their readings are met through
MONAI and scikit-learn, which agree with them wherever a mask is not empty, and through the figures that the
authors of Metrics Reloaded published and test against.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from omniview.core.image import BoolArray
from omniview.core.metrics import CONVENTIONS, METRICS, score
from tests.oracles.pairs import Pair, defined, pairs
from tests.oracles.peers import agree, peer

MONAI_RATES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "mcc": "matthews correlation coefficient",
}


def _monai(monai: Any, torch: Any, pair: Pair, tolerance: float) -> dict[str, float]:
    mask, truth = (torch.from_numpy(a[None, None]).double() for a in (pair.mask, pair.truth))
    whole: dict[str, Any] = {"include_background": True}
    here: dict[str, Any] = {**whole, "spacing": pair.spacing}
    confusion = monai.get_confusion_matrix(mask, truth, **whole)
    found = {
        "dice": monai.compute_dice(mask, truth, **whole),
        "iou": monai.compute_iou(mask, truth, **whole),
        "hd": monai.compute_hausdorff_distance(mask, truth, **here),
        "hd95": monai.compute_hausdorff_distance(mask, truth, percentile=95, **here),
        "assd": monai.compute_average_surface_distance(mask, truth, symmetric=True, **here),
        "nsd": monai.compute_surface_dice(mask, truth, [tolerance], **here),
        **{
            ours: monai.compute_confusion_matrix_metric(theirs, confusion)
            for ours, theirs in MONAI_RATES.items()
        },
    }
    return {name: float(value) for name, value in found.items()}


def _percentile(utils: Any, torch: Any, pair: Pair) -> float:
    """HD95 from MONAI's distances, interpolated in double precision: torch does it in single."""
    masks = (torch.from_numpy(a) for a in (pair.mask, pair.truth))
    _, distances, _ = utils.get_edge_surface_distance(*masks, spacing=pair.spacing, symmetric=True)
    return float(max(np.percentile(d.numpy().astype(np.float64), 95) for d in distances))


def test_monai() -> None:
    """Counts, Hausdorff distances, average distance and pixel surface Dice."""
    monai, torch, utils = peer("monai.metrics"), peer("torch"), peer("monai.metrics.utils")
    for pair in pairs():
        tolerance = 1.25 * max(pair.spacing or (1.0, 1.0))  # no distance of these grids is equal to it
        found = score(
            pair.mask, pair.truth, pair.spacing, tolerance=tolerance, names=METRICS, convention="monai"
        )
        theirs = _monai(monai, torch, pair, tolerance)
        assert set(found) == set(theirs) == set(CONVENTIONS["monai"])
        if pair.mask.any() and pair.truth.any():
            assert found["hd95"] == pytest.approx(theirs["hd95"], rel=1e-4, abs=1e-4)
            theirs["hd95"] = _percentile(utils, torch, pair)
        for name, value in theirs.items():
            agree(f"{pair.name} {name}", found[name], value)


def test_monai_with_two_masks_is_our_own_reading() -> None:
    """Where neither mask is empty nothing is left to conventions, but for rates without a denominator."""
    names = [name for name in CONVENTIONS["monai"] if name != "mcc"]
    for pair in defined(pairs()):
        ours, monai, reloaded = (
            score(pair.mask, pair.truth, pair.spacing, names=names, convention=name)
            for name in ("omniview", "monai", "metricsreloaded")
        )
        for name, value in ours.items():
            agree(f"{pair.name} {name}", value, math.nan if monai[name] is None else monai[name] or 0.0)
            agree(f"{pair.name} {name}", value, reloaded[name] or 0.0)


def test_deepmind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances and surface Dice between contours of half-pixel corners, weighed by length."""
    surface_distance = peer("surface_distance")
    for name, value in (("Inf", np.inf), ("NaN", np.nan)):  # names that numpy 2 no longer has
        monkeypatch.setattr(np, name, value, raising=False)
    for pair in pairs():
        spacing = pair.spacing or (1.0, 1.0)
        tolerance = 1.25 * max(spacing)
        apart = surface_distance.compute_surface_distances(pair.truth, pair.mask, spacing)
        found = score(
            pair.mask, pair.truth, pair.spacing, tolerance=tolerance, names=METRICS, convention="deepmind"
        )
        weighted = surface_distance.compute_surface_dice_at_tolerance(apart, tolerance)
        agree(pair.name, found["dice"], surface_distance.compute_dice_coefficient(pair.truth, pair.mask))
        agree(pair.name, found["hd"], surface_distance.compute_robust_hausdorff(apart, 100))
        agree(pair.name, found["hd95"], surface_distance.compute_robust_hausdorff(apart, 95))
        agree(pair.name, found["nsd_weighted"], weighted)
        agree(pair.name, found["nsd"], weighted)


def test_medpy() -> None:
    """Hausdorff and average symmetric distance agree with a third program too."""
    binary = peer("medpy.metric.binary")
    for pair in defined(pairs()):
        found = score(pair.mask, pair.truth, pair.spacing)
        agree(pair.name, found["hd"], binary.hd(pair.mask, pair.truth, pair.spacing))
        there = [
            binary.asd(*masks, pair.spacing) for masks in ((pair.mask, pair.truth), (pair.truth, pair.mask))
        ]
        agree(pair.name, found["masd"], sum(there) / 2)


def test_centre_lines() -> None:
    """The published formula over the skeletons of scikit-image, as MetricsReloaded computes it."""
    morphology = peer("skimage.morphology")
    for pair in pairs():
        lines = [morphology.skeletonize(m) for m in (pair.mask, pair.truth)]
        found = score(pair.mask, pair.truth, names=METRICS, convention="metricsreloaded")
        with np.errstate(invalid="ignore"):
            precision = np.float64((lines[0] & pair.truth).sum()) / lines[0].sum()
            sensitivity = np.float64((lines[1] & pair.mask).sum()) / lines[1].sum()
            both = 2 * precision * sensitivity / (precision + sensitivity)
        agree(pair.name, found["cldice_precision"], precision)
        agree(pair.name, found["cldice_sensitivity"], sensitivity)
        agree(pair.name, found["cldice"], both)


def _drawn(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> BoolArray:
    mask = np.zeros(shape, bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def _line(*runs: tuple[int, int]) -> BoolArray:
    return np.concatenate([np.full(length, bool(value)) for value, length in runs])[None]


CROSS = _drawn((11, 11), (3, 8, 3, 8), (5, 6, 1, 10), (1, 10, 5, 6)), _drawn((11, 11), (3, 8, 3, 8))
OUTLIER = _drawn((14, 14), (9, 12, 9, 12)), _drawn((14, 14), (9, 12, 9, 12), (1, 2, 1, 2))
CORNER = _drawn((14, 14), (1, 4, 1, 2), (3, 4, 1, 4))

# Metrics Reloaded and its pitfalls (Maier-Hein, Reinke et al. 2024): the figures that the authors keep as
# tests, to the digits that are printed, not all of them rounded
PUBLISHED = (
    ("overlap of a cross and a square", *CROSS, {"dice": 0.862, "iou": 0.76, "assd": 0.44, "masd": 0.425}),
    ("an outlier", *OUTLIER, {"hd": 11.31, "hd95": 6.79}),
    ("a short line, one end missing", _drawn((14, 14), (2, 4, 1, 2), (3, 4, 1, 4)), CORNER, {"cldice": 0.86}),
    ("a short line, half missing", _drawn((14, 14), (3, 4, 1, 4)), CORNER, {"cldice": 0.67}),
    (
        "prevalence, balanced",
        _line((1, 45), (0, 5), (1, 10), (0, 40)),
        _line((1, 50), (0, 50)),
        {"precision": 0.82},
    ),
    ("prevalence, not", _line((1, 81), (0, 9), (1, 2), (0, 8)), _line((1, 90), (0, 10)), {"precision": 0.98}),
    ("one class alone", _line((1, 105)), _line((1, 30), (0, 75)), {"accuracy": 0.286}),
    (
        "chance",
        _line((1, 1499), (0, 501)),
        _line((1, 1999), (0, 1)),
        {"mcc": 0.0386, "balanced_accuracy": 0.87},
    ),
    ("recall", _line((1, 40), (0, 30), (1, 1)), _line((1, 70), (0, 1)), {"sensitivity": 0.57}),
    (
        "a missing row",
        _drawn((22, 22), (3, 21, 2, 21)),
        _drawn((22, 22), (2, 21, 2, 21)),
        {"boundary_iou": 0.6},
    ),
)


@pytest.mark.parametrize(
    ("mask", "truth", "expected"), [row[1:] for row in PUBLISHED], ids=[r[0] for r in PUBLISHED]
)
def test_published_examples(mask: BoolArray, truth: BoolArray, expected: dict[str, float]) -> None:
    """Within a unit of the last digit that is printed."""
    found = score(mask, truth, names=METRICS, convention="metricsreloaded")
    for name, value in expected.items():
        digits = len(str(value).partition(".")[2])
        assert found[name] == pytest.approx(value, abs=10**-digits), name


@pytest.mark.parametrize(("tolerance", "expected"), [(1.0, 0.89), (2.0, 1.0)])
def test_published_surface_dice(tolerance: float, expected: float) -> None:
    """The cross and the square, at both tolerances of the figure."""
    assert score(*CROSS, tolerance=tolerance)["nsd"] == pytest.approx(expected, abs=0.005)

"""Measures of probability maps agree with scikit-learn, and in its convention with PySODMetrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniview.core.image import Array
from omniview.core.metrics import CONVENTIONS, METRICS, score
from tests.oracles.pairs import Pair, pairs
from tests.oracles.peers import agree, peer

SOFT = [name for name, metric in METRICS.items() if metric.needs_probability]


@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_scikit_learn(kind: str) -> None:
    """Area under ROC, average precision, Brier score and mean absolute error, from bytes and from float32."""
    sklearn_metrics = peer("sklearn.metrics")
    for pair in pairs():
        probability: Array = pair.grey if kind == "bytes" else pair.probability
        y = pair.truth.ravel()
        p = pair.grey.ravel() / 255.0 if kind == "bytes" else pair.probability.ravel().astype(np.float64)
        found = score(pair.mask, pair.truth, probability=probability, names=SOFT)
        agree(pair.name, found["brier"], sklearn_metrics.mean_squared_error(y, p))
        agree(pair.name, found["mae"], sklearn_metrics.mean_absolute_error(y, p))
        if y.any() and not y.all():
            agree(pair.name, found["brier"], sklearn_metrics.brier_score_loss(y, p))
            agree(pair.name, found["auc"], sklearn_metrics.roc_auc_score(y, p))
        if y.any():
            agree(pair.name, found["average_precision"], sklearn_metrics.average_precision_score(y, p))


def _pysod(sod: Any, pair: Pair) -> dict[str, float]:
    prediction, truth = pair.grey, pair.truth.astype(np.uint8) * 255
    measures = {"s": sod.Smeasure(), "e": sod.Emeasure(), "w": sod.WeightedFmeasure(), "mae": sod.MAE()}
    names = {
        "dice": sod.DICEHandler,
        "iou": sod.IOUHandler,
        "sensitivity": sod.SensitivityHandler,
        "specificity": sod.SpecificityHandler,
        "precision": sod.PrecisionHandler,
        "accuracy": sod.OverallAccuracyHandler,
    }
    handlers = {
        name: handler(with_dynamic=True, with_adaptive=False, with_binary=True)
        for name, handler in names.items()
    }
    rates = sod.FmeasureV2(metric_handlers=handlers)
    for measure in (*measures.values(), rates):
        measure.step(pred=prediction, gt=truth)
    alignment, curves = measures["e"].get_results()["em"], rates.get_results()
    return {
        "mae": measures["mae"].get_results()["mae"],
        "s_measure": measures["s"].get_results()["sm"],
        "e_measure": alignment["curve"].mean(),
        "e_measure_max": alignment["curve"].max(),
        "e_measure_adaptive": alignment["adp"],
        "weighted_f": measures["w"].get_results()["wfm"],
        "mean_dice_256": curves["dice"]["dynamic"].mean(),
        "mean_iou_256": curves["iou"]["dynamic"].mean(),
        **{name: float(curves[name]["binary"]) for name in names},
    }


def _stretched_mask(grey: Array) -> Array:
    """What PySODMetrics takes for the mask: above half of the map's own range."""
    p = grey / 255.0
    low, high = p.min(), p.max()
    above: Array = (p - low) / (high - low) > 0.5 if high > low else p > 0.5
    return above


def _tied(pair: Pair) -> bool:
    """Whether the adaptive threshold is a level of the map, so that rounding decides for whole levels."""
    low, high = int(pair.grey.min()), int(pair.grey.max())
    threshold = 2.0 * (pair.grey.mean(dtype=np.float64) - low) + low
    return high == low or abs(threshold - round(threshold)) < 1e-9


def _at_the_end(pair: Pair) -> bool:
    """Whether the truth's centroid is in the last row or column: theirs then divides by an empty quadrant."""
    if not pair.truth.any() or pair.truth.all():
        return False
    last = np.array(pair.truth.shape) - 1
    return bool((np.argwhere(pair.truth).mean(axis=0).round() == last).any())


def test_pysodmetrics() -> None:
    """Every row of its convention; of the adaptive threshold all pairs but those that rounding decides."""
    sod = peer("py_sod_metrics")
    tied = ended = 0
    for pair in pairs():
        theirs = _pysod(sod, pair)
        found = score(
            _stretched_mask(pair.grey), pair.truth, probability=pair.grey, names=METRICS, convention="pysod"
        )
        assert set(found) == set(theirs) == set(CONVENTIONS["pysod"])
        if _tied(pair):
            tied += 1
            del theirs["e_measure_adaptive"]
        if _at_the_end(pair):
            ended += 1
            assert np.isnan(theirs.pop("s_measure"))
        for name, value in theirs.items():
            agree(f"{pair.name} {name}", found[name], value)
    assert tied < 30
    assert ended < 10


def test_pysodmetrics_without_stretching() -> None:
    """On float32 maps as they are, our own reading: structure and weighted F; alignment but for n - 1."""
    sod = peer("py_sod_metrics")
    for pair in pairs():
        if not pair.truth.any():
            continue
        p, n = pair.probability, pair.truth.size
        found = score(pair.mask, pair.truth, probability=p, names=SOFT)
        structure, alignment, weighted = sod.Smeasure(), sod.Emeasure(), sod.WeightedFmeasure()
        structure.step(p.astype(np.float64), pair.truth, normalize=False)
        alignment.step(p, pair.truth, normalize=False)
        weighted.step(p.astype(np.float64), pair.truth, normalize=False)
        if not _at_the_end(pair):
            agree(pair.name, found["s_measure"], structure.get_results()["sm"])
        agree(pair.name, found["weighted_f"], weighted.get_results()["wfm"])
        curve = alignment.get_results()["em"]["curve"]
        agree(pair.name, found["e_measure"], curve.mean() * (n - 1) / n)

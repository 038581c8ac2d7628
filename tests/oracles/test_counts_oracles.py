"""Measures of counts agree with scikit-learn, medpy and SimpleITK."""

from __future__ import annotations

import numpy as np

from omniview.core.metrics import METRICS, score
from tests.oracles.pairs import defined, pairs
from tests.oracles.peers import agree, peer


def test_there_are_enough_pairs() -> None:
    """At least 200, of every kind, none square, masks of map and probability the same."""
    everything = pairs()
    assert len(everything) >= 200
    assert all(pair.truth.shape[0] != pair.truth.shape[1] for pair in everything)
    assert all(np.array_equal(pair.mask, pair.probability > 0.5) for pair in everything)
    assert len(defined(everything)) >= 150


def test_scikit_learn() -> None:
    """Wherever the measure has a denominator; the correlation on pairs of two kinds of pixels each."""
    sklearn_metrics = peer("sklearn.metrics")
    for pair in pairs():
        found = score(pair.mask, pair.truth, names=METRICS)
        y, p = pair.truth.ravel(), pair.mask.ravel()
        agree(pair.name, found["accuracy"], sklearn_metrics.accuracy_score(y, p))
        if y.any() or p.any():
            agree(pair.name, found["dice"], sklearn_metrics.f1_score(y, p, zero_division=0.0))
            agree(pair.name, found["iou"], sklearn_metrics.jaccard_score(y, p, zero_division=0.0))
        if y.any():
            agree(pair.name, found["sensitivity"], sklearn_metrics.recall_score(y, p))
        if p.any():
            agree(pair.name, found["precision"], sklearn_metrics.precision_score(y, p))
        if not y.all():
            agree(pair.name, found["specificity"], sklearn_metrics.recall_score(y, p, pos_label=False))
        if y.any() and not y.all():
            agree(pair.name, found["balanced_accuracy"], sklearn_metrics.balanced_accuracy_score(y, p))
            if p.any() and not p.all():
                agree(pair.name, found["mcc"], sklearn_metrics.matthews_corrcoef(y, p))


def test_medpy() -> None:
    """Dice, Jaccard and both rates on pairs that it defines."""
    binary = peer("medpy.metric.binary")
    for pair in defined(pairs()):
        found = score(pair.mask, pair.truth)
        agree(pair.name, found["dice"], binary.dc(pair.mask, pair.truth))
        agree(pair.name, found["iou"], binary.jc(pair.mask, pair.truth))
        agree(pair.name, found["sensitivity"], binary.sensitivity(pair.mask, pair.truth))
        agree(pair.name, found["precision"], binary.precision(pair.mask, pair.truth))


def test_simpleitk() -> None:
    """Dice, Jaccard and volumetric similarity, which it signs and does not halve."""
    sitk = peer("SimpleITK")
    for pair in defined(pairs()):
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        images = (sitk.GetImageFromArray(a.astype(np.uint8)) for a in (pair.truth, pair.mask))
        overlap.Execute(*images)
        found = score(pair.mask, pair.truth, names=METRICS)
        agree(pair.name, found["dice"], overlap.GetDiceCoefficient())
        agree(pair.name, found["iou"], overlap.GetJaccardCoefficient())
        agree(pair.name, found["volumetric_similarity"], 1.0 - abs(overlap.GetVolumeSimilarity()) / 2.0)

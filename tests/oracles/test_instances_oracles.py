"""Object scores agree with panoptica."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from omniview.core.instances import split
from omniview.core.matching import instance_scores
from tests.oracles.pairs import pairs
from tests.oracles.peers import agree, peer


def _labelled() -> list[tuple[str, npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
    """Label images of the pairs that hold objects on both sides."""
    found = [(pair.name, split(pair.mask, smallest=1), split(pair.truth, smallest=1)) for pair in pairs()]
    return [row for row in found if row[1].any() and row[2].any()]


def test_panoptica() -> None:
    """Counts of matches, panoptic, segmentation and recognition quality at IoU above one half."""
    panoptica = peer("panoptica")
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.UNMATCHED_INSTANCE,
        instance_matcher=panoptica.NaiveThresholdMatching(matching_threshold=0.5 + 1e-12),
    )
    cases = _labelled()
    assert len(cases) > 150
    for name, labels, truth in cases:
        theirs = evaluator.evaluate(labels.astype(np.uint16), truth.astype(np.uint16), verbose=False)[
            "ungrouped"
        ]
        found = instance_scores(labels, truth)
        agree(f"{name} f1", found["recognition_quality"], theirs.rq)
        if theirs.tp:
            agree(f"{name} sq", found["segmentation_quality"], theirs.sq)
            agree(f"{name} pq", found["panoptic_quality"], theirs.pq)
        assert found["instance_recall_50"] == theirs.tp / theirs.n_ref_instances
        assert found["instance_precision_50"] == theirs.tp / theirs.n_pred_instances

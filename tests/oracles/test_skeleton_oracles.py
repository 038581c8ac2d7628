"""Centre lines are those of scikit-image, pixel for pixel, on every pair."""

from __future__ import annotations

import numpy as np

from omniview.core.image import BoolArray
from omniview.core.skeleton import EditedSkeleton, cldice, skeletonise
from tests.oracles.pairs import defined, pairs
from tests.oracles.peers import agree, peer


def test_scikit_image() -> None:
    """Both masks of every pair, empty and full ones included."""
    morphology = peer("skimage.morphology")
    for pair in pairs():
        for mask in (pair.mask, pair.truth):
            np.testing.assert_array_equal(skeletonise(mask), morphology.skeletonize(mask), pair.name)


def test_scikit_image_after_an_edit() -> None:
    """The truth as an edit of the prediction."""
    morphology = peer("skimage.morphology")
    for pair in pairs():
        edited = EditedSkeleton(pair.mask)
        edited.update(pair.truth, (slice(0, pair.truth.shape[0]), slice(0, pair.truth.shape[1])))
        np.testing.assert_array_equal(edited.line, morphology.skeletonize(pair.truth), pair.name)


def test_cldice_over_the_skeletons_of_scikit_image() -> None:
    """The formula of Shit et al., where both masks have a centre line."""
    morphology = peer("skimage.morphology")

    def inside(line: BoolArray, mask: BoolArray) -> float:
        return float(np.count_nonzero(line & mask) / np.count_nonzero(line))

    for pair in defined(pairs()):
        found = cldice(pair.mask, pair.truth)
        precision = inside(morphology.skeletonize(pair.mask), pair.truth)
        sensitivity = inside(morphology.skeletonize(pair.truth), pair.mask)
        agree(f"{pair.name} precision", found.precision, precision)
        agree(f"{pair.name} sensitivity", found.sensitivity, sensitivity)
        if precision + sensitivity:
            score = 2 * precision * sensitivity / (precision + sensitivity)
            agree(f"{pair.name} score", found.score, score)

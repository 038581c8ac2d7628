"""Sample cases load without a network, and each fits its task."""

from __future__ import annotations

import pytest

from omniview.core.task import TASKS
from omniview.io.samples import SAMPLES


@pytest.mark.parametrize("key", SAMPLES)
def test_sample(key: str) -> None:
    """Every sample has an image of its task's modality, and phantoms have a truth of its size."""
    sample = SAMPLES[key]
    image, truth = sample.load()
    assert sample.key == key
    assert sample.title
    assert image.modality is TASKS[sample.task].modality
    assert min(image.shape) >= 256
    assert (truth is not None) == key.endswith("phantom")
    if truth is not None:
        assert truth.mask.shape == (1, *image.shape)
        assert truth.mask.any()


def test_every_task_has_a_sample() -> None:
    """Each of the four tasks can be tried at once."""
    assert {sample.task for sample in SAMPLES.values()} == {"polyp", "vessel", "breast", "nuclei"}

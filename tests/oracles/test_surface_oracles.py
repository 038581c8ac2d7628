"""Distances between outlines agree with MONAI, medpy, SimpleITK and DeepMind's surface-distance."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.core.surface import surface_distances
from omniview.core.surface_elements import nsd_weighted, surface_elements
from tests.oracles.pairs import defined, pairs
from tests.oracles.peers import agree, peer

FACTORS = (0.4, 0.75, 1.25, 2.6, 7.3)  # of the larger spacing: no distance of these grids is equal to them


def test_monai() -> None:
    """Any percentile, the averages, and surface Dice at several tolerances.

    MONAI's quantile works out the rank in float32, so that it interpolates up to 1e-5 beside the percentile
    of its own distances; of these the percentile is taken here in double precision.
    """
    monai, torch, steps = peer("monai.metrics"), peer("torch"), peer("monai.metrics.utils")
    for pair in defined(pairs()):
        spacing = pair.spacing or (1.0, 1.0)
        found = surface_distances(pair.mask, pair.truth, spacing)
        masks = [torch.from_numpy(mask[None, None]).double() for mask in (pair.mask, pair.truth)]
        plain = [mask[0, 0].bool() for mask in masks]
        _, lists, _ = steps.get_edge_surface_distance(*plain, spacing=spacing, symmetric=True)
        for percentile in (50.0, 95.0, 100.0):
            there = max(float(np.percentile(d.double().numpy(), percentile)) for d in lists)
            agree(f"{pair.name} hd{percentile}", found.hausdorff(percentile), there)
            whole = monai.compute_hausdorff_distance(*masks, True, percentile=percentile, spacing=spacing)
            assert found.hausdorff(percentile) == pytest.approx(float(whole), rel=2e-5)
        there = monai.compute_average_surface_distance(*masks, True, symmetric=True, spacing=spacing)
        agree(f"{pair.name} assd", found.assd(), float(there))
        for factor in FACTORS:
            tolerance = factor * max(spacing)
            there = monai.compute_surface_dice(*masks, [tolerance], True, spacing=spacing)
            agree(f"{pair.name} nsd {tolerance}", found.nsd(tolerance), float(there))


def test_medpy() -> None:
    """The percentile of both directions in one list, and the directed averages."""
    binary = peer("medpy.metric.binary")
    for pair in defined(pairs()):
        found = surface_distances(pair.mask, pair.truth, pair.spacing or (1.0, 1.0))
        agree(f"{pair.name} hd95", found.pooled(95), binary.hd95(pair.mask, pair.truth, pair.spacing))
        agree(f"{pair.name} hd", found.hausdorff(), binary.hd(pair.mask, pair.truth, pair.spacing))
        assd = binary.assd(pair.mask, pair.truth, pair.spacing)
        agree(f"{pair.name} assd", found.assd(), assd)


def test_simpleitk() -> None:
    """Hausdorff distance: of all pixels, which is that of the borders where each mask has a pixel outside."""
    sitk = peer("SimpleITK")
    for pair in defined(pairs()):
        images = [sitk.GetImageFromArray(a.astype(np.uint8)) for a in (pair.truth, pair.mask)]
        for image in images:
            image.SetSpacing((pair.spacing or (1.0, 1.0))[::-1])
        measure = sitk.HausdorffDistanceImageFilter()
        measure.Execute(*images)
        found = surface_distances(pair.mask, pair.truth, pair.spacing or (1.0, 1.0)).hausdorff()
        # a pixel inside the other mask is at no distance there, but may be far from its border
        assert measure.GetHausdorffDistance() <= found * (1.0 + 1e-6)


def test_surface_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths, distances, averages, percentiles and the surface Dice of its authors."""
    theirs = peer("surface_distance")
    for name, value in (("Inf", np.inf), ("NaN", np.nan)):  # names that numpy 2 no longer has
        monkeypatch.setattr(np, name, value, raising=False)
    for pair in defined(pairs()):
        spacing = pair.spacing or (1.0, 1.0)
        there = theirs.compute_surface_distances(pair.mask, pair.truth, spacing)
        found = surface_elements(pair.mask, pair.truth, spacing)
        agree(f"{pair.name} length", float(found.a_length.sum()), float(there["surfel_areas_gt"].sum()))
        for percentile in (50, 95, 100):
            value = theirs.compute_robust_hausdorff(there, percentile)
            agree(f"{pair.name} hd{percentile}", found.hausdorff(percentile), value)
        for ours, value in zip(found.averages(), theirs.compute_average_surface_distance(there), strict=True):
            agree(f"{pair.name} average", ours, value)
        for factor in FACTORS:
            tolerance = factor * max(spacing)
            value = theirs.compute_surface_dice_at_tolerance(there, tolerance)
            agree(f"{pair.name} nsd", found.nsd(tolerance), value)
            agree(f"{pair.name} nsd", nsd_weighted(pair.mask, pair.truth, tolerance, spacing), value)

"""Tiles cover the image and join without a seam."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.core.geometry import tiles

SHAPES = st.tuples(st.integers(1, 90), st.integers(1, 90))
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(shape=SHAPES, size=SIZES, share=st.floats(0, 0.99))
def test_blending_cut_tiles_is_the_identity(
    shape: tuple[int, int], size: tuple[int, int], share: float
) -> None:
    """The weights of every pixel sum to 1, so that a map cut into tiles returns as it was."""
    tiling = tiles(shape, size, int(share * min(size)))
    maps = np.random.default_rng(0).random((*shape, 2), np.float32)
    cut = tiling.cut(maps)
    assert cut.shape == (len(tiling.origins), *size, 2)
    out = tiling.blend(np.moveaxis(cut, -1, 1))
    assert out.shape == (2, *shape)
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.moveaxis(out, 0, -1), maps, atol=2e-6)


@given(shape=SHAPES, size=SIZES, share=st.floats(0, 0.99))
def test_neighbours_overlap_as_asked(shape: tuple[int, int], size: tuple[int, int], share: float) -> None:
    """From border to border, sharing at least the overlap; one tile fewer would not do."""
    overlap = int(share * min(size))
    tiling = tiles(shape, size, overlap)
    for starts, length, tile in zip((tiling.rows, tiling.columns), shape, size, strict=True):
        assert starts[0] == 0
        assert starts[-1] == max(0, length - tile)
        assert all(a + tile - b >= overlap for a, b in itertools.pairwise(starts))
        assert len(starts) == 1 or tile + (len(starts) - 2) * (tile - overlap) < length


def test_a_small_image_is_centred_in_one_tile_and_mirrored() -> None:
    """An image smaller than a tile is surrounded by its own mirror image."""
    tiling = tiles((1, 3), (1, 7), 0)
    assert tiling.origins == ((0, -2),)
    row = np.array([[[1], [2], [3]]], np.uint8)
    assert tiling.cut(row)[0, 0, :, 0].tolist() == [3, 2, 1, 2, 3, 2, 1]


def test_seams_are_smooth() -> None:
    """Between a tile of zeros and one of ones the blend rises without a step."""
    tiling = tiles((64, 96), (64, 64), 32)
    maps = np.stack([np.zeros((1, 64, 64), np.float32), np.ones((1, 64, 64), np.float32)])
    line = tiling.blend(maps)[0, 0]
    assert line[0] == 0.0
    assert line[-1] == 1.0
    assert (np.diff(line) >= 0).all()
    assert np.diff(line).max() < 0.06


def test_rounding_stays_within_the_range_of_the_tiles() -> None:
    """Blended probabilities stay probabilities."""
    tiling = tiles((70, 90), (32, 32), 20)
    assert (tiling.blend(np.ones((len(tiling.origins), 1, 32, 32), np.float32)) == 1.0).all()


def test_tiles_are_let_go_one_by_one() -> None:
    """Blending a stream of tiles needs the memory of the result and a few tiles, not of all."""
    tiling = tiles((512, 512), (128, 128), 120)
    result = 512 * 512 * 4
    tracemalloc.start()
    tiling.blend(np.zeros((1, 128, 128), np.float32) for _ in tiling.origins)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tiling.origins) * 128 * 128 * 4 > 60 * result
    assert peak < 4 * result


def test_what_does_not_fit_is_told_by_name() -> None:
    """Overlap, sizes, pixels and maps are checked; a missing or surplus tile is an error."""
    for overlap in (-1, 8):
        with pytest.raises(ValueError, match="overlap"):
            tiles((20, 20), (8, 8), overlap)
    with pytest.raises(ValueError, match="shape and size"):
        tiles((0, 20), (8, 8), 0)
    tiling = tiles((20, 20), (8, 8), 2)
    with pytest.raises(ValueError, match="pixels"):
        tiling.cut(np.zeros((20, 21, 1), np.uint8))
    with pytest.raises(ValueError, match="maps"):
        tiling.blend(np.zeros((9, 1, 8, 7), np.float32))
    for number in (0, 8, 10):
        with pytest.raises(ValueError, match="zip"):
            tiling.blend(np.zeros((number, 1, 8, 8), np.float32))

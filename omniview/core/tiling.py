"""Overlapping tiles for images larger than a network's input, joined again without a seam."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from omniview.core.image import Array, FloatArray

__all__ = ["Tiling", "tiles"]


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """Overlapping tiles that cover an image, and the weights that join them without a seam.

    Tiles stand on a regular grid, so each pixel's weight is a product of one weight along the rows and one
    along the columns. Each is a raised cosine over the tile (Hann 1.0 at the centre, towards 0 at its ends),
    divided by the sum over all tiles there: the weights of a pixel sum to 1.

    Attributes:
        shape: (Y,X) of the image.
        size: (h,w) of a tile.
        rows: first row of each row of tiles, in the padded image.
        columns: first column of each column of tiles, in the padded image.
    """

    shape: tuple[int, int]
    size: tuple[int, int]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def origins(self) -> tuple[tuple[int, int], ...]:
        """(y,x) of each tile's first pixel in the image; negative where the tile reaches into padding."""
        (top, _), (left, _) = self._padding()
        return tuple((y - top, x - left) for y in self.rows for x in self.columns)

    def _padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        (Y, X), (h, w) = self.shape, self.size
        down, across = max(0, h - Y), max(0, w - X)
        return (down // 2, down - down // 2), (across // 2, across - across // 2)

    def cut(self, pixels: Array) -> Array:
        """All tiles.

        Args:
            pixels: (Y,X,C).

        Returns:
            (N,h,w,C) in the order of `origins`; mirrored beyond the border of an image smaller than a tile.
        """
        if pixels.ndim != 3 or pixels.shape[:2] != self.shape:
            raise ValueError(f"pixels must be ({self.shape[0]},{self.shape[1]},C), got {pixels.shape}")
        if self.size[0] > self.shape[0] or self.size[1] > self.shape[1]:
            pixels = np.pad(pixels, (*self._padding(), (0, 0)), mode="reflect")
        h, w = self.size
        return np.stack([pixels[y : y + h, x : x + w] for y in self.rows for x in self.columns])

    def blend(self, maps: Iterable[FloatArray]) -> FloatArray:
        """Join the tiles' maps.

        Args:
            maps: (N,K,h,w) float32, or N arrays (K,h,w) one after the other, in the order of `origins`. Each
                is added to the result and let go, so that a generator needs the memory of one tile only.

        Returns:
            (K,Y,X) float32, within the range of the values given.
        """
        (top, bottom), (left, right) = self._padding()
        height, width = self.shape[0] + top + bottom, self.shape[1] + left + right
        down, across = _weights(self.rows, self.size[0], height), _weights(self.columns, self.size[1], width)
        places = [(i, j) for i in range(len(self.rows)) for j in range(len(self.columns))]
        total: FloatArray | None = None
        low, high = np.inf, -np.inf
        for (i, j), tile in zip(places, maps, strict=True):
            if tile.ndim != 3 or tile.shape[1:] != self.size:
                raise ValueError(f"maps must be (N,K,{self.size[0]},{self.size[1]}), got a tile {tile.shape}")
            if total is None:
                total = np.zeros((len(tile), height, width), np.float32)
            y, x = self.rows[i], self.columns[j]
            weight = np.outer(down[i], across[j]).astype(np.float32)
            total[:, y : y + self.size[0], x : x + self.size[1]] += tile * weight
            low, high = min(low, float(tile.min())), max(high, float(tile.max()))
        assert total is not None  # a tiling has at least one tile, and zip is strict
        inner = total[:, top : top + self.shape[0], left : left + self.shape[1]]
        return np.clip(inner, low, high)


def _weights(starts: tuple[int, ...], size: int, length: int) -> Array:
    """(number of tiles, size) float64: raised cosines that sum to 1 at each of `length` positions."""
    cosine = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    total = np.zeros(length)
    for start in starts:
        total[start : start + size] += cosine
    return np.stack([cosine / total[start : start + size] for start in starts])


def tiles(shape: tuple[int, int], size: tuple[int, int], overlap: int) -> Tiling:
    """The fewest evenly spread tiles of `size` (h,w) over an image of `shape` (Y,X).

    Neighbours share at least `overlap` pixels. An image smaller than a tile is centred in one.

    Raises:
        ValueError: `overlap` is negative or not smaller than a tile.
    """
    if min(*shape, *size) < 1:
        raise ValueError(f"shape and size must be at least one pixel each way, got {shape} and {size}")
    if not 0 <= overlap < min(size):
        raise ValueError(f"overlap must be at least 0 and below the tile's size {size}, got {overlap}")
    rows, columns = (_starts(n, tile, overlap) for n, tile in zip(shape, size, strict=True))
    return Tiling(shape, size, rows, columns)


def _starts(length: int, size: int, overlap: int) -> tuple[int, ...]:
    if length <= size:
        return (0,)
    number = 1 + math.ceil((length - size) / (size - overlap))
    return tuple(int(s) for s in np.rint(np.linspace(0, length - size, number)))

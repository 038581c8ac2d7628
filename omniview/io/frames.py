"""A clip or volume of which only the frames that are looked at are decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from omniview.core.image import Image

__all__ = ["Frames"]


class Frames(Sequence[Image]):
    """Frames that are decoded when they are asked for.

    Nothing is kept open or cached between two accesses, so any number of threads may read at once as long
    as `load` itself opens what it needs. A slice is lazy as well.

    Args:
        count: number of frames, at least one.
        load: frame index in [0, count) to Image; raises UnreadableFile.
    """

    __slots__ = ("_indices", "_load")

    def __init__(self, count: int, load: Callable[[int], Image]) -> None:
        if count < 1:
            raise ValueError(f"Frames.count must be at least one, got {count}")
        self._indices = range(count)
        self._load = load

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Image: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Image]: ...

    def __getitem__(self, index: int | slice) -> Image | Sequence[Image]:
        if isinstance(index, slice):
            part = Frames(1, self._load)
            part._indices = self._indices[index]
            return part
        return self._load(self._indices[index])

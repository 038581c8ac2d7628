"""What the window needs of whoever brings the models.

The window never learns how a model is loaded or where it runs: the composition root hands it an object of
this shape, and a test hands it another.
"""

from __future__ import annotations

from typing import Protocol

from omniview.batch.one import Models as BatchModels

__all__ = ["Models"]


class Models(BatchModels, Protocol):
    """Tasks and the models for them. `recognise` and `segmenters` block: call them in a thread."""

    def omnimodels(self) -> tuple[str, ...]:
        """Names of the omnimodels that can be chosen: `none`, `builtin`, ..."""
        ...

    async def close(self) -> None:
        """Release the models."""
        ...

"""Leads from one doubtful region to the next; they are looked for in a thread, once for each result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from omniview.core.case import Case
from omniview.core.doubt_regions import doubt_regions
from omniview.ui.doubts import Tour
from omniview.ui.latest import Coalesced
from omniview.ui.session import Session

__all__ = ["Touring"]


class Touring:
    """Changes the doubtful region that is looked at.

    Args:
        session: what the window shows.
        failed: told of a defect.
    """

    def __init__(self, session: Session, failed: Callable[[BaseException], None]) -> None:
        self._session = session
        self._search = Coalesced(self._find, failed)

    def step(self, by: int) -> None:
        """Look at the next region (1) or the one before (-1)."""
        now = self._session.now
        if now.tour is not None and now.tour.of(now.case):
            self._session.update(tour=now.tour.step(by))
        elif now.case is not None:
            self._search.ask((now.case, by))

    async def settle(self) -> None:
        """Wait until the regions are found."""
        await self._search.settle()

    async def close(self) -> None:
        """Stop looking."""
        await self._search.close()

    async def _find(self, request: tuple[Case, int]) -> None:
        case, by = request
        if case.fusion is None:
            return
        regions = await asyncio.to_thread(doubt_regions, case.fusion, case.predictions)
        if self._session.now.case is case:
            tour = Tour(case.fusion, regions)
            self._session.update(tour=tour if by > 0 else tour.step(by))

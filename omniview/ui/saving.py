"""Writes what is on screen into a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omniview.errors import OmniViewError
from omniview.io.kinds import stem_of
from omniview.ui.messages import Level, Notice, notice_of
from omniview.ui.session import Session

__all__ = ["save"]


async def save(session: Session, folder: Path) -> None:
    """Write the masks of the case on screen, and a record of what made them, into `folder`, and say so."""
    from omniview.batch.results import write_case

    now = session.now
    if now.case is None or not now.case.predictions:
        session.update(notice=Notice("There are no masks to save yet.", "Wait for the analysis."))
        return
    image = now.case.image
    # frames of one clip must not write over each other
    stem = stem_of(image.name) + ("" if image.frame is None else f".frame{image.frame}")
    try:
        await asyncio.to_thread(write_case, now.case, folder, stem)
    except OmniViewError as error:
        session.update(notice=notice_of(error))
    else:
        session.update(notice=Notice(f"Masks of {stem} saved in {folder}.", level=Level.GOOD))

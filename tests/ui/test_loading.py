"""From a row of the case list to an image: the frame that was scored, and files that lie elsewhere."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image as Pillow

from omniview.errors import NotAllowed, UnreadableFile
from omniview.ui.loading import load
from omniview.ui.session import Entry


def test_the_frame_that_was_scored_is_shown(tmp_path: Path) -> None:
    """Not the first of its file; one that is no longer there is said."""
    path = tmp_path / "clip.tif"
    pages = [Pillow.fromarray(np.full((20, 30), 10 * n, np.uint8)) for n in range(4)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    found = load(Entry("clip#2", path, frame=2), None)
    assert found.image.frame == 2
    assert found.image.pixels[0, 0, 0] == 20
    assert len(found.series) == 4
    with pytest.raises(UnreadableFile, match="no frame 7 any more"):
        load(Entry("clip#7", path, frame=7), None)


def test_a_file_that_lies_elsewhere_is_brought_here(tmp_path: Path) -> None:
    """As it is for a run; offline it is refused before any socket is opened."""
    path = tmp_path / "a.png"
    Pillow.fromarray(np.full((20, 30, 3), 99, np.uint8)).save(path)
    fsspec.filesystem("memory").put(str(path), "/far/a.png")
    entry = Entry("a", Path("memory://far/a.png"))
    assert load(entry, None).image.pixels[0, 0, 0] == 99
    with pytest.raises(NotAllowed):
        load(entry, None, offline=True)

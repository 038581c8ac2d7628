"""No cycles are looked for while many files are at work, and all is as before afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from omniview.core.cycles import no_search, set_aside


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Later tests find the search as it was."""
    yield
    gc.unfreeze()
    gc.enable()


def test_the_search_rests_until_the_last_has_left() -> None:
    """One within another ends nothing; an error ends it as a return does."""
    assert gc.isenabled()
    with no_search():
        with no_search():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), no_search():
        raise KeyError
    assert gc.isenabled()


def test_who_had_switched_it_off_finds_it_off() -> None:
    """A host application's own choice is left alone."""
    gc.disable()
    with no_search():
        pass
    assert not gc.isenabled()


def test_what_is_set_aside_is_passed_over() -> None:
    """Later searches do not go through it again."""
    gc.unfreeze()
    with set_aside():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0

"""`omniview cache`: answers of cloud omnimodels that were paid for."""

from __future__ import annotations

from omniview.cli.console import say
from omniview.settings import Settings, home

__all__ = ["cache_clear", "cache_info"]


def cache_info() -> None:
    """Say how many answers are kept, and where."""
    from omniview.omnimodel.cache import AnswerCache

    info = AnswerCache(home(), Settings.load().cache_mb).info()
    say(f"{info.answers} answers, {info.bytes / 1e6:.1f} of {info.limit / 1e6:g} MB: {info.folder}")


def cache_clear() -> None:
    """Forget all kept answers: the next questions are paid for again."""
    from omniview.omnimodel.cache import AnswerCache

    say(f"{AnswerCache(home(), 0).clear()} answers removed.")

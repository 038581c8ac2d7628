"""Folders as the window scores them: planned with the settings in force, and what is in the way is said."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest

from omniview.backing.scorer import FolderScorer
from omniview.batch.journal import Journal
from omniview.batch.rows import Record, Row
from omniview.batch.work import Done
from omniview.settings import GeminiSettings, OpenAiSettings, Settings
from omniview.ui.batch_plan import Held, Wish
from omniview.ui.batch_table import THUMBNAILS
from tests.batch.otsu import write_set


@pytest.fixture(autouse=True)
def search_as_before() -> Iterator[None]:
    """What a plan sets aside is looked at again after each test."""
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
    yield
    gc.unfreeze()


def _wish(folder: Path, omnimodel: str = "none", *, offline: bool = False) -> Wish:
    return Wish(folder, None, "polyp", omnimodel, offline, masks=False)


def test_every_plan_is_made_with_the_settings_in_force(tmp_path: Path) -> None:
    """Settings that are changed between two plans hold for the second."""
    folder = write_set(tmp_path / "set", 2)
    found = [Settings(views=1)]
    scorer = FolderScorer(lambda: found[-1])
    first = scorer.plan(_wish(folder))
    found.append(Settings(views=2))
    second = scorer.plan(_wish(folder))
    assert [one.own.settings.views for one in (first, second)] == [1, 2]  # type: ignore[attr-defined]


def test_what_keeps_an_omnimodel_from_answering_is_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, a missing key and a missing consent, each in words with the next step; else nothing."""
    folder = write_set(tmp_path / "set", 2)

    def obstacle(omnimodel: str, *, offline: bool = False, consent: bool = False, url: str = "") -> str:
        settings = Settings(openai=OpenAiSettings(base_url=url)) if url else Settings(gemini=GeminiSettings())
        return (
            FolderScorer(lambda: settings, consent=consent)
            .plan(_wish(folder, omnimodel, offline=offline))
            .obstacle
        )

    assert obstacle("none") == obstacle("builtin", offline=True) == ""
    assert obstacle("gemini", offline=True).startswith("Offline Gemini is not asked.")
    assert "Without an API key and your consent Gemini is not asked." in obstacle("gemini")
    assert "Without an API key Gemini is not asked." in obstacle("gemini", consent=True)
    monkeypatch.setenv("GEMINI_API_KEY", "k" * 20)
    assert obstacle("gemini", consent=True) == ""
    assert "Without your consent Gemini" in obstacle("gemini")
    assert obstacle("openai", url="http://127.0.0.1:9/v1") == ""  # loopback needs neither


def test_what_a_folder_of_results_holds(tmp_path: Path) -> None:
    """A run, a report, both or nothing; nothing too where it cannot be looked at."""
    scorer = FolderScorer(Settings)
    assert scorer.held(tmp_path) == Held()
    (tmp_path / "journal.sqlite").touch()
    assert scorer.held(tmp_path) == Held(run=True)
    (tmp_path / "report.html").touch()
    assert scorer.held(tmp_path) == Held(run=True, report=tmp_path / "report.html")
    assert scorer.held(Path("/" + 300 * "x")) == Held()


def test_finished_cases_are_handed_over_one_by_one(tmp_path: Path) -> None:
    """Only so many bring their pictures along as the table keeps; the journal is free again afterwards."""
    count = THUMBNAILS + 3
    with Journal(tmp_path) as journal:
        from omniview.batch.journal import Input

        names = [f"c{n:05d}" for n in range(count)]
        journal.begin({}, [Input(name, "") for name in names])
        for name in names:
            journal.add(Done(Record(name, name, {}, (Row(name, "fused", "ok"),), thumbnail=b"jpeg")))
    scorer = FolderScorer(Settings)
    found = scorer.finished(tmp_path)
    assert next(found).name == names[0]
    rest = list(found)
    assert [one.name for one in rest] == names[1:]
    assert [one.thumbnail for one in rest[-4:]] == [b"jpeg", None, None, None]
    Journal(tmp_path).close()


def test_no_cycles_are_looked_for_while_a_folder_is_listed(tmp_path: Path) -> None:
    """The search would stop every thread, the window's too; later ones pass over what was found."""
    gc.unfreeze()
    FolderScorer(Settings).plan(_wish(write_set(tmp_path / "set", 2)))
    assert gc.get_freeze_count() > 0
    assert gc.isenabled()

"""Answers are kept whole or not at all, within a limit, and hold nothing of what was sent."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniview.errors import UnusableAnswer
from omniview.omnimodel.cache import AnswerCache
from omniview.omnimodel.reply import Reply

REPLY = Reply('[{"label": "polyp"}] é \ud800', version="gemini-3-001", tokens_in=300, tokens_out=250)


def _key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> AnswerCache:
    """A cache of one megabyte."""
    return AnswerCache(tmp_path, 1)


def test_what_is_kept_comes_back(cache: AnswerCache, tmp_path: Path) -> None:
    """Word by word, in another process too; another key gives nothing."""
    assert cache.get(_key(0)) is None
    cache.put(_key(0), REPLY)
    assert AnswerCache(tmp_path, 1).get(_key(0)) == REPLY
    assert cache.get(_key(1)) is None
    assert cache.info().answers == 1
    assert cache.info().bytes > 0


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are of another kind there")
def test_only_its_owner_can_read_it(cache: AnswerCache, tmp_path: Path) -> None:
    """What a model says about a patient is nobody else's business."""
    cache.put(_key(0), REPLY)
    (file,) = (tmp_path / "cache").glob("*/*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "reply",
    [
        Reply("x", problem=UnusableAnswer("Nothing in it.")),
        Reply("x", cut_off=True),
        Reply("x", pictures=(b"\x89PNG",)),
        Reply("x" * 1_000_001),
    ],
    ids=["a problem", "cut off", "a picture", "too large"],
)
def test_what_should_not_be_kept_is_not(cache: AnswerCache, reply: Reply) -> None:
    """What cannot be used, is not whole, may show the patient, or passes the limit."""
    cache.put(_key(0), reply)
    assert cache.info().answers == 0


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"null", b'{"sha256": 1}', b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "cut", "list", "null", "foreign", "not text", "deep"],
)
def test_a_damaged_file_is_removed(cache: AnswerCache, tmp_path: Path, damage: bytes) -> None:
    """It counts as no answer, and is gone afterwards."""
    cache.put(_key(0), REPLY)
    (file,) = (tmp_path / "cache").glob("*/*.json")
    file.write_bytes(damage)
    assert cache.get(_key(0)) is None
    assert not file.exists()


def test_an_altered_answer_is_no_answer(cache: AnswerCache, tmp_path: Path) -> None:
    """A changed word, and a file under another's name, are found out."""
    cache.put(_key(0), REPLY)
    (file,) = (tmp_path / "cache").glob("*/*.json")
    body = json.loads(file.read_bytes())
    other = tmp_path / "cache" / _key(1)[:2] / f"{_key(1)}.json"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(file.read_bytes())
    assert cache.get(_key(1)) is None
    file.write_text(json.dumps({**body, "text": "[]"}), "utf-8")
    assert cache.get(_key(0)) is None
    assert cache.info().answers == 0


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    """The limit holds after every answer; what was looked at lately stays."""
    cache = AnswerCache(tmp_path, 0.01)
    for number in range(60):
        cache.put(_key(number), Reply("x" * 500))
        for path in (tmp_path / "cache").glob("*/*.json"):  # the clock of a file system may be coarse
            if path.stem == _key(number):
                os.utime(path, (number, number))
        assert cache.info().bytes <= 10_000
        assert cache.get(_key(0)) is not None
        os.utime(tmp_path / "cache" / _key(0)[:2] / f"{_key(0)}.json", (number, number))
    assert cache.get(_key(59)) is not None
    assert cache.get(_key(20)) is None


def test_clearing_forgets_answers_and_nothing_else(cache: AnswerCache, tmp_path: Path) -> None:
    """Files that are not answers stay."""
    for number in range(5):
        cache.put(_key(number), REPLY)
    note = tmp_path / "cache" / "note.txt"
    note.write_text("mine")
    assert cache.clear() == 5
    assert cache.clear() == 0
    assert cache.info().answers == 0
    assert note.exists()
    cache.put(_key(0), REPLY)
    assert cache.get(_key(0)) == REPLY


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """The answer was paid for and is used, kept or not."""
    (tmp_path / "cache").write_text("a file in the way")
    cache = AnswerCache(tmp_path, 1)
    cache.put(_key(0), REPLY)
    assert cache.get(_key(0)) is None


def test_many_threads_keep_and_read(tmp_path: Path) -> None:
    """Under a limit that makes all of them evict, nobody ever reads half an answer."""

    def work(number: int) -> None:
        cache = AnswerCache(tmp_path, 0.005)
        for step in range(40):
            key = _key(step % 7)
            cache.put(key, Reply(key * 8, tokens_in=step))
            found = cache.get(key)
            assert found is None or found.text == key * 8

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_none(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    """Whatever lies in the folder, looking at it never raises."""
    home = tmp_path_factory.mktemp("cache")
    file = home / "cache" / _key(0)[:2] / f"{_key(0)}.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(raw)
    assert AnswerCache(home, 1).get(_key(0)) is None


def test_a_key_is_a_hash(cache: AnswerCache) -> None:
    """Nothing can be written outside of the folder by a clever name."""
    with pytest.raises(ValueError, match="SHA-256"):
        cache.get("../../settings")

"""Weights arrive whole and right, or not at all, and what did arrive is not asked for twice."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from omniview.errors import OutputError, SettingsError, WeightsError
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.fetch import Wanted, by_hand, fetch, wanted
from omniview.inference.weights import other_place, verified
from omniview.settings import FetchSettings
from tests.inference.file_server import FileServer, Step
from tests.networks import write_card

CONTENT = os.urandom(300_000)
PLAIN = FetchSettings(timeout_s=5)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of the person who runs the tests are not asked."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def _file(folder: Path, *urls: str, content: bytes = CONTENT) -> Wanted:
    sha256 = hashlib.sha256(content).hexdigest()
    return Wanted("own", folder / "models" / "w.onnx", sha256, urls, len(content))


def _part(file: Wanted) -> Path:
    return file.path.with_name(f"w.onnx.{file.sha256[:12]}.part")


def _fetch(file: Wanted, settings: FetchSettings = PLAIN, *, offline: bool = False) -> list[float]:
    pauses: list[float] = []
    fetch(file, settings, offline=offline, pause=pauses.append)
    assert file.path.read_bytes() == CONTENT
    assert not _part(file).exists()
    return pauses


def test_a_file_is_fetched_with_progress(tmp_path: Path) -> None:
    """It lies where it was wanted, and the last word of progress is all of it."""
    told: list[tuple[int, int]] = []
    with FileServer(CONTENT) as server:
        file = _file(tmp_path, f"{server.address}/x/w.onnx")
        fetch(file, PLAIN, offline=False, on_bytes=lambda done, total: told.append((done, total)))
    assert verified(file.path, file.sha256) == file.path
    assert told[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize(
    ("steps", "requests", "ranges"),
    [
        (("500", "500", ""), 3, 0),
        (("cut", ""), 2, 1),
        (("cut", "cut", "cut", ""), 4, 3),
        (("cut", "whole"), 2, 1),
        (("cut", "416", ""), 3, 1),
    ],
)
def test_troubles_that_pass(tmp_path: Path, steps: tuple[Step, ...], requests: int, ranges: int) -> None:
    """A failing server is asked again after a pause; a cut file goes on, or begins again."""
    with FileServer(CONTENT, steps) as server:
        pauses = _fetch(_file(tmp_path, f"{server.address}/w.onnx"))
    assert len(server.asked) == requests
    assert len(pauses) == requests - 1
    assert sum("range" in headers for _, headers in server.asked) == ranges


def test_another_day_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    """What arrived is kept when a server is given up, and only the rest is asked for, of the same version."""
    with FileServer(CONTENT, ("cut", "500")) as server:
        file = _file(tmp_path, f"{server.address}/w.onnx")
        with pytest.raises(WeightsError, match="500"):
            fetch(file, PLAIN, offline=False, pause=lambda _: None)
        assert _part(file).stat().st_size == len(CONTENT) // 2
        server.steps = ("",)
        server.asked.clear()
        _fetch(file)
        assert server.asked[0][1]["range"] == f"bytes={len(CONTENT) // 2}-"
        assert server.asked[0][1]["if-range"] == '"one"'


def test_a_version_that_changed_is_not_mixed_with_another(tmp_path: Path) -> None:
    """With another ETag the server sends all, and the half of yesterday is thrown away."""
    with FileServer(os.urandom(len(CONTENT)), ("cut", "500")) as server:
        file = _file(tmp_path, f"{server.address}/w.onnx")
        with pytest.raises(WeightsError):
            fetch(file, PLAIN, offline=False, pause=lambda _: None)
        server.steps, server.content, server.etag = ("",), CONTENT, '"two"'
        _fetch(file)


def test_a_spoilt_part_is_fetched_anew(tmp_path: Path) -> None:
    """Where the sum is wrong after going on, the file is fetched once more from its start."""
    with FileServer(CONTENT) as server:
        file = _file(tmp_path, f"{server.address}/w.onnx")
        file.path.parent.mkdir()
        _part(file).write_bytes(b"spoilt")
        _fetch(file)
    assert len(server.asked) == 2


def test_wrong_bytes_are_refused_and_removed(tmp_path: Path) -> None:
    """Nothing is put in place, nothing is left over, and the way by hand is told."""
    with FileServer(os.urandom(len(CONTENT))) as server:
        file = _file(tmp_path, f"{server.address}/w.onnx")
        with pytest.raises(WeightsError, match="another file") as caught:
            fetch(file, PLAIN, offline=False)
    assert by_hand(file) == caught.value.next_step
    assert str(file.path) in caught.value.next_step
    assert file.sha256 in caught.value.next_step
    assert not file.path.exists()
    assert not _part(file).exists()


@pytest.mark.parametrize("step", ["long", "packed", "404"])
def test_the_next_address_is_tried(tmp_path: Path, step: Step) -> None:
    """A source that does not have the file, or sends too much, takes none of the others away."""
    with FileServer(CONTENT, (step,)) as bad, FileServer(CONTENT) as good:
        pauses = _fetch(_file(tmp_path, f"{bad.address}/w.onnx", f"{good.address}/w.onnx"))
    assert pauses == []
    assert (len(bad.asked), len(good.asked)) == (1, 1)


def test_a_shorter_file_is_refused_at_once(tmp_path: Path) -> None:
    """A server whose file has another length than the card says is not asked again and again."""
    with FileServer(CONTENT[:-1]) as server, pytest.raises(WeightsError, match="299,999 bytes"):
        fetch(_file(tmp_path, f"{server.address}/w.onnx"), PLAIN, offline=False)
    assert len(server.asked) == 1


def test_nobody_listens(tmp_path: Path) -> None:
    """A refused connection is tried again, then said."""
    with FileServer(CONTENT) as server:
        address = server.address
    pauses: list[float] = []
    with pytest.raises(WeightsError, match="cannot be reached"):
        fetch(_file(tmp_path, f"{address}/w.onnx"), PLAIN, offline=False, pause=pauses.append)
    assert pauses == sorted(pauses)
    assert len(pauses) == 4


@pytest.mark.parametrize("by_environment", [True, False])
def test_a_proxy_is_gone_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    """The proxy of the settings, or of the environment, is asked for the whole address."""
    with FileServer(CONTENT) as proxy:
        if by_environment:
            monkeypatch.setenv("HTTP_PROXY", proxy.address)
            settings = PLAIN
        else:
            settings = FetchSettings(proxy=proxy.address, timeout_s=5)
        _fetch(_file(tmp_path, "http://weights.invalid/a/w.onnx"), settings)
    assert proxy.asked[0][0] == "http://weights.invalid/a/w.onnx"


def test_a_mirror_takes_the_place_of_the_host(tmp_path: Path) -> None:
    """The path is kept, or the file lies flat; the card's own host is not asked."""
    with FileServer(CONTENT, ("404", "")) as server:
        mirror = FetchSettings(mirror=f"{server.address}/mirror/", timeout_s=5)
        _fetch(_file(tmp_path, "https://weights.invalid/a/w.onnx"), mirror)
    assert [path for path, _ in server.asked] == ["/mirror/a/w.onnx", "/mirror/w.onnx"]


@pytest.mark.parametrize("form", ["path", "uri"])
def test_a_folder_can_be_the_mirror_even_offline(tmp_path: Path, form: str) -> None:
    """A closed network has a share: it is read without any socket."""
    folder = tmp_path / "share für alle"
    folder.mkdir()
    (folder / "w.onnx").write_bytes(CONTENT)
    mirror = str(folder) if form == "path" else folder.as_uri()
    _fetch(_file(tmp_path, "https://weights.invalid/a/w.onnx"), FetchSettings(mirror=mirror), offline=True)


def test_a_mirror_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A mistyped folder is no reason to ask the outside."""
    with pytest.raises(SettingsError, match="mirror"):
        fetch(_file(tmp_path), FetchSettings(mirror=str(tmp_path / "absent")), offline=False)


def test_offline_asks_nobody(tmp_path: Path) -> None:
    """No connection is made, and the next step names file, place and hash."""
    with FileServer(CONTENT) as server:
        file = _file(tmp_path, f"{server.address}/w.onnx")
        with pytest.raises(WeightsError, match="offline") as caught:
            fetch(file, PLAIN, offline=True)
        assert server.asked == []
    assert file.sha256 in caught.value.next_step


def test_without_an_address_there_is_the_way_by_hand(tmp_path: Path) -> None:
    """The message says where the file goes."""
    file = _file(tmp_path)
    with pytest.raises(WeightsError, match="no address") as caught:
        fetch(file, PLAIN, offline=False)
    assert str(file.path) in caught.value.next_step


def test_a_full_disk_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    """A file larger than what is free is not begun."""
    size = shutil.disk_usage(tmp_path).free * 2
    with FileServer(CONTENT) as server:
        file = Wanted("own", tmp_path / "w.onnx", "0" * 64, (f"{server.address}/w.onnx",), size)
        with pytest.raises(OutputError, match="bytes more"):
            fetch(file, PLAIN, offline=False)
        assert server.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_up_is_said_in_words(tmp_path: Path) -> None:
    """What the system says of a failed write arrives as a cause and a next step."""
    with FileServer(CONTENT) as server:
        file = _file(tmp_path, f"{server.address}/w.onnx")
        file.path.parent.mkdir()
        _part(file).symlink_to("/dev/full")
        with pytest.raises(OutputError, match=os.strerror(errno.ENOSPC)):
            fetch(file, PLAIN, offline=False)


def test_two_do_not_fill_one_file(tmp_path: Path) -> None:
    """While one process fetches, another is told to wait."""
    with FileServer(CONTENT) as server:
        file = _file(tmp_path, f"{server.address}/w.onnx")
        file.path.parent.mkdir()
        other = sqlite3.connect(_part(file).with_suffix(".lock"), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(WeightsError, match="Another OmniView"):
            fetch(file, PLAIN, offline=False)
        other.close()
        _fetch(file)


@pytest.mark.parametrize("content", [None, b"no database" * 100], ids=["not to be opened", "not a lock"])
def test_a_lock_that_cannot_be_had_is_no_other_process(tmp_path: Path, content: bytes | None) -> None:
    """Nobody is told to wait for what never ends; nothing is asked for."""
    with FileServer(CONTENT) as server:
        file = _file(tmp_path, f"{server.address}/w.onnx")
        lock = _part(file).with_suffix(".lock")
        if content is None:
            lock.mkdir(parents=True)
        else:
            lock.parent.mkdir()
            lock.write_bytes(content)
        with pytest.raises(OutputError, match="cannot be locked") as caught:
            fetch(file, PLAIN, offline=False)
        assert str(lock) in caught.value.next_step
        assert server.asked == []


def test_what_is_wanted_is_what_a_card_lacks(tmp_path: Path, own_home: Path) -> None:
    """Weights of the person's own cards lie beside them, those of others in the home."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    origin = {"own.onnx": {"url": "https://weights.invalid/own.onnx", "size": len(CONTENT)}}
    for folder, place in (
        (own_home / "models", own_home / "models" / "own.onnx"),
        (tmp_path, own_home / "weights" / "own.onnx"),
    ):
        folder.mkdir(exist_ok=True)
        card = read_card(write_card(folder, "own", sha256=sha256, fetch=origin))
        assert isinstance(card, SpecialistCard)
        (file,) = wanted(card)
        assert (file.path, file.size) == (place, len(CONTENT))
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(CONTENT)
        assert wanted(card) == ()
        assert verified(folder / "own.onnx", sha256) == place
    assert other_place("own.onnx") == own_home / "weights" / "own.onnx"

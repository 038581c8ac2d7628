"""Folders that lie elsewhere are listed, paired and read as if they were here."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest
from fsspec import core

from omniview.batch.station import Station
from omniview.batch.work import Work
from omniview.errors import NotAllowed, UnreadableFile
from omniview.io.pair import Pair, Pairing, pair_anything
from omniview.io.remote import (
    entries,
    fetched,
    is_remote,
    offline,
    refuse_offline,
    shown,
    shown_name,
    stamp,
    url_of,
)
from omniview.scoring import ComposerOf, plan, score
from omniview.settings import Settings
from tests.networks import write_specialist

CASES = 4


@pytest.fixture
def bucket() -> Iterator[Path]:
    """images/ and masks/ in fsspec's file system in memory."""
    system = fsspec.filesystem("memory")
    for number in range(CASES):
        pixels, truth = np.full((48, 48, 3), 30, np.uint8), np.zeros((48, 48), np.uint8)
        cv2.circle(pixels, (24, 24), 8 + number, (220, 210, 200), -1)
        cv2.circle(truth, (25, 24), 8 + number, 255, -1)
        system.pipe(f"/ward/images/c{number}.png", cv2.imencode(".png", pixels)[1].tobytes())
        system.pipe(f"/ward/masks/c{number}.png", cv2.imencode(".png", truth)[1].tobytes())
    yield Path("memory:/ward")
    system.rm("/ward", recursive=True)


def test_an_address_survives_as_a_path() -> None:
    """Pathlib folds the slashes of an address; nothing else is taken for one."""
    path = Path("s3://bucket/images/x.png")
    assert is_remote(path)
    assert url_of(path.with_name("y.png")) == "s3://bucket/images/y.png"
    assert url_of(Path("file:///srv/set")) == "file:///srv/set"
    assert not is_remote(Path("C:/images/x.png"))
    assert not is_remote(Path("/srv/s3:/x.png"))
    assert not is_remote(Path("images/x.png"))


def test_a_remote_folder_is_paired(bucket: Path) -> None:
    """Images find their masks by the same rules as here."""
    pairing = pair_anything(bucket)
    assert [pair.name for pair in pairing.pairs] == [f"c{number}" for number in range(CASES)]
    assert all(pair.truth is not None and url_of(pair.truth).endswith(".png") for pair in pairing.pairs)
    assert sorted(entries(str(bucket))) == [("images", True), ("masks", True)]


def test_a_file_is_brought_here_and_deleted(bucket: Path) -> None:
    """The copy keeps its name, has the content, and is gone afterwards; a stamp tells its size."""
    image = bucket / "images" / "c1.png"
    with fetched(image) as here:
        assert here.name == "c1.png"
        assert here.read_bytes() == fsspec.filesystem("memory").cat("/ward/images/c1.png")
        assert stamp(image).startswith(str(here.stat().st_size))
    assert not here.exists()
    assert not here.parent.exists()


def test_a_remote_folder_is_scored_like_a_local_one(bucket: Path, tmp_path: Path, own_home: Path) -> None:
    """The rows are those of the same files on this machine."""
    write_specialist(own_home / "models")
    fsspec.filesystem("memory").get("/ward", str(tmp_path / "here"), recursive=True)
    settings = Settings(omnimodel="none", views=1)
    score(bucket, tmp_path / "remote", task="polyp", settings=settings)
    score(tmp_path / "here", tmp_path / "local", task="polyp", settings=settings)

    def rows(out: Path) -> list[dict[str, str]]:
        with (out / "cases.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    assert len(rows(tmp_path / "remote")) == 2 * CASES
    assert rows(tmp_path / "remote") == rows(tmp_path / "local")


def test_a_list_may_name_addresses(bucket: Path, tmp_path: Path) -> None:
    """Paths here and addresses stand side by side."""
    (tmp_path / "list.csv").write_text(
        "image,truth\nmemory://ward/images/c0.png,memory://ward/masks/c0.png\n"
    )
    (pair,) = pair_anything(tmp_path / "list.csv").pairs
    assert url_of(pair.image) == "memory://ward/images/c0.png"
    assert pair.truth is not None
    assert is_remote(pair.truth)


def test_what_cannot_be_reached_is_said(bucket: Path) -> None:
    """A wrong address, a missing file and a scheme without its package end in messages with a next step."""
    with pytest.raises(UnreadableFile, match="is not there"):
        pair_anything(Path("memory:/nowhere"))
    with pytest.raises(UnreadableFile, match="is not there"), fetched(bucket / "images" / "none.png"):
        pass
    with pytest.raises(UnreadableFile) as caught:
        entries("nosuchscheme:/x")
    assert caught.value.next_step


def test_offline_reaches_nothing_elsewhere(bucket: Path, tmp_path: Path) -> None:
    """Offline a remote folder is refused before anything is opened."""
    with pytest.raises(NotAllowed, match="offline"):
        score(bucket, tmp_path / "out", settings=Settings(omnimodel="none", offline=True))
    assert not (tmp_path / "out").exists()


def _reached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is opened through fsspec from here on."""
    reached, own = list[str](), core.url_to_fs

    def noted(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
        reached.append(url)
        found: tuple[fsspec.AbstractFileSystem, str] = own(url)
        return found

    monkeypatch.setattr(core, "url_to_fs", noted)
    return reached


@pytest.mark.parametrize(
    "lines",
    [
        "memory://ward/images/c0.png\n",  # the mask would be looked for in the remote folder
        "image,truth\nmemory://ward/images/c0.png,memory://ward/masks/c0.png\n",
        "image,truth\nhere.png,memory://ward/masks/c0.png\n",
    ],
)
def test_offline_a_list_reaches_nothing_elsewhere(
    bucket: Path, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    """Whatever a list names, offline no remote folder is listed, no stamp asked for, no mask brought here."""
    write_specialist(own_home / "models")
    cv2.imwrite(str(tmp_path / "here.png"), np.full((48, 48, 3), 30, np.uint8))
    (tmp_path / "list.csv").write_text(lines)
    reached = _reached(monkeypatch)
    monkeypatch.setenv("OMNIVIEW_OFFLINE", "1")
    with pytest.raises(NotAllowed, match="offline"):
        score(tmp_path / "list.csv", tmp_path / "out", task="polyp", omnimodel="none", views=1)
    assert reached == []
    assert not (tmp_path / "out").exists()


async def test_offline_a_run_asks_for_no_stamp_and_no_mask(
    bucket: Path, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was planned otherwise is stopped by the door itself, in its own threads."""
    write_specialist(own_home / "models")
    reached = _reached(monkeypatch)
    cv2.imwrite(str(tmp_path / "here.png"), np.full((48, 48, 3), 30, np.uint8))
    planned = plan(tmp_path, Settings(omnimodel="none", views=1, offline=True), task="polyp")
    mask = bucket / "masks" / "c0.png"
    planned = replace(planned, pairing=Pairing((Pair(tmp_path / "here.png", mask, "here"),), ()))
    with pytest.raises(NotAllowed, match="offline"):
        await planned.run(tmp_path / "out").go()
    station = Station(ComposerOf(planned.settings)())
    done = await station.do(Work(planned.pairing.pairs[0], planned.order, ComposerOf(planned.settings)))
    await station.close()
    assert "offline" in str(done.record.rows)
    assert reached == []


def test_files_of_this_machine_are_read_offline(tmp_path: Path) -> None:
    """An address of a file here needs no socket."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"x")
    with offline():
        (pair,) = pair_anything(Path(tmp_path.as_uri())).pairs
        with fetched(pair.image) as here:
            assert here.read_bytes() == b"x"
    refuse_offline(pair.image)


class _Pages:
    """Folders as a web server shows them: links, some of which lead elsewhere."""

    def ls(self, place: str, *, detail: bool) -> list[dict[str, str]]:
        """Links on the page of a folder."""
        assert detail
        held = {
            "": ["Ground%20Truth/", "Original/", "README", "?C=N;O=D"],
            "Original/": ["b%20(1).png", "a/x.png", "?C=M;O=A"],
            "Ground%20Truth/": ["b%20(1).png"],
        }[place.removeprefix("https://h/set").strip("/") + "/" * (place != "https://h/set")]
        links = [f"{place}/{name}" for name in held] + ["https://h/", "https://h/other/y.png"]
        return [{"name": link, "type": "directory" if link.endswith("/") else "file"} for link in links]


@pytest.mark.parametrize("folder", ["https://h/set", "https://h/set/Original"])
def test_pages_of_a_web_server(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Names are those that files have, not as addresses quote them; links to elsewhere are not followed."""
    monkeypatch.setattr(core, "url_to_fs", lambda url: (_Pages(), url))
    pairing = pair_anything(Path(folder))
    (pair,) = pairing.pairs
    assert pair.name == "b (1)"
    assert url_of(pair.image) == "https://h/set/Original/b%20(1).png"
    assert [url_of(truth.files[0]) for truth in pair.truths] == ["https://h/set/Ground%20Truth/b%20(1).png"]
    assert not pairing.unpaired


def test_a_folder_elsewhere_that_cannot_be_listed_is_told(
    bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be listed is paired, and the rest is named with the cause."""
    own = core.url_to_fs

    def refuses(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
        if url.endswith("/images/shut"):
            raise PermissionError(url)
        found: tuple[fsspec.AbstractFileSystem, str] = own(url)
        return found

    fsspec.filesystem("memory").pipe("/ward/images/shut/x.png", b"x")
    monkeypatch.setattr(core, "url_to_fs", refuses)
    pairing = pair_anything(bucket)
    assert len(pairing.pairs) == CASES
    assert [(one.path.name, "may not be read" in one.reason) for one in pairing.unpaired] == [("shut", True)]


def test_the_door_is_shut_offline(bucket: Path) -> None:
    """Nothing is listed, asked for or brought here within `offline`, also nested; afterwards all is."""
    with offline():
        for reach in (lambda: entries(str(bucket)), lambda: stamp(bucket / "images" / "c0.png")):
            with offline(False), pytest.raises(NotAllowed):
                reach()
        with pytest.raises(NotAllowed), fetched(bucket / "images" / "c0.png"):
            pass
    assert entries(str(bucket))


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("sftp://bob:hunter2@pacs.local/m", "sftp://pacs.local/m"),
        ("sftp://bob:hun/ter2@pacs.local:22/m", "sftp://pacs.local:22/m"),
        ("https://h:8080/a/x.png?X-Amz-Credential=k/2026&X-Amz-Signature=s", "https://h:8080/a/x.png"),
        ("https://token@h/x.png", "https://h/x.png"),
        ("s3://bucket/a@b.png", "s3://bucket/a@b.png"),
        ("https://h/x.png?mail=a@b", "https://h/x.png"),
        ("https://[::1]:80/a@b", "https://[::1]:80/a@b"),
        ("file:///srv/x.png", "file:///srv/x.png"),
        ("C:/bob:hunter2@x?.png", "C:/bob:hunter2@x?.png"),
    ],
)
def test_what_is_shown_of_an_address(address: str, seen: str) -> None:
    """Neither user, password nor query; a path of this machine stays as it is."""
    assert shown(address) == seen
    assert shown_name(address) == seen.rpartition("/")[2]
    assert shown(Path(address)) == (str(Path(address)) if address[1] == ":" else seen)


def test_no_message_tells_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a file system says of the address, its secret parts are in no message."""
    address = Path("sftp://bob:hunt%65r2@pacs.local/m?signature=s3cr%2Ft")

    def refuses(url: str) -> None:
        raise ValueError(
            f"no way to {url}, {url.replace('%65', 'e')}: bob, hunter2, s3cr/t, https://a:b@c/d?e=f"
        )

    def is_missing(url: str) -> None:
        raise FileNotFoundError(url)

    def may_not(url: str) -> None:
        raise PermissionError(url)

    def is_lacking(url: str) -> None:
        raise ImportError(f"Install paramiko for {url}")

    for fails in (refuses, is_missing, may_not, is_lacking):
        monkeypatch.setattr(core, "url_to_fs", fails)
        with pytest.raises(UnreadableFile, match=r"pacs\.local/m") as caught:
            stamp(address)
        told = f"{caught.value} {caught.value.next_step}"
        assert not [part for part in ("hunt", "s3cr", "a:b", "e=f") if part in told], told
    with pytest.raises(NotAllowed) as refused:
        refuse_offline(address)
    assert "hunt" not in str(refused.value)


def test_no_record_tells_a_secret(tmp_path: Path, own_home: Path) -> None:
    """Passwords and signatures of addresses are in no name, table, report or journal, nor what was typed."""
    write_specialist(own_home / "models")
    system, where = fsspec.filesystem("memory"), "memory://bob:hunter2@pacs.local/m"
    query, lines = "?X-Amz-Credential=k/1&X-Amz-Signature=s3cret", ["image,truth"]
    pixels = np.full((48, 48, 3), 30, np.uint8)
    cv2.circle(pixels, (24, 24), 12, (220, 210, 200), -1)
    for name in ("a", "b"):
        system.pipe(f"{where}/{name}.png{query}", cv2.imencode(".png", pixels)[1].tobytes())
        system.pipe(
            f"{where}/{name}_t.png{query}", cv2.imencode(".png", pixels[..., 0] // 100 * 100)[1].tobytes()
        )
        lines.append(f"{where}/{name}.png{query},{where}/{name}_t.png{query}")
    lines += [f"{where}/gone.png{query},{where}/gone_t.png{query}", f"{where}/alone.png{query},"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    result = score(tmp_path / "list.csv", tmp_path / "out", task="polyp", settings=Settings(omnimodel="none"))
    assert (result.totals.finished, result.totals.failed) == (4, 2)
    system.rm("/bob:hunter2@pacs.local", recursive=True)
    assert "memory/pacs.local/m/a" in (tmp_path / "out" / "cases.csv").read_text("utf-8")
    for written in (path for path in (tmp_path / "out").rglob("*") if path.is_file()):
        assert not [part for part in (b"hunter2", b"s3cret") if part in written.read_bytes()], written.name

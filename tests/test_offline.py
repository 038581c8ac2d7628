"""Offline means that no socket to any network is opened, as the kernel sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.networks import write_specialist

_INTERNET = ("AF_INET", "AF_INET6", "AF_PACKET", "AF_NETLINK")
"""AF_UNIX is this machine's own; AF_NETLINK asks the kernel about interfaces, which nothing here has to."""


@pytest.fixture
def traced() -> str:
    """The program strace, where it may trace."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed (Debian: apt-get install strace)")
    allowed = subprocess.run([strace, "-f", "-o", os.devnull, "true"], capture_output=True, check=False)
    if allowed.returncode != 0:
        pytest.skip("this machine does not let strace trace")
    return strace


@pytest.fixture
def folder(tmp_path: Path, own_home: Path) -> Path:
    """An image with its mask, and a network in the person's own model folder."""
    write_specialist(own_home / "models", "own", input={"geometry": "stretch", "size": [64, 64]})
    pixels, mask = np.full((48, 64, 3), 30, np.uint8), np.zeros((48, 64), np.uint8)
    pixels[10:30, 20:50], mask[10:30, 20:50] = 220, 255
    for name, content in (("images", pixels), ("masks", mask)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "case.png"), content)
    return tmp_path


def _sockets(strace: str, log: Path, *arguments: str | Path) -> list[str]:
    """Every call of a run of OmniView, and of its children, that makes or uses a socket of a network."""
    command = [strace, "-f", "-qq", "-e", "trace=network", "-o", str(log), sys.executable, "-m", "omniview"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMNIVIEW_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    lines = log.read_text("utf-8", "replace").splitlines()
    return [line for line in lines if any(family in line for family in _INTERNET)]


@pytest.mark.parametrize("session", ["open", "segment", "score"])
def test_an_offline_session_opens_no_network_socket(
    traced: str, folder: Path, tmp_path: Path, session: str
) -> None:
    """Opened, segmented and scored, with the built-in second opinion: not one AF_INET or AF_INET6."""
    case = folder / "images" / "case.png"
    arguments: dict[str, tuple[str | Path, ...]] = {
        "open": ("open", case, "--screenshot", tmp_path / "window.png", "--task", "polyp", "--offline"),
        "segment": ("segment", case, "--out", tmp_path / "out", "--task", "polyp", "--offline"),
        "score": ("score", folder, "--out", tmp_path / "out", "--task", "polyp", "--offline"),
    }
    assert _sockets(traced, tmp_path / "trace.log", *arguments[session]) == []


def test_a_socket_would_be_seen(traced: str, tmp_path: Path) -> None:
    """The trace itself works: a child that opens a socket is told."""
    log = tmp_path / "trace.log"
    child = "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()"
    command = [traced, "-f", "-qq", "-e", "trace=network", "-o", str(log), sys.executable, "-c", child]
    subprocess.run(command, check=True, timeout=60)
    assert "AF_INET" in log.read_text("utf-8")

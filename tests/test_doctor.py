from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from omniview import doctor
from omniview.settings import GeminiSettings, Settings
from tests.networks import write_card
from tests.omnimodel.loopback import Loopback, Step
from tests.torch_networks import Tiny, rewritten, write_torch

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems' wheels bring it all")


def test_the_report_is_about_this_machine() -> None:
    """Python, Qt and the home folder are found here; nothing missing goes without a next step."""
    rows = {row.what: row for row in doctor.report()}
    assert rows["Python"].state == "ok"
    assert rows["Qt"].state == "ok", rows["Qt"]
    assert rows["Home"].state == "ok"
    assert all(row.next_step for row in rows.values() if row.state == "missing")


def test_a_home_that_is_no_folder_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OMNIVIEW_HOME may name a file by mistake, which can be written but holds nothing."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("OMNIVIEW_HOME", str(tmp_path / "file"))
    rows = {row.what: row for row in doctor.report()}
    assert (rows["Home"].state, rows["Settings"].state) == ("missing", "missing")
    assert "is not a folder" in rows["Settings"].detail


def test_what_an_extra_brings_is_only_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OCR or a cluster nothing is amiss, and the line to type names the very Python that runs."""

    def none(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", none)
    rows = {row.what: row for row in doctor._python()}
    assert (rows["rapidocr"].state, rows["torch"].state) == ("note", "missing")
    assert rows["rapidocr"].next_step == f'Install it: {sys.executable} -m pip install "omniview[ocr]"'


def test_a_python_that_cannot_be_started_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one in somebody else's home folder: a reason, not a crash."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert doctor.qt_failure() == "/no/such/python cannot be started (No such file or directory)"


def test_pytorch_models_are_started_too(own_home: Path) -> None:
    """A good archive is said to run; one that holds code is missing, with the reason."""
    folder = own_home / "models"
    write_torch(folder, Tiny(), "good")
    shutil.copy(folder / "good.pt2", folder / "bad.pt2")
    rewritten(folder / "bad.pt2", lambda _, content: content, **{"data/aotinductor/model/a.so": b"\x7fELF"})
    write_card(folder, "bad", suffix=".pt2")
    rows = {row.what: row for row in doctor.report()}
    assert rows["Specialist good"].detail.startswith("runs on PyTorch")
    assert rows["Specialist bad"].state == "missing"
    assert "compiled code" in rows["Specialist bad"].detail


def test_the_report_never_shows_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is reported as set, and is not itself in the report."""
    monkeypatch.setenv("GEMINI_API_KEY", "hunter2-hunter2")
    gemini = next(row for row in doctor.report() if row.what == "Gemini")
    assert gemini.state == "ok"
    assert "hunter2" not in repr(doctor.report())


def test_connections_are_tested_only_online(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default no socket is opened and nothing is in the audit; offline not even on request."""
    monkeypatch.setenv("GEMINI_API_KEY", "k" * 39)
    with Loopback([Step(body={"models": [{"name": "models/gemini-test"}]})]) as server:
        gemini = GeminiSettings(base_url=server.url, model="gemini-test")
        Settings(gemini=gemini, omnimodel="gemini").save()
        doctor.report()
        assert server.requests == []
        assert not (own_home / "audit.jsonl").exists()
        tested = {row.what: row for row in doctor.report(online=True)}
        assert tested["Gemini, online"].state == "ok", tested["Gemini, online"]
        assert len(server.requests) == 1
        Settings(gemini=gemini, omnimodel="gemini", offline=True).save()
        refused = {row.what: row for row in doctor.report(online=True)}
        assert refused["Gemini, online"].state == "missing"
        assert len(server.requests) == 1
    Settings(gemini=gemini).save()
    failing = {row.what: row for row in doctor.report(online=True)}
    assert failing["Gemini, online"].state == "note"  # nobody chose it
    assert "Connection" in failing["Gemini, online"].detail


def test_broken_settings_are_a_finding(own_home: Path) -> None:
    """The report is what a person runs when nothing works, so bad settings must not end it."""
    (own_home / "settings.toml").write_text("offline = 'perhaps")
    rows = doctor.report()
    broken = next(row for row in rows if row.what == "Settings")
    assert broken.state == "missing"
    assert "settings.toml" in broken.detail


def test_looking_loads_no_qt() -> None:
    """The report starts Qt in a child process only."""
    code = "import sys; from omniview import doctor; doctor.report(); sys.exit('PyQt6' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@linux
def test_libraries_are_asked_of_the_linker() -> None:
    """Here Qt runs, so for offscreen nothing is missing; neither does a plugin that does not exist."""
    assert doctor.missing_libraries(["offscreen"]) == ()
    assert doctor.missing_libraries(["no-such-plugin"]) == ()


@linux
def test_a_missing_library_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `ldd` calls not found is reported once, in order, and nothing else is."""
    ldd = tmp_path / "ldd"
    ldd.write_text(
        "#!/bin/sh\n"
        "echo 'plugin.so:'\n"
        "echo '\tlibxcb-cursor.so.0 => not found'\n"
        "echo '\tlibEGL.so.1 => not found'\n"
        "echo '\tlibm.so.6 => /lib/libm.so.6 (0x00007f)'\n"
        "echo '\tlibEGL.so.1 => not found'\n"
    )
    ldd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert doctor.missing_libraries(["xcb"]) == ("libEGL.so.1", "libxcb-cursor.so.0")


def test_packages_for_libraries() -> None:
    """Each package once; what has no known package is handed back rather than dropped."""
    packages, unknown = doctor.apt_packages(["libglib-2.0.so.0", "libgthread-2.0.so.0", "libnew.so.1"])
    assert packages == ("libglib2.0-0",)
    assert unknown == ("libnew.so.1",)


@linux
@pytest.mark.parametrize(
    ("environment", "plugins"),
    [
        ({}, ("offscreen",)),
        ({"DISPLAY": ":0"}, ("offscreen", "xcb")),
        ({"WAYLAND_DISPLAY": "wayland-0"}, ("offscreen", "wayland")),
    ],
)
def test_wanted_plugins(environment: dict[str, str], plugins: tuple[str, ...]) -> None:
    """Offscreen always, because screenshots use it; the display's own if there is one."""
    assert doctor.wanted_plugins(environment) == plugins


def test_a_qt_that_aborts_is_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Qt's own last words are the reason, and this process survives them."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('Qt says no')")
    assert doctor.qt_failure() == "SystemExit: Qt says no"

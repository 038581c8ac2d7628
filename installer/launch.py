#!/usr/bin/env python3
"""The two commands of the README: open OmniView, and test it, where there is only Python and this folder.

    python3 installer/launch.py [arguments of omniview]     without arguments: the viewer on a built-in sample
    python3 installer/launch.py --test [arguments of pytest]

Makes `.venv`, installs the project into it with the versions in `constraints.txt`, sees to the system
libraries of Qt, and hands over. A stamp, written last, makes the next start skip all that, and the start
after an interrupted one repeat it. Only the standard library is used, no shell, and a list of arguments for
every child process, so that the same code runs on Linux, macOS and Windows. What the launcher itself says
goes to stderr: stdout is omniview's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

MINIMUM = (3, 11)
ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "installer" / "constraints.txt"
STAMP = "omniview-stamp.json"
DEMO = Path("omniview-demo")
TEST_EXTRAS = ("test", "train", "ocr")
PLUGINS = ("offscreen", "xcb", "wayland")  # all are prepared: a screen may be there next time

_NO_NETWORK = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "getaddrinfo failed",
    "Network is unreachable",
    "ProxyError",
    "ReadTimeoutError",
)

_FULL = "No space left on device"


class SetupError(Exception):
    """The set-up cannot go on; the text says why and what to do."""


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a child to its end and keep what it says; it can ask nobody anything."""
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def say(text: str) -> None:
    """Tell the person, apart from omniview's own output."""
    print(text, file=sys.stderr, flush=True)


def program(venv: Path, name: str, *, windows: bool = os.name == "nt") -> Path:
    """Where a virtual environment keeps a program."""
    return venv / "Scripts" / f"{name}.exe" if windows else venv / "bin" / name


def fingerprint(root: Path, python: str) -> str:
    """What an installation depends on, as one SHA-256.

    That is the packaging part of pyproject.toml (not the settings of the tools), the pinned versions, the
    Python and the place, because an environment cannot be moved.
    """
    import tomllib  # absent from the Pythons that main() turns away

    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    packaging = {name: project.get(name) for name in ("build-system", "project")}
    pins = (root / "installer" / "constraints.txt").read_text("utf-8")
    packaging["hatch"] = project.get("tool", {}).get("hatch")
    parts = [packaging, pins, python, sys.platform, str(root)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_stamp(venv: Path) -> dict[str, object]:
    """What the last finished set-up left behind; empty if none finished."""
    try:
        stamp = json.loads((venv / STAMP).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(venv: Path, **values: object) -> None:
    """Record a finished set-up, whole or not at all."""
    part = venv / "omniview-stamp.part"
    part.write_text(json.dumps(values), "utf-8")
    part.replace(venv / STAMP)


def listed(stamp: dict[str, object], name: str) -> list[str]:
    """A list out of a stamp, empty where it has none."""
    had = stamp.get(name)
    return [str(item) for item in had] if isinstance(had, list) else []


def covers(stamp: dict[str, object], name: str, wanted: tuple[str, ...]) -> bool:
    """Whether the stamp's list `name` holds everything wanted."""
    return set(wanted) <= set(listed(stamp, name))


def usable(venv: Path) -> bool:
    """Whether the environment starts, is of this Python, and has pip: an interrupted one often lacks it."""
    question = "import sys, pip; print(*sys.version_info[:2])"
    try:
        answer = run([str(program(venv, "python")), "-I", "-c", question])
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.split() == [str(part) for part in sys.version_info[:2]]


def make_venv(venv: Path) -> None:
    """Make a fresh environment; on Debian the part of Python that does so may have to be installed first."""
    try:
        import ensurepip  # noqa: F401  # Debian ships it apart, and venv then leaves a half-made folder behind
    except ImportError:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        if not install_with_apt([package]):
            raise SetupError(
                f"This Python cannot make virtual environments. Install its missing part, then start again:\n"
                f"    {apt_line([package])}"
            ) from None
    say(f"Making {venv}")
    made = run([sys.executable, "-m", "venv", "--clear", str(venv)])
    if made.returncode != 0:
        said = f"{made.stdout}{made.stderr}".strip()
        raise SetupError(f"{venv} could not be made:\n{said}\n{remedy(said)}")


def remedy(said: str) -> str:
    """What a person can do about a file or folder that could not be written or read."""
    if _FULL in said:
        return f"The disk is full. Make room in {ROOT} and in the temporary folder, then start again."
    return "Put a copy of the project into a folder of your own, and start from there."


def install(venv: Path, extras: tuple[str, ...]) -> None:
    """Install the checkout itself, so that it runs as it stands, and exactly the pinned packages."""
    target = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    command = [str(program(venv, "python")), "-I", "-m", "pip", "install", "--no-input"]
    command += ["--progress-bar", "off", "--disable-pip-version-check"]
    command += ["--constraint", str(CONSTRAINTS), "--editable", target]
    say("Installing OmniView and what it needs (minutes, the first time)")
    lines: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PIP_USER": "0"},  # a person's "always --user" is refused inside an environment
    ) as pip:
        for line in pip.stdout or ():
            lines.append(line.rstrip())
            if line.startswith(("Collecting ", "Installing collected")) and sys.stderr.isatty():
                say("  " + line.strip()[:100])
    if pip.returncode != 0:
        log = venv / "omniview-setup.log"
        log.write_text("\n".join(lines), "utf-8")
        raise SetupError(f"{pip_failure(lines)}\nAll of pip's output is in {log}.")


def pip_failure(lines: list[str]) -> str:
    """What pip's output means for a person, and the lines of it that say so."""
    text = "\n".join(lines)
    errors = [line.strip() for line in lines if "error:" in line.lower()] or lines
    shown = "\n".join(f"    {line}" for line in errors[-4:])
    if any(sign in text for sign in _NO_NETWORK):
        cause = "The package index cannot be reached. Connect to a network or set a proxy, then start again."
    elif _FULL in text:
        cause = remedy(text)
    else:
        cause = "pip could not install what OmniView needs."
    return f"{cause}\n{shown}"


def apt_prefix() -> list[str] | None:
    """How this person may run apt-get without being asked anything, or None."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and run(["sudo", "-n", "true"]).returncode == 0:
        return ["sudo", "-n"]
    return None


def apt_line(packages: list[str]) -> str:
    """The line for a person to type."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return " ".join([*([] if root else ["sudo"]), "apt-get", "install", "--yes", *packages])


def install_with_apt(packages: list[str]) -> bool:
    """Install Debian packages where that is possible without asking; whether it was done."""
    prefix = apt_prefix() if sys.platform.startswith("linux") else None
    if prefix is None:
        return False
    say(f"Installing with apt: {' '.join(packages)}")
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    command = [*apt, "install", "--yes", "--no-install-recommends", *packages]
    for attempt in (command, [*apt, "update"], command):  # a bare machine may have no package lists yet
        done = run(attempt)
        if attempt is command and done.returncode == 0:
            return True
    say((done.stderr or done.stdout).strip()[-600:])
    return False


def ask_doctor(venv: Path, question: str, *arguments: str) -> list[list[str]]:
    """Ask the installed `omniview.doctor`, which knows what Qt needs; the answer as lists of words."""
    code = f"import json, sys; from omniview import doctor as d; print(json.dumps({question}))"
    answer = run([str(program(venv, "python")), "-I", "-c", code, *arguments])
    if answer.returncode != 0:
        raise SetupError(f"OmniView was installed but does not start:\n{answer.stderr.strip()[-800:]}")
    result: list[list[str]] = json.loads(answer.stdout)
    return result


def screen() -> str:
    """Qt's platform plugin for this session: "xcb" or "wayland" if it has a screen, else "offscreen"."""
    if not sys.platform.startswith("linux"):
        return "offscreen"  # Windows and macOS always have a screen, and their plugins need nothing
    if os.environ.get("DISPLAY"):
        return "xcb"
    return "wayland" if os.environ.get("WAYLAND_DISPLAY") else "offscreen"


def prepare_qt(venv: Path) -> None:
    """See to it that Qt starts: what its libraries miss is asked of the linker and installed, or named."""
    lacking = "(lambda m: [m, *d.apt_packages(m)])(d.missing_libraries(sys.argv[1:]))"
    needed = ("offscreen", screen())
    for plugins in (PLUGINS, needed):  # a release without one of the packages must not stop the others
        _, packages, _ = ask_doctor(venv, lacking, *plugins)
        if packages:
            install_with_apt(packages)
    missing, packages, unknown = ask_doctor(venv, lacking, *needed)
    if missing:
        text = f"Qt needs system libraries that are not here: {', '.join(missing)}."
        if packages:
            text += f"\nInstall them, then start again:\n    {apt_line(packages)}"
        if unknown or not shutil.which("apt-get"):
            text += f"\nLook for the packages of your system that hold {', '.join(unknown or missing)}."
        raise SetupError(text)
    failure = ask_doctor(venv, "[[d.qt_failure() or '']]")[0][0]
    if failure:
        raise SetupError(f"Qt was installed but does not start: {failure}")


def prepare(extras: tuple[str, ...] = ()) -> None:
    """Everything before omniview can start; nothing if an earlier set-up covers it."""
    begun = time.monotonic()
    key = fingerprint(ROOT, f"{sys.version_info[0]}.{sys.version_info[1]}")
    stamp = read_stamp(VENV)
    if stamp.get("key") != key or not program(VENV, "python").exists():
        stamp = {}
    installed = bool(stamp) and covers(stamp, "extras", extras)
    if installed and covers(stamp, "screens", (screen(),)):
        return
    with contextlib.suppress(OSError):
        (VENV / STAMP).unlink()  # from here on the environment is unfinished
    extras = tuple(sorted({*extras, *listed(stamp, "extras")}))
    if not installed:
        if not usable(VENV):
            make_venv(VENV)
        install(VENV, extras)
    prepare_qt(VENV)
    screens = sorted({screen(), *listed(stamp, "screens")})
    write_stamp(VENV, key=key, extras=extras, screens=screens)
    say(f"The set-up took {time.monotonic() - begun:.1f} s.")


def hand_over(command: list[str]) -> int:
    """Become omniview where the system can do that, so that signals and the exit status are its own."""
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606  # no shell is wanted
    return subprocess.call(command)


def omniview(arguments: list[str]) -> list[str]:
    """The command that starts omniview with these arguments; -P: whatever Python files lie in this folder."""
    return [str(program(VENV, "python")), "-P", "-m", "omniview", *arguments]


def open_sample() -> int:
    """The viewer on its first sample; without a screen the same window as a picture, and the masks."""
    if not sys.platform.startswith("linux") or screen() != "offscreen":
        return hand_over(omniview(["open"]))
    window = DEMO / "window.png"
    shown = omniview(["open", "--offline", "--screenshot", str(window), "--masks", str(DEMO)])
    try:
        DEMO.mkdir(exist_ok=True)
    except OSError as error:
        say(f"{DEMO.absolute()} cannot be made ({error.strerror}). Start in a folder that you can write to.")
        return 1
    say("There is no screen here: rendering the window to a file.")
    status = subprocess.call(shown)
    if status == 0:
        say(f"The window, and the masks of the sample case, are in {DEMO.resolve()}:")
        for file in sorted(DEMO.iterdir()):
            say(f"    {file.name}")
    return status


def steps(arguments: list[str]) -> list[tuple[str, list[str]]]:
    """The checks in the order in which they run: the tests last, so that their closing line is seen."""
    python = str(program(VENV, "python"))
    # pytest-cov measures core/ alone, the part that must be covered whole; a chosen part of the tests cannot
    coverage = ["--cov=omniview.core", "--cov-branch", "--cov-fail-under=100", "--durations=10"]
    # one process a core; files stay together, since what they share is costly to make
    coverage += ["--numprocesses=auto", "--dist=loadfile"]
    return [
        ("pip check", [python, "-m", "pip", "check"]),
        ("ruff check", [python, "-m", "ruff", "check", "."]),
        ("ruff format", [python, "-m", "ruff", "format", "--check", "."]),
        ("mypy --strict", [python, "-m", "mypy"]),
        ("import contracts", [str(program(VENV, "lint-imports"))]),
        ("pytest", [python, "-m", "pytest", *(arguments or coverage)]),
    ]


def test(arguments: list[str]) -> int:
    """Run every check, whatever the ones before it said; 0 if all passed."""
    failed: list[str] = []
    times: list[str] = []
    for name, command in steps(arguments):
        say(f"--- {name}")
        begun = time.monotonic()
        if subprocess.call(command, cwd=ROOT, stdin=subprocess.DEVNULL) != 0:
            failed.append(name)
        times.append(f"{name} {time.monotonic() - begun:.0f} s")
    say("Took: " + ", ".join(times))
    say(f"FAILED: {', '.join(failed)}" if failed else "All checks passed.")
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    """Run one of the two commands; the exit status."""
    if sys.version_info[:2] < MINIMUM:
        say(f"OmniView needs Python {MINIMUM[0]}.{MINIMUM[1]} or newer; this is {sys.version.split()[0]}.")
        return 2
    testing = arguments[:1] == ["--test"]
    try:
        prepare(TEST_EXTRAS if testing else ())
        if testing:
            return test(arguments[1:])
        return hand_over(omniview(arguments)) if arguments else open_sample()
    except SetupError as error:
        say(f"OmniView could not be set up. {error}")
        return 1
    except OSError as error:  # a checkout of somebody else's, a full disk, a file that is missing
        say(f"OmniView could not be set up: {error}\n{remedy(str(error))}")
        return 1
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

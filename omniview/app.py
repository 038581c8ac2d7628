"""Composition root of the desktop app: the loop, the models, the window, and its picture for a terminal.

The order matters: ONNX Runtime before Qt (DLL order on Windows) and before the window shows, since an import
stalls the window even from a thread; the platform before the application; the loop before the window.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from omniview.batch.one import AUTO
from omniview.errors import InputError, OmniViewError, OutputError, SettingsError
from omniview.settings import Settings
from omniview.ui.models import Models, Permission
from omniview.ui.preferences import Preferences

if TYPE_CHECKING:
    from omniview.ui.batch_plan import Scorer
    from omniview.ui.finetune_plan import Tuner

__all__ = ["FIRST_SAMPLE", "SWITCH_S", "run", "start"]

_log = logging.getLogger(__name__)

FIRST_SAMPLE = "polyp-phantom"
"""Greets whoever starts without a file: colour, one clear object, exact truth."""
_PICTURE = (1600, 1000)  # of the window on a screenshot
_INTERRUPTED = 128 + signal.SIGINT  # as a shell has it
SWITCH_S = 0.001
"""Python's threads take turns this often; the default of 5 ms makes the window stutter."""


def run(
    paths: Sequence[Path],
    *,
    truth: Path | None,
    task: str,
    omnimodel: str,
    offline: bool,
    screenshot: Path | None,
    sample: str | None,
    masks: Path | None = None,
    settings: Settings,
    consent: bool = False,
) -> int:
    """What `omniview open` does: `start`, with the models that `settings` name.

    `consent` says that pixels may leave this machine for this run; all else is as of `start`.
    """
    from omniview.backing.finetuner import FolderTuner
    from omniview.backing.gate import Gate
    from omniview.backing.preferences import StoredPreferences
    from omniview.backing.scorer import FolderScorer
    from omniview.compose import Composer

    composer = Composer(settings, consent=consent)
    # while Qt loads: an import holds up every thread, and so would the window if it came later
    threading.Thread(target=composer.warm, args=(omnimodel, offline), name="warm", daemon=True).start()
    return start(
        composer,
        paths,
        permission=Gate(lambda: composer.settings, given=consent),
        preferences=StoredPreferences(lambda: composer.settings, composer.use),
        scorer=FolderScorer(lambda: composer.settings, consent=consent),
        tuner=FolderTuner(lambda: composer.settings, composer.use),
        truth=truth,
        task=task,
        omnimodel=omnimodel,
        offline=offline,
        screenshot=screenshot,
        sample=sample,
        masks=masks,
    )


def start(
    models: Models,
    paths: Sequence[Path] = (),
    *,
    permission: Permission | None = None,
    preferences: Preferences | None = None,
    scorer: Scorer | None = None,
    tuner: Tuner | None = None,
    truth: Path | None = None,
    task: str = AUTO,
    omnimodel: str = "builtin",
    offline: bool = False,
    screenshot: Path | None = None,
    sample: str | None = None,
    masks: Path | None = None,
) -> int:
    """Open the window and stay until it is closed, or until its picture is saved.

    Args:
        models: where segmenters come from; closed at the end.
        paths: images or folders; without any, a sample is opened.
        permission: keys and consents for cloud omnimodels.
        preferences: the person's settings; without them there is no dialog for them.
        scorer: scores folders; without it there is no dialog for that.
        tuner: fine-tunes specialists; without it there is no dialog for that.
        truth: mask of the first image.
        task: name of the task, or `auto`.
        omnimodel: who gives the second opinion.
        offline: nothing may leave this machine.
        screenshot: save the analysed window here and quit.
        sample: key of a built-in sample.
        masks: with `screenshot`, also write the masks into this folder.

    Returns:
        0; with `screenshot` 1 if image or truth could not be used or no model gave a mask; 130 after Ctrl-C.

    Raises:
        InputError: there is no such sample or task.
        SettingsError: there is no screen that could show the window, and no picture of it is wanted.
    """
    _check(models, task, sample)
    if sys.platform.startswith("linux") and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        if screenshot is None:  # an invisible window would wait for ever
            raise SettingsError(
                "There is no screen here that could show the window.",
                "Add --screenshot OUT.png for a picture of it, or use omniview segment.",
            )
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    import onnxruntime  # noqa: F401 - see the module's docstring
    import qasync
    from PyQt6.QtWidgets import QApplication

    from omniview.ui.session import Session, Snapshot
    from omniview.ui.theme import dress
    from omniview.ui.window import Window

    found = QApplication.instance()
    app = found if isinstance(found, QApplication) else QApplication(["omniview"])
    app.setApplicationName("OmniView")
    app.setQuitOnLastWindowClosed(False)  # the work must end before the loop does
    dress(app)
    loop = qasync.QEventLoop(app)
    before, switch = sys.excepthook, sys.getswitchinterval()
    sys.excepthook = _told  # an exception in a slot would end the process
    sys.setswitchinterval(SWITCH_S)
    try:
        with ThreadPoolExecutor(max_workers=6, thread_name_prefix="omniview") as threads:
            loop.set_default_executor(threads)
            session = Session(Snapshot(task=task, omnimodel=omnimodel, offline=offline))

            async def main() -> int:
                window = Window(
                    session, models, permission, preferences=preferences, scorer=scorer, tuner=tuner
                )
                this = asyncio.current_task()
                assert this is not None
                # Qt's loop runs no Python while nothing happens, so that Ctrl-C would wait for the mouse
                with contextlib.suppress(NotImplementedError):  # Windows: see `_told`
                    loop.add_signal_handler(signal.SIGINT, this.cancel)
                try:
                    if paths:
                        window.open(paths, truth)
                    else:
                        window.open_sample(sample or FIRST_SAMPLE)
                    if screenshot is None:
                        window.show()
                        await window.closed.wait()
                        return 0
                    return await _photograph(window, screenshot, masks)
                finally:
                    await window.rest()
                    await models.close()
                    window.close()
                    window.deleteLater()

            return int(loop.run_until_complete(main()))
    except asyncio.CancelledError:
        return _INTERRUPTED
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
        sys.excepthook = before
        sys.setswitchinterval(switch)
        loop.close()
        asyncio.set_event_loop(None)


async def _photograph(window: object, screenshot: Path, masks: Path | None) -> int:
    """Wait for the analysis, save the window's picture (and the masks)."""
    from omniview.ui.messages import Level
    from omniview.ui.window import Window

    assert isinstance(window, Window)
    window.resize(*_PICTURE)
    window.show()
    await window.settle()
    # the results may have changed the layout: let it come to rest, and draw the layers for it
    await asyncio.sleep(0.05)
    await window.settle()
    now = window.session.now
    try:
        await asyncio.to_thread(screenshot.parent.mkdir, parents=True, exist_ok=True)
        if not window.picture().save(str(screenshot)):
            raise OutputError(f"{screenshot} could not be written.", "Choose a .png in a writable folder.")
        if masks is not None and now.case is not None and now.case.predictions:
            from omniview.batch.results import write_case
            from omniview.io.kinds import stem_of

            await asyncio.to_thread(write_case, now.case, masks, stem_of(now.case.image.name))
    except OSError as error:
        raise OutputError(f"{screenshot} could not be written ({error.strerror}).") from error
    problems = [f"{f.model}: {f.reason} {f.next_step}" for f in (now.case.failures if now.case else ())]
    if now.notice is not None:
        problems.append(f"{now.notice.text} {now.notice.next_step}")
    for problem in problems:
        sys.stderr.write(f"{problem.strip()}\n")
    failed = now.notice is not None and now.notice.level is Level.ERROR
    return 0 if now.case is not None and now.case.predictions and not failed else 1


def _check(models: Models, task: str, sample: str | None) -> None:
    from omniview.io.samples import SAMPLES

    for name, known in ((task, (AUTO, *models.tasks())), (sample, (None, *SAMPLES))):
        if name not in known:
            names = ", ".join(k for k in known if k is not None)
            raise InputError(f"There is no {name!r}.", f"Choose one of {names}.")


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log an exception that escaped from a slot, and go on; Ctrl-C closes the window."""
    if isinstance(error, KeyboardInterrupt):
        from PyQt6.QtWidgets import QApplication

        QApplication.closeAllWindows()
        return
    if isinstance(error, OmniViewError):
        sys.stderr.write(f"{error}\n")
    _log.error("defect in the window", exc_info=(kind, error, trace))

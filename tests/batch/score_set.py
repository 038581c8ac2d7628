"""A process that scores a set whenever it is told to, in a child that can be killed at any moment.

It scores the set once itself, so that everything is imported before the first child is forked, and killing
thirty of them takes seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback

import cv2

from omniview.scoring import score
from omniview.settings import Settings


def main() -> None:
    """For each line of input, `OUT SECONDS`, score in a child, kill it then, and say how it ended."""
    folder, warm = sys.argv[1:]
    cv2.setNumThreads(1)  # a pool of threads does not live through a fork
    _score(folder, warm)
    for line in sys.stdin:
        out, seconds = line.split()
        child = os.fork()
        if child == 0:
            try:
                _score(folder, out)
            except BaseException:  # noqa: BLE001 - a child must end here whatever happens
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        sys.stdout.write(f"{_ended(child, float(seconds))}\n")
        sys.stdout.flush()


def _score(folder: str, out: str) -> None:
    settings = Settings(omnimodel="none", views=1, threads=1, device="cpu", offline=True)
    score(folder, out, task="polyp", settings=settings, resume="yes", masks=True)


def _ended(child: int, seconds: float) -> int:
    """The exit status of a child that is killed after some seconds if it has not ended before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()

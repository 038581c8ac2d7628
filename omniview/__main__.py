"""Where the `omniview` command and `python -m omniview` begin, before Ctrl-C could end in a traceback.

The command line takes a good part of a second to import, and whoever sees a typing error interrupts then.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

_STOPPED = 130  # what a shell expects of a command that Ctrl-C ended


def main() -> None:
    """Import the command line and run it."""
    try:
        from omniview.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(_STOPPED)


if __name__ == "__main__":
    main()

"""A log file that can be attached to a bug report without reading it first.

So it holds what OmniView itself says and nothing else: other libraries log request addresses and the contents
of DICOM elements, therefore only the `omniview` loggers are written. What looks like an API key, and any long
run of base64 (an image on its way to or from a model), is blanked in the finished text, tracebacks included,
because a filter on records would see neither formatted arguments nor exceptions.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

__all__ = ["quieted", "redact", "start", "stop"]

_ROOT = logging.getLogger("omniview")
_BYTES, _KEPT = 1_000_000, 3
_BLANK = "[redacted]"
_KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY")
_SHORTEST_KEY = 8  # a shorter value is a placeholder, and blanking it would eat ordinary words

_PATTERNS = (
    # named secrets, as in headers, query strings, JSON and keyword arguments: the name stays, the value goes
    re.compile(
        r"(?i)(?P<keep>(?:x-goog-)?(?:api[-_ ]?key|access[-_ ]?token|authorization|secret|password)"
        r"['\"]?\s*[:=]\s*['\"]?(?:bearer\s+|basic\s+)?)[^\s'\",;&)}\]]+"
    ),
    re.compile(r"(?i)(?P<keep>[?&](?:key|token)=)[^\s&'\"]+"),
    re.compile(r"(?i)(?P<keep>\bbearer\s+)[\w.~+/=-]{8,}"),
    # keys known by their shape
    re.compile(r"(?P<keep>)\bAIza[\w-]{20,}"),
    re.compile(r"(?P<keep>)\bAQ\.[\w-]{20,}"),
    re.compile(r"(?P<keep>)\bya29\.[\w.-]{20,}"),
    re.compile(r"(?P<keep>)\b(?:sk|pk|rk)-[\w-]{16,}"),
    # pixels
    re.compile(r"(?P<keep>data:[\w./+-]+;base64,)[\w+/=-]+"),
    re.compile(r"(?P<keep>)[A-Za-z0-9+/]{200,}={0,2}"),
)


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without anything that looks like an API key or encoded pixels.

    Args:
        text: one or more lines.
        environment: whose API keys are blanked, whatever they look like; default: the process's own.
    """
    variables = os.environ if environment is None else environment
    for name in _KEY_VARIABLES:
        if len(key := variables.get(name, "").strip()) >= _SHORTEST_KEY:
            text = text.replace(key, _BLANK)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<keep>{_BLANK}", text)
    return text


class _Redacting(logging.Formatter):
    """Formats a record completely, then blanks secrets in the result."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _LogFile(RotatingFileHandler):
    """Our file; a class of its own so that `stop` finds it again without a module-level variable."""


class _Terminal(logging.StreamHandler[TextIO]):
    """Our lines on stderr."""


def start(home: Path, verbose: bool = False) -> Path | None:
    """Write what OmniView logs to `home/logs/omniview.log`, rotated at 1 MB with three older files kept.

    A second call replaces the first. A log that cannot be written stops nobody from looking at an image: it
    is said once on stderr instead.

    Args:
        home: OmniView's own folder (settings, models, logs).
        verbose: log at DEBUG rather than INFO, and on stderr as well.

    Returns:
        The log file, or None where none could be opened.
    """
    stop()
    level = logging.DEBUG if verbose else logging.INFO
    _ROOT.setLevel(level)
    form = _Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s")
    if verbose and sys.stderr is not None:  # a windowed app on Windows has no stderr
        terminal = _Terminal()
        terminal.setFormatter(form)
        _ROOT.addHandler(terminal)
    file = home / "logs" / "omniview.log"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(file, maxBytes=_BYTES, backupCount=_KEPT, encoding="utf-8")
    except OSError as error:
        _ROOT.warning("No log file: %s", error)
        return None
    handler.setFormatter(form)
    _ROOT.addHandler(handler)
    return file


def stop() -> None:
    """Close what `start` opened; without effect where nothing is open."""
    for handler in list(_ROOT.handlers):
        if isinstance(handler, _LogFile | _Terminal):
            _ROOT.removeHandler(handler)
            handler.close()
    _ROOT.setLevel(logging.NOTSET)


@contextmanager
def quieted(name: str) -> Iterator[None]:
    """Keep another library's logger silent meanwhile: what matters of it comes back as an exception."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)

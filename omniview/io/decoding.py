"""What all decoders share: which exceptions mean a broken file, how large is too large, and silence.

Decoders warn and log about odd headers, and a DICOM header holds a patient's data. So their warnings and
log lines are silenced, and what a person must know is said by raising UnreadableFile.
"""

from __future__ import annotations

import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omniview.errors import OmniViewError, UnreadableFile

__all__ = ["MAX_PIXELS", "check_size", "decoding", "hush"]

MAX_PIXELS = 400_000_000
"""Most pixels of one frame (20,000 x 20,000); a header that claims more is a bomb or a whole slide."""

_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""Python's own classes that decoders raise on broken files, as seen; next to classes of `_OWNERS`."""

_DECODERS = ("PIL", "pydicom", "pylibjpeg", "openjpeg", "libjpeg", "tifffile")
_OWNERS = (*_DECODERS, "pyo3_runtime")
_ISSUER = rf"({'|'.join(_DECODERS)}|omniview\.io)(\.|$)"  # some blame their caller by `stacklevel`
_LOGGERS = tuple(map(logging.getLogger, _DECODERS))
_FILTER = ("ignore", None, Warning, re.compile(_ISSUER), 0)


def hush() -> None:
    """Silence the decoders' warnings and log lines, in this process, until filters are reset.

    `warnings.catch_warnings` is not safe in threads (it restores what another thread has changed), so a
    narrow filter is put in place once and left there; it is looked for anew because others may reset it.
    """
    if _FILTER not in warnings.filters:
        warnings.filterwarnings("ignore", module=_ISSUER)
    for logger in _LOGGERS:
        if logger.level != logging.CRITICAL:  # setting it makes every logger of the process think anew
            logger.setLevel(logging.CRITICAL)


def check_size(path: Path, rows: int, columns: int) -> None:
    """Raise UnreadableFile if one frame would be empty or have more than MAX_PIXELS pixels."""
    if rows < 1 or columns < 1:
        raise UnreadableFile(f"{path.name} holds a picture of {columns}x{rows} pixels (width x height).")
    if rows * columns > MAX_PIXELS:
        raise UnreadableFile(
            f"{path.name} is too large: {columns}x{rows} pixels (width x height), "
            f"and at most {MAX_PIXELS // 1_000_000} million can be opened.",
            "Cut out the region of interest or save a smaller copy, and open that.",
        )


@contextmanager
def decoding(path: Path, kind: str, *, quote: bool = True) -> Iterator[None]:
    """Turn whatever a decoder raises into UnreadableFile.

    Args:
        path: what is decoded; only its name is told.
        kind: the format, in words.
        quote: repeat the decoder's own words. Not for DICOM: they may quote the header.
    """
    hush()
    try:
        yield
    except OmniViewError:
        raise
    except FileNotFoundError:
        raise UnreadableFile(f"{path.name} does not exist.", "Check the path.") from None
    except PermissionError:
        raise UnreadableFile(
            f"{path.name} may not be read by this user.", "Change its permissions, or copy it elsewhere."
        ) from None
    except MemoryError:
        raise UnreadableFile(
            f"{path.name} does not fit into memory.", "Close other programs or open a smaller copy."
        ) from None
    except BaseException as error:
        # decoders also have classes of their own, and Rust's panic (pylibjpeg-rle) is not even an Exception
        if not isinstance(error, _BROKEN) and type(error).__module__.partition(".")[0] not in _OWNERS:
            raise
        words = " ".join(str(error).split())
        because = f" ({words[:160]})" if quote and words else ""
        raise UnreadableFile(
            f"{path.name} is {kind}, but it is broken or cut short{because}.",
            "Copy or export it again, and check that it opens elsewhere.",
        ) from (error if quote else None)

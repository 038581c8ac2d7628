"""The only door through which pixels leave this machine.

Everything that is sent to an omnimodel was encoded here, from pixels alone: no name, no header, no metadata.
Offline, or without consent for the very endpoint, nothing is encoded and nothing is sent.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import cv2
import numpy as np

from omniview.core.geometry import Placement, rescale, stretch
from omniview.core.image import Image
from omniview.errors import NotAllowed, OutputError

__all__ = ["Airlock", "Consent", "Departure", "consent_text", "is_loopback", "origin"]

How: TypeAlias = Literal["command line", "dialog"]

_PNG_UP_TO = 400_000
"""Bytes. A larger picture goes as JPEG: encoding a megabyte into JSON would hold up the window."""
_JPEG_QUALITY = 95
_FILE = "consents.json"


@dataclass(frozen=True, slots=True)
class Consent:
    """That pixels may go to one endpoint.

    Attributes:
        endpoint: scheme, host and port.
        when: UTC, ISO 8601.
        how: where it was given.
    """

    endpoint: str
    when: str
    how: str


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """What is about to leave, exactly.

    Attributes:
        data: the encoded picture.
        mime: "image/png" or "image/jpeg".
        placement: how the picture that is sent lies over the image.
        sha256: of `data`, lower-case hex.
        endpoint: scheme, host and port.
        consent: why it may leave, e.g. "loopback" or "dialog 2026-11-21T20:00:00+00:00".
    """

    data: bytes
    mime: str
    placement: Placement
    sha256: str
    endpoint: str
    consent: str


def origin(endpoint: str) -> str:
    """Scheme, host and port of a URL, in one spelling, so that a consent holds for one place only.

    Raises:
        NotAllowed: not an http(s) address, or one that two programs may read differently.
    """
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    odd = any(c in endpoint for c in "\\@") or not endpoint.isprintable() or " " in endpoint
    if host is None or odd or parts.scheme not in ("http", "https"):
        raise NotAllowed(
            "The omnimodel's address is not a plain http or https address.",
            "Correct base_url in the settings or GOOGLE_GEMINI_BASE_URL.",
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{port or (443 if parts.scheme == 'https' else 80)}"


def is_loopback(endpoint: str) -> bool:
    """Whether the endpoint is this very machine (127.0.0.0/8, ::1 or localhost), by its literal address."""
    host = urlsplit(origin(endpoint)).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which could point anywhere
        return False


def consent_text(endpoint: str) -> str:
    """What a person agrees to, in words, before the first picture goes to `endpoint`."""
    place = origin(endpoint)
    plain = (
        "The connection is NOT encrypted: others on the network can see the picture.\n"
        if place.startswith("http:") and not is_loopback(endpoint)
        else ""
    )
    return (
        f"OmniView would send a picture to {place}.\n"
        "What leaves: the pixels of the image as you see them, reduced in size, and the question what to "
        "outline. What stays: file names, DICOM attributes, masks, results.\n"
        "Text that is burned into the pixels (names, dates, hospital) is NOT removed yet: look at your "
        "images before you agree.\n"
        f"{plain}"
        "The provider's terms apply to what it receives. OmniView is not a medical device.\n"
        "The consent is remembered for this address and can be withdrawn at any time."
    )


class Airlock:
    """Decides what may leave, and encodes it.

    Args:
        home: OmniView's own folder; consents are kept in `consents.json` there.
        offline: nothing may leave, not even to this machine.
        consent_given: the person who started this run agreed on the command line, for this run.
    """

    def __init__(self, home: Path, *, offline: bool, consent_given: bool = False) -> None:
        self._path = home / _FILE
        self._offline = offline
        self._consent_given = consent_given

    def check(self, endpoint: str) -> str:
        """Why pixels may leave for `endpoint`, in a few words for the audit.

        Raises:
            NotAllowed: they may not; the next step says how they could.
        """
        if self._offline:
            raise NotAllowed(
                "OmniView is offline: nothing leaves this machine.", "Switch offline off to ask."
            )
        place = origin(endpoint)
        if is_loopback(endpoint):
            return "loopback"
        for consent in self.consents():
            if consent.endpoint == place:
                return f"{consent.how} {consent.when}"
        if self._consent_given:
            return "command line, this run"
        raise NotAllowed(
            f"Nobody has agreed yet that images may be sent to {place}.",
            "Agree in the viewer when it asks, or add --consent on the command line.",
        )

    def clear(self, image: Image, endpoint: str, max_side: int) -> Departure:
        """Encode the pixels for leaving: 8-bit RGB as displayed, reduced to `max_side`, never enlarged.

        Blocks for tens of milliseconds: call it in a thread.

        Args:
            image: the image; only its pixels are looked at.
            endpoint: where they go.
            max_side: longer side of what is sent, pixels.

        Raises:
            NotAllowed: they may not leave.
        """
        consent = self.check(endpoint)
        rgb = image.rgb8()
        pixels, placement = (
            rescale(rgb, max_side) if max(image.shape) > max_side else stretch(rgb, image.shape)
        )
        bgr = np.ascontiguousarray(pixels[..., ::-1])
        mime = "image/png"
        data = _encode(".png", bgr)
        if len(data) > _PNG_UP_TO:
            mime = "image/jpeg"
            sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
            data = _encode(".jpg", bgr, cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY, *sampling)
        return Departure(data, mime, placement, hashlib.sha256(data).hexdigest(), origin(endpoint), consent)

    def consents(self) -> tuple[Consent, ...]:
        """What has been agreed to so far.

        Raises:
            NotAllowed: the file cannot be understood; what cannot be read allows nothing.
        """
        try:
            values = json.loads(self._path.read_text("utf-8"))
            return tuple(Consent(str(v["endpoint"]), str(v["when"]), str(v["how"])) for v in values)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise NotAllowed(
                f"The list of consents in {self._path.parent} cannot be read ({type(error).__name__}).",
                f"Delete {_FILE} and agree again.",
            ) from error

    def grant(self, endpoint: str, how: How) -> Consent:
        """Remember that a person agreed to send pixels to `endpoint`.

        Raises:
            NotAllowed: the address is not one that can be agreed to.
            OutputError: it could not be written down.
        """
        consent = Consent(origin(endpoint), datetime.now(UTC).isoformat(timespec="seconds"), how)
        self._write([*(c for c in self.consents() if c.endpoint != consent.endpoint), consent])
        return consent

    def revoke(self, endpoint: str) -> bool:
        """Forget the consent for `endpoint`; whether there was one.

        Raises:
            OutputError: it could not be written down.
        """
        place, before = origin(endpoint), self.consents()
        kept = [c for c in before if c.endpoint != place]
        if len(kept) == len(before):
            return False
        self._write(kept)
        return True

    def _write(self, consents: list[Consent]) -> None:
        part = self._path.with_suffix(".part")
        values = [{"endpoint": c.endpoint, "when": c.when, "how": c.how} for c in consents]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
            part.replace(self._path)
        except OSError as error:
            raise OutputError(
                f"The consent could not be saved ({error.strerror}).", f"Make {self._path.parent} writable."
            ) from error


def _encode(suffix: str, bgr: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], *parameters: int) -> bytes:
    done, data = cv2.imencode(suffix, bgr, list(parameters))
    assert done, "OpenCV encodes any 8-bit picture"
    return data.tobytes()

"""The only door through which pixels leave this machine.

Everything that is sent to an omnimodel was encoded here, from pixels alone: no name, no header, no metadata.
Offline, or without consent for the very endpoint, nothing is encoded and nothing is sent.

How much an endpoint is trusted is told by its literal address. Loopback is this machine: no consent, and the
pixels as they are. A trusted address is one's own institution's: a consent, with which burned-in text may be
kept. All else is outside: a consent, and burned-in text is blacked out unless the settings say otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import cv2
import numpy as np

from omniview.core.geometry import Placement, rescale, stretch
from omniview.core.image import Array, Image
from omniview.errors import NotAllowed
from omniview.omnimodel.addresses import covers, is_loopback, origin
from omniview.omnimodel.burned_in import LONGEST, Box, installed_detector, shared_finder
from omniview.omnimodel.consents import Consent, Consents, How
from omniview.settings import AirlockSettings

__all__ = ["Airlock", "Consent", "Departure", "Trust", "is_loopback", "origin"]

Trust: TypeAlias = Literal["loopback", "trusted", "outside"]

_PNG_UP_TO = 400_000
"""Bytes. A larger picture goes as JPEG: encoding a megabyte into JSON would hold up the window."""
_JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """What is about to leave, exactly.

    Attributes:
        data: the encoded picture.
        mime: "image/png" or "image/jpeg".
        placement: how the picture that is sent lies over the image.
        sha256: of `data`, lower-case hex.
        endpoint: scheme, host and port.
        consent: why it may leave, e.g. "loopback" or "dialog 2026-11-21T20:00:00+00:00"; empty in a preview
            of what may not leave yet.
        text: what was done about burned-in text, in words for provenance, audit and preview.
        blacked: black boxes around text, in pixels of the whole image, not yet turned or reduced.
    """

    data: bytes
    mime: str
    placement: Placement
    sha256: str
    endpoint: str
    consent: str
    text: str = ""
    blacked: tuple[Box, ...] = ()


class Airlock:
    """Decides what may leave, and encodes it.

    Args:
        home: OmniView's own folder; consents are kept in `consents.json` there.
        offline: nothing may leave, not even to this machine.
        consent_given: the person who started this run agreed on the command line, for this run.
        settings: what happens to burned-in text, and which addresses are trusted.
        detector: the network that finds text, or None where it is not installed.
    """

    def __init__(
        self,
        home: Path,
        *,
        offline: bool,
        consent_given: bool = False,
        settings: AirlockSettings | None = None,
        detector: Callable[[], Path | None] = installed_detector,
    ) -> None:
        self._consents = Consents(home)
        self._offline = offline
        self._consent_given = consent_given
        self._settings = settings or AirlockSettings()
        self._detector = detector

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

    def trust(self, endpoint: str) -> Trust:
        """How far the endpoint is trusted, by its literal address: a name is never looked up.

        Raises:
            NotAllowed: not an address.
        """
        if is_loopback(endpoint):
            return "loopback"
        host = urlsplit(origin(endpoint)).hostname or ""
        return "trusted" if any(covers(entry, host) for entry in self._settings.trusted) else "outside"

    def consent_text(self, endpoint: str, *, informed: bool = False) -> str:
        """What a person agrees to, in words, before the first picture goes to `endpoint`.

        Args:
            endpoint: where it goes.
            informed: the omnimodel is told what the specialist found.
        """
        place, trust = origin(endpoint), self.trust(endpoint)
        open_line = place.startswith("http:") and trust != "loopback"
        lines = [
            f"OmniView would send a picture to {place}.",
            "What leaves: the pixels of the image as shown here, reduced in size; and the question in words, "
            "with the kind of image (such as endoscopy). If you ask about a region, its outline is drawn "
            "into the picture.",
            "What the specialist found leaves too, in words (boxes, areas, predicted Dice), because informed "
            "is switched on in the settings. What stays: file names, all other DICOM attributes, masks."
            if informed
            else "What stays: file names, all other DICOM attributes, masks, results. If you later switch "
            "informed on in the settings, what the specialist found is told in words, too.",
            self._told(trust),
            "The settings count this address as your own institution's." if trust == "trusted" else "",
            "The connection is NOT encrypted: others on the network can see the picture."
            if open_line
            else "",
            "The provider's terms apply to what it receives. OmniView is not a medical device.",
            "The consent is remembered for this address and can be withdrawn at any time.",
        ]
        return "\n".join(line for line in lines if line)

    def clear(
        self,
        image: Image,
        endpoint: str,
        max_side: int,
        *,
        show: Callable[[Image], Image] | None = None,
    ) -> Departure:
        """Encode the pixels for leaving: 8-bit RGB as displayed, reduced to `max_side`, never enlarged.

        Blocks for tens of milliseconds, and for a second or more where burned-in text has to be found: call
        it in a thread.

        Args:
            image: the image; only its pixels are looked at.
            endpoint: where they go.
            max_side: longer side of what is sent, pixels.
            show: turns or crops the image before it is reduced. Text is blacked out before, while it stands
                upright and whole, and found once for all sides of one image.

        Raises:
            NotAllowed: they may not leave.
        """
        consent = self.check(endpoint)
        keep = self._keeps(endpoint)
        if not keep and self._settings.burned_in_text == "refuse":
            self._refuse_text(image)
        if not keep and self._detector() is None:
            raise NotAllowed(
                "Text that is burned into the pixels cannot be found: the OCR extra is not installed.",
                'Install "omniview[ocr]" (omniview doctor says how), or set burned_in_text = "keep".',
            )
        return self._depart(image, endpoint, max_side, consent=consent, keep=keep, show=show)

    def preview(self, image: Image, endpoint: str, max_side: int) -> Departure:
        """What `clear` would give, whether or not it may leave yet; nothing is sent.

        Blocks as `clear` does.

        Raises:
            NotAllowed: not an address, or text remains that could not be blacked out.
        """
        try:
            consent = self.check(endpoint)
        except NotAllowed:
            origin(endpoint)
            consent = ""
        keep = self._keeps(endpoint) or self._detector() is None
        return self._depart(image, endpoint, max_side, consent=consent, keep=keep, show=None)

    def _depart(
        self,
        image: Image,
        endpoint: str,
        max_side: int,
        *,
        consent: str,
        keep: bool,
        show: Callable[[Image], Image] | None,
    ) -> Departure:
        blacked: tuple[Box, ...] = ()
        trust = self.trust(endpoint)
        text = "" if trust == "loopback" else self._told(trust)
        if trust == "trusted" and self._keeps(endpoint):
            text = "Burned-in text is kept: the consent for this address says so."
        if not keep:
            model = self._detector()
            assert model is not None, "asked before"
            without = shared_finder(model).blacken(image.rgb8())
            if not without.clean:
                raise NotAllowed(
                    "Text is still found in the picture after it was blacked out several times.",
                    'Crop the text away, or set burned_in_text = "keep" if nobody can be told from it.',
                )
            blacked = without.boxes
            text = f"{len(blacked)} burned-in text{'' if len(blacked) == 1 else 's'} blacked out"
            image = replace(image, pixels=without.pixels, window=None)
        rgb = (image if show is None else show(image)).rgb8()
        shape = rgb.shape[0], rgb.shape[1]
        if not keep:  # no finer than text was looked for, a crop of a large picture neither
            max_side = min(max_side, max(1, max(shape) * LONGEST // max(LONGEST, *image.shape)))
        pixels, placement = rescale(rgb, max_side) if max(shape) > max_side else stretch(rgb, shape)
        data, mime = _encoded(pixels)
        sha256 = hashlib.sha256(data).hexdigest()
        return Departure(data, mime, placement, sha256, origin(endpoint), consent, text, blacked)

    def _keeps(self, endpoint: str) -> bool:
        """Whether burned-in text may go to `endpoint` as it is."""
        trust = self.trust(endpoint)
        if trust == "loopback" or self._settings.burned_in_text == "keep":
            return True
        place = origin(endpoint)
        return trust == "trusted" and any(c.endpoint == place and c.keep_text for c in self.consents())

    def _refuse_text(self, image: Image) -> None:
        model = self._detector()
        if model is not None and (boxes := shared_finder(model).blacken(image.rgb8()).boxes):
            raise NotAllowed(
                f"The picture holds burned-in text in {len(boxes)} places.",
                'Remove it, or set burned_in_text = "blackout".',
            )

    def _told(self, trust: Trust) -> str:
        """What happens to burned-in text on the way to an endpoint of that trust, in a sentence."""
        if trust == "loopback":
            return "Burned-in text is kept: the picture stays on this machine."
        if self._settings.burned_in_text == "keep":
            return "Burned-in text (names, dates, hospital) is KEPT, as the settings say."
        if self._detector() is None:
            return (
                "Burned-in text (names, dates, hospital) is NOT looked for: OCR is not installed. "
                'Nothing is sent before you install "omniview[ocr]" or set burned_in_text = "keep".'
            )
        if self._settings.burned_in_text == "refuse":
            return "A picture in which burned-in text is found is not sent."
        return (
            "Burned-in text (names, dates, hospital) is looked for and blacked out. That can fail: look at "
            "the picture before you agree."
        )

    def consents(self) -> tuple[Consent, ...]:
        """What has been agreed to so far.

        Raises:
            NotAllowed: the file cannot be understood; what cannot be read allows nothing.
        """
        return self._consents.all()

    def grant(self, endpoint: str, how: How, *, keep_text: bool = False) -> Consent:
        """Remember that a person agreed to send pixels to `endpoint`.

        Args:
            endpoint: where they may go.
            how: where the person agreed.
            keep_text: burned-in text may go there, too: for trusted endpoints alone.

        Raises:
            NotAllowed: the address is not one that can be agreed to, or not one that text may go to.
            OutputError: it could not be written down.
        """
        if keep_text and self.trust(endpoint) != "trusted":
            raise NotAllowed(
                "Burned-in text may be kept for trusted addresses alone.",
                "Add the address to trusted in the settings if it is your own institution's.",
            )
        return self._consents.grant(endpoint, how, keep_text=keep_text)

    def revoke(self, endpoint: str) -> bool:
        """Forget the consent for `endpoint`; whether there was one.

        Raises:
            OutputError: it could not be written down.
        """
        return self._consents.revoke(endpoint)


def _encoded(rgb: Array) -> tuple[bytes, str]:
    """(Y,X,3) uint8 as PNG, or as JPEG where that would be large; and its MIME type."""
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    data = _encode(".png", bgr)
    if len(data) <= _PNG_UP_TO:
        return data, "image/png"
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode(".jpg", bgr, cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY, *sampling), "image/jpeg"


def _encode(suffix: str, bgr: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], *parameters: int) -> bytes:
    done, data = cv2.imencode(suffix, bgr, list(parameters))
    assert done, "OpenCV encodes any 8-bit picture"
    return data.tobytes()

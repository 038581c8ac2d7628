"""What the window may ask before a picture leaves: keys, consents and previews."""

from __future__ import annotations

from collections.abc import Callable

from omniview.backing.preferences import keep_key
from omniview.core.image import Image
from omniview.errors import NotAllowed
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.clouds import CLOUDS, endpoint_of, key_wanted
from omniview.settings import Settings, api_key, home
from omniview.ui.models import Preview, Wanted

__all__ = ["Gate"]


class Gate:
    """Keys and consents for the cloud omnimodels that there are.

    Args:
        settings: gives the settings in force.
        given: whether the run was started with `--consent`.
    """

    def __init__(self, settings: Callable[[], Settings], *, given: bool) -> None:
        self._settings = settings
        self._given = given

    def wanted(self, omnimodel: str) -> Wanted | None:
        """What is missing for `omnimodel`, or None.

        Raises:
            NotAllowed: its address is not one that can be agreed to.
        """
        if omnimodel not in CLOUDS:
            return None
        airlock, endpoint = self._airlock(), self._endpoint(omnimodel)
        try:
            airlock.check(endpoint)
        except NotAllowed:
            text = airlock.consent_text(endpoint, informed=self._settings().ask.informed)
        else:
            text = ""
        key = key_wanted(omnimodel, self._settings()) is not None and api_key(omnimodel) is None
        own = bool(text) and airlock.trust(endpoint) == "trusted"
        return Wanted(key, text, own) if key or text else None

    def give(self, omnimodel: str, key: str, *, keep_text: bool = False) -> None:
        """Remember consent and key."""
        if key:
            keep_key(omnimodel, key)
        self._airlock().grant(self._endpoint(omnimodel), "dialog", keep_text=keep_text)

    def withdraw(self, omnimodel: str) -> bool:
        """Forget the consent.

        Raises:
            NotAllowed: one was given for this run on the command line, which this cannot take back.
        """
        was = omnimodel in CLOUDS and self._airlock().revoke(self._endpoint(omnimodel))
        if self._given and omnimodel in CLOUDS:
            raise NotAllowed(
                "This run was started with --consent, which holds until OmniView is closed.",
                "Switch Offline on, or start again without --consent.",
            )
        return was

    def preview(self, omnimodel: str, image: Image) -> Preview | None:
        """The very bytes that would leave, with what was blacked out; None for a model of this machine.

        Raises:
            NotAllowed: text remains in the picture that could not be blacked out.
        """
        if omnimodel not in CLOUDS:
            return None
        settings = self._settings()
        own = settings.openai if omnimodel == "openai" else settings.gemini
        leaving = self._airlock().preview(image, self._endpoint(omnimodel), own.max_side)
        (rows, columns), (height, width) = image.shape, leaving.placement.size
        across, down = width / columns, height / rows
        boxes = tuple((x0 * across, y0 * down, x1 * across, y1 * down) for x0, y0, x1, y1 in leaving.blacked)
        return Preview(leaving.data, boxes, leaving.text, leaving.endpoint)

    def _airlock(self) -> Airlock:
        return Airlock(home(), offline=False, consent_given=self._given, settings=self._settings().airlock)

    def _endpoint(self, omnimodel: str) -> str:
        return endpoint_of(omnimodel, self._settings())

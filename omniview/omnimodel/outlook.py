"""What asking about many cases may cost, said before the first one is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from omniview.omnimodel.budget import Budget
from omniview.omnimodel.prices import PriceTable
from omniview.settings import GeminiSettings, OpenAiSettings, Settings

__all__ = ["Outlook", "outlook"]

_QUESTION = "?" * 4096
"""As long as no question is."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a batch may cost.

    Attributes:
        model: the model's id.
        cases: how many may be asked about.
        answers: how often each.
        most: if every answer is as long as is allowed; None: the price is not known.
        usual: if the answers cost what the model's latest ones did, or None.
        cap: what may still be spent, or None without a cap.
        as_of: the day on which the price was read, or None.
        currency: ISO 4217 code of the amounts.
    """

    model: str
    cases: int
    answers: int
    most: float | None
    usual: float | None = None
    cap: float | None = None
    as_of: date | None = None
    currency: str = "USD"

    def text(self) -> str:
        """In a sentence or two, for a person."""
        what = f"{_number(self.cases, 'case')} at {self.model}, {_number(self.answers, 'answer')} each"
        if self.most is None:
            stops = " No question can be asked under a spending cap." if self.cap is not None else ""
            return f"What {what}, will cost is not known: the model has no price in prices.toml.{stops}"
        most = self.most if self.cap is None else min(self.most, self.cap)
        words = f"At most {self._money(most)} for {what} (prices of {self.as_of}; they may have moved)."
        if self.usual is not None:
            words += f" About {self._money(self.usual)}, if they cost what the latest answers did."
        if self.cap is not None and self.cap < self.most:
            words += f" The spending cap leaves {self._money(self.cap)}, and what does not fit is not asked."
        return words

    def _money(self, amount: float) -> str:
        # two digits that say something, for cents and for hundreds alike
        return f"{amount:.2f} {self.currency}" if amount >= 1 else f"{amount:.2g} {self.currency}"


def outlook(settings: Settings, cases: int, home: Path) -> Outlook | None:
    """What asking about `cases` images may cost at most; None where nothing can cost anything. Blocks.

    Args:
        settings: which omnimodel, how often, within what.
        cases: how many images.
        home: OmniView's own folder.

    Raises:
        SettingsError: the price table cannot be used.
        OutputError: the record of what was spent cannot be read.
    """
    clouds: dict[str, GeminiSettings | OpenAiSettings]
    clouds = {"gemini": settings.gemini, "openai": settings.openai}
    chosen = clouds.get(settings.omnimodel)
    if chosen is None or settings.offline or settings.ask.when == "never":
        return None
    prices = PriceTable.load(home)
    price = prices.find(chosen.model)
    side = (chosen.max_side, chosen.max_side)
    each = prices.estimate(chosen.model, _QUESTION, side, chosen.max_output_tokens)
    caps, count = settings.budget, cases * settings.answers
    budget = Budget(home)
    usual, spent = budget.usual(chosen.model), budget.spent()
    left = [
        cap
        for cap in (caps.session, None if caps.daily is None else caps.daily - spent.today)
        if cap is not None
    ]
    return Outlook(
        chosen.model,
        cases,
        settings.answers,
        None if each is None else count * each,
        None if usual is None else count * usual,
        max(0.0, min(left)) if left else None,
        None if price is None else price.as_of,
        prices.currency,
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"

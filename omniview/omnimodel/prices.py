"""What models cost: a dated table that a person can put newer prices on top of. A price is never guessed.

The table that ships with OmniView is `resources/prices.toml`, which also describes the format; a person's own
entries are in `prices.toml` in OmniView's home folder, and come first.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omniview import resources
from omniview.errors import SettingsError

__all__ = ["Price", "PriceTable"]

_FILE = "prices.toml"
_MILLION = 1e6
_PICTURE_SIDE = 1024
"""Side in pixels of the picture whose tokens the table gives."""
_OVERHEAD = 64
"""Tokens around question and picture, more than any chat template takes."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one model.

    Attributes:
        per_token_in: of one token sent.
        per_token_out: of one token received, thinking included.
        picture: tokens that a picture of up to 1024 px a side takes at most.
        as_of: the day on which it was read.
    """

    per_token_in: float
    per_token_out: float
    picture: int
    as_of: date


class _Entry(BaseModel):
    """One `[[model]]` of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    match: tuple[str, ...] = Field(min_length=1)
    sent: float = Field(alias="in", ge=0)
    received: float = Field(alias="out", ge=0)
    picture: int = Field(default=4000, ge=0)
    as_of: date
    until: date = date.max
    source: str = ""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[1] = Field(alias="schema")
    version: str = ""
    currency: Literal["USD"] = "USD"
    model: tuple[_Entry, ...] = ()


class PriceTable:
    """Prices by model id.

    Args:
        entries: in order of precedence.
        today: the day for which prices are looked up; None: of the moment (UTC).
    """

    currency = "USD"

    def __init__(self, entries: Sequence[_Entry], today: date | None = None) -> None:
        self._entries = tuple(entries)
        self._today = today

    @classmethod
    def load(cls, home: Path) -> Self:
        """The table that ships with OmniView with a person's own on top.

        Args:
            home: OmniView's own folder.

        Raises:
            SettingsError: one of the files cannot be read, or an entry breaks a rule; the message names it.
        """
        own = home / _FILE
        entries = _read(own) if own.exists() else ()
        return cls((*entries, *_read(resources.path(_FILE))))

    def find(self, model: str) -> Price | None:
        """The price of `model`, or None where it is not known."""
        name = model.strip().lower().removeprefix("models/")
        today = self._today or datetime.now(UTC).date()
        for entry in self._entries:
            if entry.until >= today and any(fnmatchcase(name, pattern.lower()) for pattern in entry.match):
                return Price(entry.sent / _MILLION, entry.received / _MILLION, entry.picture, entry.as_of)
        return None

    def cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        """What a call cost, or None where the model's price is not known."""
        price = self.find(model)
        return None if price is None else tokens_in * price.per_token_in + tokens_out * price.per_token_out

    def estimate(
        self, model: str, question: str, size: tuple[int, int] | None, max_output_tokens: int
    ) -> float | None:
        """What a call may cost at most, or None where the model's price is not known.

        A token is at least one byte of text, so that the bound holds for every tokenizer.

        Args:
            model: the model's id.
            question: the text.
            size: (h,w) of the picture in pixels, or None without one.
            max_output_tokens: the most that may come back.
        """
        price = self.find(model)
        return (
            None if price is None else _sent(price, question, size) + max_output_tokens * price.per_token_out
        )

    def affordable(
        self, model: str, question: str, size: tuple[int, int] | None, amount: float
    ) -> int | None:
        """How many tokens may come back for `amount`; None: any number, or the price is not known.

        The inverse of `estimate`.
        """
        price = self.find(model)
        if price is None or price.per_token_out == 0.0:
            return None
        # rounding must not lose the last token of an amount that `estimate` gave
        return max(0, math.floor((amount - _sent(price, question, size)) / price.per_token_out + 1e-6))


def _sent(price: Price, question: str, size: tuple[int, int] | None) -> float:
    """Upper bound of the cost of what is sent."""
    picture = 0.0
    if size is not None:
        picture = price.picture * max(1.0, max(size) / _PICTURE_SIDE) ** 2
    return (len(question.encode()) + math.ceil(picture) + _OVERHEAD) * price.per_token_in


def _read(path: Path) -> tuple[_Entry, ...]:
    try:
        return _File.model_validate(tomllib.loads(path.read_text("utf-8"))).model
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The prices in {path} cannot be read ({error}).", "Mend or delete it."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"The entry {where} in {path} is not valid: {first['msg']}.", "Correct or remove it."
        ) from error

"""Where weights that are not beside their card come from, as the card says it.

    [fetch."polyp-large.onnx"]
    url = ["https://example.org/polyp-large.onnx", "https://example.com/copy/polyp-large.onnx"]
    size = 98234112

The SHA-256 is the card's own; nothing is ever taken that has another.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["Origin"]


class Origin(BaseModel):
    """Addresses of one file.

    Attributes:
        url: https addresses (or http, since the hash is checked), tried one after the other; none where the
            file is only handed out by hand.
        size: of the file, bytes: more is never taken.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: tuple[str, ...] = ()
    size: int = Field(gt=0)

    @field_validator("url", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _plain(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("https", "http") or not parts.hostname:
                raise ValueError("url must be one or more https addresses")
            if "@" in parts.netloc:
                raise ValueError("url must hold no password: cards are handed on")
        return urls

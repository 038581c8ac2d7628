"""The card of a SAM-family pair: what the two ONNX files do not say themselves.

Nothing of the kind ships with OmniView. Whoever has an encoder and a decoder (SAM, MobileSAM, EfficientSAM,
SAM 2) writes a card beside them; which of these it is stands in the networks' own signatures, not here:

    schema = 1
    kind = "sam"
    name = "mobile-sam"
    version = "1"
    encoder = "mobile_sam.encoder.onnx"
    encoder_sha256 = "..."
    decoder = "mobile_sam.decoder.onnx"
    decoder_sha256 = "..."
    licence = "Apache-2.0"
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from omniview.inference.file_name import FileName
from omniview.inference.origins import Origin

__all__ = ["PixelForm", "SamCard"]

_SHA256 = r"^[0-9a-f]{64}$"

PixelForm: TypeAlias = Literal["imagenet", "unit", "bytes"]


class SamCard(BaseModel):
    """An encoder and a decoder, with what they may be used for.

    Attributes:
        encoder: ONNX file: image -> embedding (and finer features).
        decoder: ONNX file: embedding, points, labels -> masks and their predicted IoU.
        licence: under which terms the weights came, in words or as an SPDX id.
        pixels: what the encoder expects of a pixel v in 0-255: "imagenet", (v / 255 - mean) / std for each
            channel; "unit", v / 255; "bytes", v itself, both for encoders that normalise inside of the graph.
            None for what the published export of its family expects.
        parameters: number of weights; 0 where nobody counted.
        fetch: where files come from that are not beside the card.
        folder: where the card was read from, not a field of the file.
        toml_sha256: of the bytes that were read, lower-case hex, not a field of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[1] = Field(alias="schema")
    kind: Literal["sam"]
    name: FileName
    version: str
    encoder: FileName
    encoder_sha256: str = Field(pattern=_SHA256)
    decoder: FileName
    decoder_sha256: str = Field(pattern=_SHA256)
    licence: str = Field(min_length=1)
    pixels: PixelForm | None = None
    parameters: int = Field(default=0, ge=0)
    fetch: Mapping[str, Origin] = Field(default_factory=dict)
    folder: Path = Field(default=Path(), exclude=True)
    toml_sha256: str = Field(default="", exclude=True)

    @property
    def tasks(self) -> tuple[str, ...]:
        """It is bound to none."""
        return ("any",)

    def files(self) -> tuple[tuple[str, str], ...]:
        """(file name, SHA-256) of the weights."""
        return (self.encoder, self.encoder_sha256), (self.decoder, self.decoder_sha256)

"""A model card: all that has to be known to run a network and to judge it, in a TOML file beside its weights.

A new model is a new card; nothing is registered in code. Fields that only people read (data, figures, limits,
training) are kept as they stand.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from omniview.core.geometry import View
from omniview.core.image import FloatArray, Modality
from omniview.core.prediction import Quality
from omniview.core.quality import QualityTable
from omniview.core.quality_head import QualityHead, judge
from omniview.errors import CardError
from omniview.inference.file_name import FileName
from omniview.inference.network_spec import DropoutSpec, NetworkSpec, check_torch
from omniview.inference.origins import Origin
from omniview.inference.sam_card import SamCard

__all__ = [
    "Activation",
    "Card",
    "Cards",
    "GeneralistCard",
    "InputSpec",
    "Int8Spec",
    "OutputSpec",
    "PromptedSpec",
    "SpecialistCard",
    "find_cards",
    "read_card",
]

_SHA256 = r"^[0-9a-f]{64}$"

Activation: TypeAlias = Literal["logits", "probability", "softmax", "classes"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(_Frozen):
    """How an image becomes the network's input.

    Attributes:
        geometry: "stretch" to `size`, "letterbox" into `size` (aspect kept, padded with 0), or "tile" (scaled
            until the longer side is `long_side` where given, then overlapping tiles of `size`, blended).
        size: (rows, columns) of one network input, pixels.
        long_side: pixels, for "tile" only.
        overlap: of neighbouring tiles, pixels, for "tile" only.
        channels: 3, or 1 for the luma of the RGB image.
        mean: per channel, of pixels scaled to [0,1].
        std: per channel; x becomes (x - mean) / std.
        normalise: "fixed" by `mean` and `std`, or "image" by those of each image itself, per channel (a
            z-score, as nnU-Net has it).
    """

    geometry: Literal["stretch", "letterbox", "tile"]
    size: tuple[int, int]
    long_side: int | None = Field(default=None, ge=32)
    overlap: int = Field(default=0, ge=0)
    channels: Literal[1, 3] = 3
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    normalise: Literal["fixed", "image"] = "fixed"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std must have {self.channels} value(s) each")
        if min(self.std) <= 0:
            raise ValueError("std must be positive")
        if self.normalise == "image" and (any(self.mean) or set(self.std) != {1.0}):
            raise ValueError("normalise = 'image' takes mean and std from each image: leave them at 0 and 1")
        if min(self.size) < 16:
            raise ValueError("size must be at least 16x16")
        if self.geometry != "tile" and (self.long_side is not None or self.overlap):
            raise ValueError("long_side and overlap belong to geometry = 'tile'")
        if 2 * self.overlap > min(self.size):
            raise ValueError("overlap must be at most half of a tile")
        return self


class OutputSpec(_Frozen):
    """What the network's numbers mean.

    Attributes:
        activation: "logits", or "probability" if the graph ends in a sigmoid or softmax; "softmax": logits of
            classes that exclude each other; "classes": a map of class numbers, the graph ends in an argmax.
        channels: which of the output's channels (or class numbers) are the labels, in their order; None: all
            of them, in theirs.
        temperature: logits are divided by it.
        threshold: the probability at which the network's mask is best; it becomes 0.5.
    """

    activation: Activation = "logits"
    channels: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(default=None, min_length=1)
    temperature: float = Field(default=1.0, gt=0)
    threshold: float = Field(default=0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _background_known(self) -> Self:
        if self.activation in ("softmax", "classes") and self.channels is None:
            raise ValueError(f"activation = '{self.activation}' needs channels: which of them are the labels")
        return self


class _Views(_Frozen):
    names: tuple[str, ...] = ("identity",)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.names or self.names[0] != "identity":
            raise ValueError("the first view must be identity, so that one view means the image as it is")
        for name in self.names:
            View.parse(name)
        return self


class _Head(_Frozen):
    names: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float
    usual: tuple[float, ...]

    def head(self) -> QualityHead:
        return QualityHead(self.names, self.weights, self.bias, self.usual)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        self.head()
        return self


class _Novelty(_Frozen):
    limit: float = Field(gt=0)


class _Quality(_Frozen):
    confidence: tuple[float, ...]
    dice: tuple[float, ...]
    half_width: float | tuple[float, ...]
    empty: float | None = Field(default=None, ge=0, le=1)
    head: _Head | None = None

    def table(self) -> QualityTable:
        return QualityTable(self.confidence, self.dice, self.half_width, self.empty)

    def judge(
        self, probability: FloatArray, spread: FloatArray | None = None, novelty: float | None = None
    ) -> Quality:
        """Predicted Dice, see :func:`omniview.core.quality_head.judge`."""
        return judge(
            self.table(), None if self.head is None else self.head.head(), probability, spread, novelty
        )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        self.table()
        return self


class _CardFields(_Frozen):
    """What both kinds of card have.

    `licence` is that of the weights, in words or as an SPDX id; `fetch` says where files come from that are
    not beside the card. `folder` is where the card was read from and `toml_sha256` the hash of the bytes that
    were read, neither a field of the file.
    """

    schema_: Literal[1] = Field(alias="schema")
    name: FileName
    version: str
    parameters: int = Field(gt=0)
    licence: str = ""
    fetch: Mapping[str, Origin] = Field(default_factory=dict)
    input: InputSpec
    views: _Views = _Views()
    training: Mapping[str, Any] = Field(default_factory=dict)
    data: tuple[Mapping[str, Any], ...] = ()
    figures: tuple[Mapping[str, Any], ...] = ()
    limits: Mapping[str, Any] = Field(default_factory=dict)
    folder: Path = Field(default=Path(), exclude=True)
    toml_sha256: str = Field(default="", exclude=True)


class Int8Spec(_Frozen):
    """The network of a specialist in eight bits, for CPUs: only such a one as is hardly worse.

    Attributes:
        weights: file name of the ONNX model, beside the card.
        sha256: of that file, lower-case hex.
        dice_change: mean change of Dice against the full network, through all views, on `n` images of the
            `calibrate` split.
        low: lower end of its bootstrap 95 % interval.
        high: upper end.
        n: images.
        speedup: how many times as fast a run of one input was where it was measured.
        novelty_limit: the limit of its own novelty output, which rounding raises; None where it has none.
    """

    weights: FileName
    sha256: str = Field(pattern=_SHA256)
    dice_change: float = Field(gt=-0.005)
    low: float
    high: float
    n: int = Field(gt=0)
    speedup: float = Field(gt=1)
    novelty_limit: float | None = Field(default=None, gt=0)


class SpecialistCard(_CardFields):
    """A network for one task.

    Attributes:
        task: the task's name.
        modality: what kind of image it was trained on.
        labels: K label names, in the order of the output's channels.
        weights: file name of the network, beside the card: `.onnx`, or `.pt2` or `.safetensors` for PyTorch.
        sha256: of that file, lower-case hex.
        output: what the numbers mean.
        quality: from soft-Dice confidence, or a head's score, to predicted Dice; None if not calibrated.
        novelty: for networks whose second output says how unlike the training a picture is: the `limit`
            beyond which the card promises nothing; None: the network has no such output.
        int8: the same network in eight bits, or None.
        network: what PyTorch has to know of its weights.
        dropout: whether it is left on, for PyTorch.
    """

    kind: Literal["specialist"]
    task: str
    modality: Modality
    labels: tuple[str, ...] = Field(min_length=1)
    weights: FileName
    sha256: str = Field(pattern=_SHA256)
    output: OutputSpec = OutputSpec()
    quality: _Quality | None = None
    novelty: _Novelty | None = None
    int8: Int8Spec | None = None
    network: NetworkSpec = NetworkSpec()
    dropout: DropoutSpec = DropoutSpec()

    @model_validator(mode="after")
    def _runnable(self) -> Self:
        check_torch(self.weights, self.network, self.dropout, int8=self.int8 is not None)
        return self

    def novelty_limit(self, *, int8: bool) -> float | None:
        """The limit of the novelty output of either network, None where it has no such output."""
        if self.novelty is None:
            return None
        variant = self.int8.novelty_limit if int8 and self.int8 is not None else None
        return variant or self.novelty.limit

    def files(self) -> tuple[tuple[str, str], ...]:
        """(file name, SHA-256) of the weights, and of those in eight bits if there are any."""
        full = (self.weights, self.sha256)
        return (full,) if self.int8 is None else (full, (self.int8.weights, self.int8.sha256))


class PromptedSpec(OutputSpec):
    """What the click network's numbers mean for one task.

    Attributes:
        close: it looks a second time, at a square so many times as wide as what it found; None: it does not.
    """

    close: float | None = Field(default=None, ge=1.0, le=4.0)


class _TaskSpec(OutputSpec):
    views: _Views | None = None
    quality: _Quality | None = None
    prompted: PromptedSpec | None = None


class _Prompt(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    click_sigma: float = Field(gt=0)


class _Clicks(_Frozen):
    network: FileName
    sha256: str = Field(pattern=_SHA256)
    views: _Views = _Views()


class GeneralistCard(_CardFields):
    """One promptable network for several tasks, in two halves, perhaps with a third network for clicks.

    Attributes:
        tasks: per task, in the order of the one-hot input: temperature, threshold, quality; `views` where
            they are other than the card's; `prompted`, temperature and threshold of the click network's
            answers, where that answers prompts.
        encoder: ONNX file: image (1,3,S,S) -> features.
        decoder: ONNX file: features, prompts (1,4,S,S), task (1,T) -> logits (1,1,S,S).
        prompt: how prompts are drawn: `click_sigma`, pixels of the network's input.
        clicks: the network that answers prompts, `network` and `sha256` of its ONNX file: image (1,3,S,S),
            prompts (1,4,S,S), task (1,T) -> logits (1,1,S,S), and its `views`. Otherwise the decoder does.
    """

    kind: Literal["generalist"]
    tasks: Mapping[str, _TaskSpec]
    encoder: FileName
    encoder_sha256: str = Field(pattern=_SHA256)
    decoder: FileName
    decoder_sha256: str = Field(pattern=_SHA256)
    prompt: _Prompt
    clicks: _Clicks | None = None

    def views_of(self, task: str) -> tuple[str, ...]:
        """The views that answer without prompts in this task, which the card knows."""
        return (self.tasks[task].views or self.views).names

    def files(self) -> tuple[tuple[str, str], ...]:
        """(file name, SHA-256) of the weights: encoder, decoder, then the click network if there is one."""
        halves = (self.encoder, self.encoder_sha256), (self.decoder, self.decoder_sha256)
        return halves if self.clicks is None else (*halves, (self.clicks.network, self.clicks.sha256))

    @model_validator(mode="after")
    def _prompts_answered(self) -> Self:
        if any(task.prompted for task in self.tasks.values()) != (self.clicks is not None):
            raise ValueError("a click network needs tasks with prompted, and they need a click network")
        return self


Card: TypeAlias = SpecialistCard | GeneralistCard | SamCard
_ADAPTER: TypeAdapter[Card] = TypeAdapter(Annotated[Card, Field(discriminator="kind")])


def read_card(path: Path) -> Card:
    """Read and check one card.

    Raises:
        CardError: not readable, not TOML, or a field that breaks a rule; the message names it.
    """
    try:
        content = path.read_bytes()
        values = tomllib.loads(content.decode("utf-8"))
        about = {"folder": path.parent, "toml_sha256": sha256(content).hexdigest()}
        return _ADAPTER.validate_python({**values, **about})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CardError(
            f"The model card {path.name} cannot be read ({error}).", "Restore or remove it."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(
            str(part) for part in first["loc"] if part not in ("specialist", "generalist", "sam")
        )
        raise CardError(
            f"The model card {path.name} is not valid at {where or 'kind'}: {first['msg']}.",
            "Correct that field; the other cards show the form.",
        ) from error


@dataclass(frozen=True, slots=True)
class Cards:
    """What was found in the model folders.

    Attributes:
        cards: in order of folder and file name; a later one has replaced an earlier one of the same name.
        problems: cards that could not be read, which take no other model away.
    """

    cards: tuple[Card, ...]
    problems: tuple[CardError, ...]


def find_cards(folders: Iterable[Path]) -> Cards:
    """All cards in `folders`."""
    cards: dict[str, Card] = {}
    problems: list[CardError] = []
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            try:
                card = read_card(path)
            except CardError as error:
                problems.append(error)
                continue
            cards.pop(card.name, None)  # so that the replacement stands last
            cards[card.name] = card
    return Cards(tuple(cards.values()), tuple(problems))

"""What was measured of a specialist and an omnimodel together, in a TOML file, found by the models' hashes.

A calibration speaks of two models and no others: where either has changed since, it is not used, and the
result says so. Files are looked for in OmniView's home first (`fusion/`), then among what ships with it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from omniview import resources
from omniview.core.prediction import Prediction, Role
from omniview.core.quality import QualityTable
from omniview.core.trust import SAFE_DEFAULT, Calibration, Margin
from omniview.errors import CardError, OmniViewError
from omniview.settings import home

__all__ = ["PairCard", "calibration_for", "identity", "read_pair_card", "write_pair_card"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Model(_Frozen):
    name: str
    identity: tuple[str, ...] = Field(min_length=1)


class _Fusion(_Frozen):
    kappa: float
    bias: float
    ceiling: float
    assumed_specialist: float
    assumed_omnimodel: float
    gamma: float = 0.0
    area: tuple[float, float] = (0.0, 1.0)


class _Quality(_Frozen):
    mean: tuple[float, ...]
    dice: tuple[float, ...]
    half_width: float | tuple[float, ...]


class _Margin(_Frozen):
    outer: float
    inner: float
    alpha: float
    below: float = 0.0
    doubtful: _Margin | None = None

    def margin(self) -> Margin:
        inner = None if self.doubtful is None else self.doubtful.margin()
        return Margin(self.outer, self.inner, self.alpha, self.below, inner)


class PairCard(_Frozen):
    """One file.

    Attributes:
        task: the task's name.
        omnimodel: what the omnimodel is called in the settings, such as "builtin".
        specialist_model: name and identity (see `identity`).
        omnimodel_model: likewise.
        fusion: the numbers of `Calibration`.
        quality: from the mean of both predicted Dice to that of the fused mask.
        margin: "fused", "specialist", "omnimodel" to contours.
        data: on what it was fitted: n, hash.
        figures: what it gains, cross-validated, with interval.
    """

    schema_: Literal[1] = Field(alias="schema")
    version: str = "1"
    task: str
    omnimodel: str
    specialist_model: _Model
    omnimodel_model: _Model
    fusion: _Fusion
    quality: _Quality | None = None
    margin: Mapping[Literal["fused", "specialist", "omnimodel"], _Margin] = Field(default_factory=dict)
    data: Mapping[str, Any] = Field(default_factory=dict)
    figures: tuple[Mapping[str, Any], ...] = ()

    @model_validator(mode="after")
    def _usable(self) -> PairCard:
        self.calibration()
        return self

    def calibration(self) -> Calibration:
        """As fusion takes it."""
        margins = {name: m.margin() for name, m in self.margin.items()}
        table = None
        if self.quality is not None:
            table = QualityTable(self.quality.mean, self.quality.dice, self.quality.half_width)
        return Calibration(
            kappa=self.fusion.kappa,
            bias=self.fusion.bias,
            gamma=self.fusion.gamma,
            ceiling=self.fusion.ceiling,
            area=self.fusion.area,
            assumed_specialist=self.fusion.assumed_specialist,
            assumed_omnimodel=self.fusion.assumed_omnimodel,
            quality=table,
            margin=margins.get("fused"),
            margin_specialist=margins.get("specialist"),
            margin_omnimodel=margins.get("omnimodel"),
        )

    def speaks_of(self, prediction: Prediction) -> bool:
        """Whether the prediction is by the very model that was measured.

        A model that has got another part since, such as a network for clicks alone, is still the same.
        """
        model = self.specialist_model if prediction.role == "specialist" else self.omnimodel_model
        own = identity(prediction)
        return bool(own) and set(model.identity[:2]) <= set(own)


def identity(prediction: Prediction) -> tuple[str, ...]:
    """What tells a model from others: the hashes of its weights, else its id as it was asked for.

    A variant is admitted only where its masks are next to the same, so that it counts as the model itself.
    """
    about = prediction.provenance
    own = about.variant_of or about.weights_sha256
    if own is not None:
        return tuple(own.split())
    return () if about.model_id is None else (about.model_id,)


def read_pair_card(path: Path) -> PairCard:
    """Read and check one file.

    Raises:
        CardError: not readable, not TOML, or a field that breaks a rule; the message names it.
    """
    try:
        return PairCard.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CardError(
            f"The calibration {path.name} cannot be read ({error}).", "Calibrate again, or remove it."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CardError(
            f"The calibration {path.name} is not valid at {where}: {first['msg']}.",
            "Calibrate again, or remove it.",
        ) from error


def write_pair_card(card: PairCard, path: Path) -> None:
    """Write the file, whole or not at all; folders are made.

    Raises:
        OSError: it could not be written.
    """
    import tomli_w

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(tomli_w.dumps(card.model_dump(by_alias=True, exclude_none=True)), "utf-8")
    part.replace(path)


def calibration_for(task: str, predictions: Sequence[Prediction]) -> tuple[Calibration, tuple[str, ...]]:
    """What was measured of the models behind `predictions`, else the safe default, with notes that say why.

    Args:
        task: the task's name.
        predictions: one or two of different roles. Of a single one, whatever file speaks of it gives the
            margin. Answers to a person's clicks were never measured: they get the safe default.
    """
    by_role: dict[Role, Prediction] = {p.role: p for p in predictions}
    if any(p.provenance.prompts for p in predictions):
        return SAFE_DEFAULT, ()
    notes: list[str] = []
    for path in _files(task):
        try:
            card = _read(path, path.stat().st_mtime_ns)
        except (CardError, OSError) as error:
            notes.append(str(error))
            continue
        if all(card.speaks_of(p) for p in predictions):
            return card.calibration(), tuple(notes)
        other = by_role.get("omnimodel")
        if len(by_role) == 2 and other is not None and card.omnimodel_model.name == other.model:
            notes.append(
                f"The calibration {path.name} was made with other weights of these models, so that it is not "
                "used. Calibrate again (omniview calibrate)."
            )
    return SAFE_DEFAULT, tuple(notes)


def _files(task: str) -> list[Path]:
    """The calibrations of a task, the person's own first."""
    found = sorted((home() / "fusion").glob(f"{task}.*.toml"))
    with suppress(OmniViewError):  # an installation without them fuses by the safe default
        found += sorted(resources.path("fusion").glob(f"{task}.*.toml"))
    return found


@lru_cache(maxsize=64)
def _read(path: Path, _mtime_ns: int) -> PairCard:
    return read_pair_card(path)

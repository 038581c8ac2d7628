"""What an omnimodel is asked, in words that are versioned apart from the code.

The wording moves results as much as a model's weights do, so its version is recorded with every answer.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from omniview import resources
from omniview.core.task import Task
from omniview.errors import OmniViewError
from omniview.settings import MaskStyle

__all__ = ["Prompts", "load_prompts", "read_prompts"]

_Kind = TypeVar("_Kind", bound=BaseModel)
_Text = Annotated[str, Field(min_length=1)]


class _Style(BaseModel):
    """How to ask for one style of answer.

    Attributes:
        form: how to answer, appended to every wording.
        wordings: the question; further ones are paraphrases for further answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: _Text
    wordings: tuple[_Text, ...] = Field(min_length=1)


class Prompts(BaseModel):
    """The wordings of one kind of question.

    Attributes:
        version: raised with every change of wording.
        informed: what is appended where another model's findings are shown.
        styles: a set of wordings for each style of answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[2] = Field(alias="schema")
    version: _Text
    informed: _Text
    styles: Mapping[MaskStyle, _Style]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if missing := {"png", "polygon", "picture"} - set(self.styles):
            raise ValueError(f"styles must hold {', '.join(sorted(missing))}")
        if "{findings}" not in self.informed:
            raise ValueError("informed must have a place for {findings}")
        return self

    def text(self, task: Task, style: MaskStyle = "png", answer: int = 0, findings: str = "") -> str:
        """The question for `task`.

        Args:
            task: what is looked for.
            style: how the masks are asked for.
            answer: number of the answer from 0; beyond the number of wordings they begin anew.
            findings: what another model found, in words; empty for a blind question.
        """
        chosen = self.styles[style]
        parts = [chosen.wordings[answer % len(chosen.wordings)], chosen.form.strip()]
        if findings:
            parts.insert(1, self.informed.strip())
        values = {
            "{labels}": " or ".join(f'"{label}"' for label in task.labels),
            "{what}": task.prompt,
            "{modality}": task.modality,
            "{findings}": findings,
        }
        wording = "\n".join(parts)
        # not str.format: a person's own task may hold braces
        for name, value in values.items():
            wording = wording.replace(name, value)
        return wording

    def version_of(self, style: MaskStyle, informed: bool) -> str:
        """The version as it is recorded, e.g. `2-polygon` or `2-png-informed`."""
        return f"{self.version}-{style}{'-informed' if informed else ''}"


@lru_cache(maxsize=8)
def load_prompts(name: str = "segment") -> Prompts:
    """Read `resources/prompts/NAME.toml`.

    Raises:
        OmniViewError: it is missing or breaks a rule.
    """
    return read_prompts(name, Prompts)


def read_prompts(name: str, kind: type[_Kind]) -> _Kind:
    """Read `resources/prompts/NAME.toml` as the wordings of another kind of question.

    Raises:
        OmniViewError: it is missing or breaks a rule.
    """
    path = resources.path(f"prompts/{name}.toml")
    try:
        return kind.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise OmniViewError(
            f"The prompts in {path.name} cannot be used ({type(error).__name__}).",
            "Restore the file, or install OmniView again.",
        ) from error

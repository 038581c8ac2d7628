"""What an omnimodel is asked, in words that are versioned apart from the code.

The wording moves results as much as a model's weights do, so its version is recorded with every answer.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omniview import resources
from omniview.core.task import Task
from omniview.errors import OmniViewError

__all__ = ["Prompts", "load_prompts"]


class Prompts(BaseModel):
    """The wordings of one kind of question.

    Attributes:
        version: raised with every change of wording.
        form: how to answer, appended to every wording.
        wordings: the question; further ones are paraphrases for further answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[1] = Field(alias="schema")
    version: str = Field(min_length=1)
    form: str
    wordings: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)

    def text(self, task: Task, answer: int = 0) -> str:
        """The question for `task`; answers beyond the number of wordings begin anew."""
        labels = " or ".join(f'"{label}"' for label in task.labels)
        wording = self.wordings[answer % len(self.wordings)] + "\n" + self.form.strip()
        # not str.format: a person's own task may hold braces
        for name, value in {"{labels}": labels, "{what}": task.prompt, "{modality}": task.modality}.items():
            wording = wording.replace(name, value)
        return wording


@lru_cache(maxsize=8)
def load_prompts(name: str = "segment") -> Prompts:
    """Read `resources/prompts/NAME.toml`.

    Raises:
        OmniViewError: it is missing or breaks a rule.
    """
    path = resources.path(f"prompts/{name}.toml")
    try:
        return Prompts.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise OmniViewError(
            f"The prompts in {path.name} cannot be used ({type(error).__name__}).",
            "Restore the file, or install OmniView again.",
        ) from error

"""What is looked for: a task names the labels that every model answers for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from omniview.core.image import Modality

__all__ = ["TASKS", "Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """K labels, independent of each other, in one modality.

    Attributes:
        name: the word used on the command line, e.g. `polyp`.
        modality: what kind of image it applies to.
        labels: K names in the order of the masks' first axis.
        prompt: what an omnimodel is asked to outline, in words.
    """

    name: str
    modality: Modality
    labels: tuple[str, ...]
    prompt: str

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"Task.name must be one word of letters, digits and _, got {self.name!r}")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"Task.labels must be one or more different names, got {self.labels}")
        if not self.prompt.strip():
            raise ValueError("Task.prompt must not be empty")


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task("polyp", Modality.ENDOSCOPY, ("polyp",), "every polyp on the mucosa"),
            Task("vessel", Modality.FUNDUS, ("vessel",), "the retinal blood vessels, arteries and veins"),
            Task("breast", Modality.ULTRASOUND, ("lesion",), "every lesion (mass or cyst) in the breast"),
            Task("nuclei", Modality.MICROSCOPY, ("nucleus",), "every cell nucleus"),
        )
    }
)

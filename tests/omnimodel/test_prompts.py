"""What is asked: complete, blind, versioned."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniview.core.image import Modality
from omniview.core.task import TASKS, Task
from omniview.errors import OmniViewError
from omniview.omnimodel.prompts import load_prompts


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_every_wording_asks_for_the_task_in_the_agreed_form(task: Task) -> None:
    """Each names what to outline and the keys that decoding knows, and leaves no blank open."""
    prompts = load_prompts()
    texts = [prompts.text(task, n) for n in range(len(prompts.wordings))]
    assert len(set(texts)) == len(texts) >= 3
    for text in texts:
        for part in (task.prompt, task.modality, f'"{task.labels[0]}"', "box_2d", "mask", "label", "[]"):
            assert part in text
        assert "{" not in text
        assert "specialist" not in text
    assert prompts.text(task, len(texts)) == texts[0]


def test_several_labels_and_braces() -> None:
    """All labels are offered, and braces in a person's own task do no harm."""
    task = Task("eye", Modality.FUNDUS, ("disc", "cup"), "the {optic} parts")
    text = load_prompts().text(task)
    assert '"disc" or "cup"' in text
    assert "the {optic} parts" in text


def test_the_version_is_there() -> None:
    """A result can say which wording it was asked with."""
    assert load_prompts().version


def test_missing_prompts_are_said() -> None:
    """An incomplete installation gives a reason and a next step."""
    with pytest.raises(OmniViewError, match=r"absent\.toml") as caught:
        load_prompts("absent")
    assert caught.value.next_step


def test_broken_prompts_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged file is no traceback."""
    from omniview import resources

    (tmp_path / "bad.toml").write_text("schema = 1\nwordings = []", "utf-8")
    monkeypatch.setattr(resources, "path", lambda name: tmp_path / Path(name).name)
    with pytest.raises(OmniViewError, match=r"bad\.toml cannot be used"):
        load_prompts("bad")

"""What is asked: complete, blind, versioned."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from omniview.core.image import Modality
from omniview.core.task import TASKS, Task
from omniview.errors import OmniViewError
from omniview.omnimodel.prompts import load_prompts
from omniview.settings import MaskStyle

KEYS: dict[MaskStyle, tuple[str, ...]] = {
    "png": ("box_2d", "mask", "label", "JSON", "[]"),
    "polygon": ("box_2d", "polygon", "label", "JSON", "[]"),
    "picture": ("mask", "white", "black"),
}
STYLES: tuple[MaskStyle, ...] = get_args(MaskStyle)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_every_wording_asks_for_the_task_in_the_agreed_form(task: Task, style: MaskStyle) -> None:
    """Each names what to outline and what decoding knows, is blind, and leaves no blank open."""
    prompts = load_prompts()
    texts = [prompts.text(task, style, n) for n in range(3)]
    assert len(set(texts)) == 3
    for text in texts:
        for part in (task.prompt, task.modality, f'"{task.labels[0]}"', *KEYS[style]):
            assert part in text
        assert "{" not in text
        assert "model" not in text
    assert prompts.text(task, style, 3) == texts[0]


@pytest.mark.parametrize("style", STYLES)
def test_findings_are_shown_only_where_there_are_any(style: MaskStyle) -> None:
    """An informed question holds the findings and says that they may be wrong; its version says so too."""
    prompts = load_prompts()
    text = prompts.text(TASKS["polyp"], style, 1, "- a {strange} finding")
    assert "- a {strange} finding\n" in text
    assert "It can be wrong" in text
    assert "{findings}" not in text
    assert prompts.version_of(style, informed=True) == f"{prompts.version}-{style}-informed"
    assert prompts.version_of(style, informed=False) == f"{prompts.version}-{style}"


@pytest.mark.parametrize(
    ("broken", "with_"), [("{findings}", "nothing"), ("[styles.picture]", "[styles.png2]")]
)
def test_incomplete_prompts_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, with_: str
) -> None:
    """A file without a style, or without a place for the findings, is not half used."""
    from omniview import resources

    text = resources.path("prompts/segment.toml").read_text("utf-8")
    (tmp_path / f"{len(with_)}.toml").write_text(text.replace(broken, with_), "utf-8")
    monkeypatch.setattr(resources, "path", lambda name: tmp_path / Path(name).name)
    with pytest.raises(OmniViewError, match="cannot be used"):
        load_prompts(str(len(with_)))


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

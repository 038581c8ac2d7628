"""The one way to score a folder, as a script calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import omniview
from omniview import resources
from omniview.batch.resuming import session_of
from omniview.compose import model_folders
from omniview.errors import OutputError, SettingsError, UnreadableFile
from omniview.inference.card import GeneralistCard, find_cards
from omniview.inference.variants import precision_here
from omniview.scoring import ComposerOf, Plan, plan
from omniview.settings import Settings
from tests.batch.otsu import write_set
from tests.networks import write_specialist
from tests.omnimodel.sam_pairs import write_pair


@pytest.fixture
def folder(own_home: Path, tmp_path: Path) -> Path:
    """Three cases, and a tiny network for polyps."""
    write_specialist(own_home / "models")
    return write_set(tmp_path / "set", 3)


def test_a_script_scores_a_folder(folder: Path, tmp_path: Path) -> None:
    """`omniview.score` gives the summary and the counts, and tells of plan and progress."""
    plans: list[Plan] = []
    finished: list[int] = []
    result = omniview.score(
        folder,
        tmp_path / "out",
        task="polyp",
        omnimodel="none",
        views=1,
        on_plan=plans.append,
        on_progress=lambda progress: finished.append(progress.totals.finished),
    )
    assert (result.total, result.totals.finished, result.totals.failed) == (3, 3, 0)
    assert result.summary["models"]["specialist"]["scored"] == 3
    assert result.summary["about"]["weights"]["bright"]
    assert result.summary["about"]["libraries"]["numpy"] == np.__version__
    assert finished == [0, 1, 2, 3]
    assert len(plans[0].pairing.pairs) == 3
    with pytest.raises(OutputError, match="already holds a run"):
        omniview.score(folder, tmp_path / "out", task="polyp", omnimodel="none", views=1)
    with pytest.raises(OutputError, match=r"settings\.views was 1 and is 2"):
        omniview.score(folder, tmp_path / "out", task="polyp", omnimodel="none", views=2, resume="yes")


def test_an_unknown_scheduler_is_refused_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    """A word that is no address is named with the choices, and the folder is free for another run."""
    with pytest.raises(SettingsError, match="no scheduler called 'foo'") as caught:
        omniview.score(folder, tmp_path / "out", scheduler="foo")
    assert "slurm" in caught.value.next_step
    assert not (tmp_path / "out").exists()


async def test_it_works_in_a_notebook(folder: Path, tmp_path: Path) -> None:
    """Where an event loop is running already, the call blocks and returns just the same."""
    result = omniview.score(folder, tmp_path / "out", task="polyp", omnimodel="none", views=1, limit=2)
    assert result.totals.finished == 2


_LEAVING = """
import sys, threading
import omniview
from omniview.errors import OmniViewError

finished, enough = [], threading.Event()

def told(progress):
    finished.append(progress)
    if len(finished) > 4:
        enough.set()

def work():
    chosen = {"task": "polyp", "omnimodel": "none", "views": 1}
    try:
        omniview.score(sys.argv[1], sys.argv[2], on_progress=told, **chosen)
    except OmniViewError as error:
        print(error)
    finally:
        enough.set()

threading.Thread(target=work).start()
enough.wait()
"""


def test_a_main_thread_that_leaves_is_named(folder: Path, tmp_path: Path) -> None:
    """Python gives no threads any more by then; the run says so, no case is a failed row, and it goes on."""
    many = write_set(tmp_path / "many", 300)
    told = subprocess.run(
        [sys.executable, "-c", _LEAVING, str(many), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert "main thread ended" in told.stdout
    assert "join" in told.stdout
    chosen: dict[str, Any] = {"task": "polyp", "omnimodel": "none", "views": 1}
    result = omniview.score(many, tmp_path / "out", resume="yes", **chosen)
    assert (result.totals.finished, result.totals.failed) == (300, 0)


def test_other_weights_are_another_run(folder: Path, own_home: Path, tmp_path: Path) -> None:
    """A model that was replaced is told by its hash."""
    omniview.score(folder, tmp_path / "out", task="polyp", omnimodel="none", views=1)
    (own_home / "models" / "bright.onnx").unlink()
    from tests.networks import write_brightness, write_card

    write_brightness(own_home / "models" / "bright.onnx", gain=10.0)
    write_card(own_home / "models", "bright")
    with pytest.raises(OutputError, match=r"weights\.bright was"):
        omniview.score(folder, tmp_path / "out", task="polyp", omnimodel="none", views=1, resume="yes")


def test_another_calibration_of_the_same_weights_is_another_run(
    folder: Path, own_home: Path, tmp_path: Path
) -> None:
    """A changed temperature in a card, or a calibration of the fusion that came or went, is told by name."""
    from tests.networks import write_card

    omniview.score(folder, tmp_path / "out", task="polyp", omnimodel="none", views=1)
    write_card(own_home / "models", "bright", output={"temperature": 2.0})
    with pytest.raises(OutputError, match=r"cards\.bright was [0-9a-f]+… and is"):
        omniview.score(folder, tmp_path / "out", task="polyp", omnimodel="none", views=1, resume="yes")
    write_card(own_home / "models", "bright")
    (own_home / "fusion").mkdir()
    (own_home / "fusion" / "polyp.gemini.toml").write_text("schema = 1", "utf-8")
    (own_home / "fusion" / "vessel.gemini.toml").write_text("schema = 1", "utf-8")
    with pytest.raises(
        OutputError, match=r"holds: fusion\.own\.polyp\.gemini\.toml was nothing and is \w+…\. Choose"
    ):
        omniview.score(folder, tmp_path / "out", task="polyp", omnimodel="none", views=1, resume="yes")


def test_the_hashes_are_of_the_models_that_may_answer(folder: Path, own_home: Path) -> None:
    """A card's own bytes are hashed, also a SAM pair's; a task to be found out adds how it is."""
    card = write_pair(own_home / "models", "mobile")
    decides = plan(folder, Settings(omnimodel="sam"), task="polyp").deciding()
    assert decides["cards"]["tiny-mobile"] == sha256(card.read_bytes()).hexdigest()
    assert len(decides["weights"]["tiny-mobile"].split()) == 2
    generalists = {c.name for c in find_cards(model_folders()).cards if isinstance(c, GeneralistCard)}
    assert not generalists & set(decides["cards"])
    assert "recognise" not in decides
    found_out = plan(folder, Settings(omnimodel="builtin")).deciding()
    assert generalists <= set(found_out["cards"])
    assert "tiny-mobile" not in found_out["cards"]
    assert found_out["recognise"] == sha256(resources.path("recognise.json").read_bytes()).hexdigest()


def test_a_resumed_run_keeps_its_session(folder: Path, tmp_path: Path) -> None:
    """One spending cap for all sittings, and nothing of it in what is published."""
    out = tmp_path / "out"
    omniview.score(folder, out, task="polyp", omnimodel="none", views=1)
    session = session_of(out)
    assert session
    omniview.score(folder, out, task="polyp", omnimodel="none", views=1, resume="yes")
    assert session_of(out) == session
    (folder / "images" / "case00.png").unlink()
    omniview.score(folder, out, task="polyp", omnimodel="none", views=1, resume="anyway")
    assert session_of(out) == session
    assert session not in (out / "summary.json").read_text("utf-8")
    omniview.score(folder, tmp_path / "new", task="polyp", omnimodel="none", views=1)
    assert session_of(tmp_path / "new") not in ("", session)


def test_what_cannot_be_done_is_said_first(folder: Path, tmp_path: Path) -> None:
    """A task that does not exist, or a folder without images, is a message before anything is written."""
    with pytest.raises(SettingsError, match="wart"):
        omniview.score(folder, tmp_path / "out", task="wart", omnimodel="none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFile, match="no image"):
        omniview.score(tmp_path / "empty", tmp_path / "out", omnimodel="none")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"jobs": 0}, "jobs must be 1 or more, got 0"),
        ({"limit": -1}, "limit must be 1 or more, got -1"),
        ({"resume": False}, "no way to resume called False"),
        ({"resume": "perhaps"}, "Choose one of no, yes, anyway"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    folder: Path, tmp_path: Path, option: dict[str, Any], words: str
) -> None:
    """None is taken for another: no case is left out, and no run gone on with, that nobody meant."""
    with pytest.raises(SettingsError, match=words):
        omniview.score(folder, tmp_path / "out", task="polyp", omnimodel="none", **option)
    assert not (tmp_path / "out").exists()


def test_results_are_written_on_this_machine(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address is no name for a folder here."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"s3://bucket/out is elsewhere"):
        omniview.score(folder, "s3://bucket/out", task="polyp", omnimodel="none")
    assert {path.name for path in tmp_path.iterdir()} == {"set"}


def test_whoever_does_a_case_finds_its_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is named from here is found from elsewhere, too; an address stays as it is."""
    monkeypatch.chdir(folder / "images")
    planned = plan(Path(".."), Settings(omnimodel="none"), truth=Path("../masks"), task="polyp")
    whole = plan(folder, Settings(omnimodel="none"), truth=folder / "masks", task="polyp")
    assert planned.pairing == whole.pairing
    assert all(path.is_absolute() for pair in planned.pairing.pairs for path in pair.files)


def test_makers_are_told_apart_by_what_they_make() -> None:
    """A worker process builds models once for each choice of settings."""
    one, same = ComposerOf(Settings(views=1)), ComposerOf(Settings(views=1))
    assert one == same
    assert hash(one) == hash(same)
    assert one != ComposerOf(Settings(views=2))


def test_threads_do_not_make_another_run(folder: Path) -> None:
    """What changes no row does not keep a run from going on."""
    one = plan(folder, Settings(omnimodel="none", threads=1), task="polyp").deciding()
    assert one == plan(folder, Settings(omnimodel="none", threads=2, cache_mb=1), task="polyp").deciding()


def test_another_precision_makes_another_run(folder: Path) -> None:
    """Eight bits change rows a little, be they asked for, or taken because the machine is another."""
    full, other = (
        plan(folder, Settings(omnimodel="none", precision=precision), task="polyp").deciding()
        for precision in ("fp32", "auto")
    )
    assert full["settings"]["precision"] != other["settings"]["precision"]
    assert (full["precision"], other["precision"]) == ("fp32", precision_here("auto", "auto"))


def test_the_door_costs_nothing_unopened() -> None:
    """`import omniview` brings neither Qt nor models; what it does not have is said as usual."""
    code = (
        "import sys, omniview\n"
        "assert not {'omniview.scoring', 'PyQt6', 'onnxruntime', 'numpy'} & set(sys.modules)\n"
        "omniview.score\n"
        "assert not {'PyQt6', 'torch', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = omniview.nothing

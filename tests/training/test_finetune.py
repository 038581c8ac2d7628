from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from omniview.core.quality_head import SIGNS
from omniview.errors import InputError, OutputError, SettingsError
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.install import install
from omniview.settings import Settings, home
from omniview.training.dataset import Example, load
from omniview.training.examine import Examiner, Verdict, foretold, novelty_after, quality_after
from omniview.training.finetune import _why_not, finetune
from omniview.training.finetune_wish import Stand, Wish, usual_steps
from omniview.training.finetuned import Curve, write_card_of, write_report
from omniview.training.from_onnx import restore
from omniview.training.held_out import Gain, folds_of, key_of, measure_gain
from omniview.training.recipes import RECIPES
from tests.training.folders import write_folder
from tests.training.parents import write_parent

STEPS = Wish(parts="all", steps=40)


def example(name: str, group: str = "") -> Example:
    """A case of which only name and group matter."""
    blank = np.zeros((4, 4), np.uint8)
    return Example(name, "own", np.zeros((4, 4, 3), np.uint8), blank, None, group)


def own_masks(folder: Path, count: int, *, dark: bool) -> Path:
    """A person's folder without split.csv: bright discs, or with ``dark`` dark ones on bright ground."""
    write_folder(folder, {"train": count})
    (folder / "split.csv").unlink()
    if dark:
        for path in (folder / "images").iterdir():
            with PillowImage.open(path) as file:
                pixels = 235 - np.asarray(file)
            PillowImage.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> SpecialistCard:
    """A specialist that knows bright discs."""
    return write_parent(tmp_path_factory.mktemp("parent"))


@pytest.fixture(scope="module")
def written(parent: SpecialistCard, tmp_path_factory: pytest.TempPathFactory) -> tuple[SpecialistCard, Gain]:
    """What is written of a network that was found better on eight masks; here it is the parent's own."""
    root = tmp_path_factory.mktemp("written")
    folder = own_masks(root / "My Discs", 8, dark=False)
    cases = [case for split in ("train", "calibrate") for case in load([folder], split)]
    restored = restore(parent)
    examiner = Examiner(parent, restored.usual)
    verdicts = [examiner.verdict(restored.network, case) for case in cases]
    gain = measure_gain(cases, [0.5] * 8, [verdict.dice for verdict in verdicts])
    path = write_card_of(
        parent,
        replace(RECIPES["vessel"], name="discs-mine"),
        restored.network,
        root,
        usual=restored.usual,
        verdicts=verdicts,
        gain=gain,
        folders=[folder],
        facts={"parts": "all"},
        curves=[Curve("all masks", ((4, 0.5),), (), 4)],
    )
    assert str(root) not in path.read_text("utf-8")
    card = read_card(path)
    assert isinstance(card, SpecialistCard)
    return card, gain


def test_a_better_model_is_written_with_its_gain(
    parent: SpecialistCard, written: tuple[SpecialistCard, Gain]
) -> None:
    """Parent, data and held-out figures stand in the card; what was measured is kept, promises are not."""
    card, found = written
    assert card.training["from"] == {"name": "discs", "version": parent.version, "sha256": parent.sha256}
    assert (card.name, card.output, card.views) == ("discs-mine", parent.output, parent.views)
    assert {"seen", "My Discs"} == {row["name"] for row in card.data}
    gain = next(row for row in card.figures if row["metric"].startswith("gain"))
    assert (gain["n"], gain["mean"]) == (8, pytest.approx(found.mean, abs=1e-4))
    assert card.quality is not None
    assert card.quality.half_width == 1.0  # eight masks bear no promise of 90 %
    assert card.novelty is not None
    assert parent.novelty is not None
    assert card.novelty.limit >= parent.novelty.limit


def test_the_new_model_is_installed_and_chosen(written: tuple[SpecialistCard, Gain]) -> None:
    """It lies in OmniView's home, is what the settings name for its task, and can be fine-tuned itself."""
    card, _ = written
    path = install(card)
    assert path.parent == home() / "models"
    assert read_card(path).name == card.name
    assert Settings.load().specialists == {"vessel": card.name}
    assert restore(card).kind == "vessel"


def test_the_old_model_is_kept_where_nothing_is_gained(parent: SpecialistCard, tmp_path: Path) -> None:
    """Masks of what it knows bring nothing: only the report, which says why, and the curve are written."""
    folder = own_masks(tmp_path / "bright", 6, dark=False)
    told: list[Stand] = []
    outcome = finetune(parent, [folder], tmp_path / "out", wish=Wish(steps=4), report=told.append)
    assert outcome.card is None
    assert "kept" in outcome.reason
    assert outcome.reason in outcome.report.read_text("utf-8")
    ends = ("report.md", "curve.csv", "curve.svg")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"discs-bright.{end}" for end in ends}
    with (tmp_path / "out" / "discs-bright.curve.csv").open(encoding="utf-8", newline="") as file:
        assert {f"fold {k} of 4" for k in range(1, 5)} <= {row["training"] for row in csv.DictReader(file)}
    assert [stand.fraction for stand in told] == sorted(stand.fraction for stand in told)
    assert any(stand.seconds_left is not None and stand.dice is not None for stand in told)


def test_a_cancelled_one_goes_on_only_as_it_was_begun(parent: SpecialistCard, tmp_path: Path) -> None:
    """Other masks or settings are refused, so that no two fine-tunings are mixed."""
    folder = own_masks(tmp_path / "dark", 5, dark=True)
    with pytest.raises(KeyboardInterrupt):
        finetune(parent, [folder], tmp_path / "out", wish=STEPS, cancelled=lambda: True)
    assert (tmp_path / "out" / "discs-dark.parts" / "1.checkpoint").is_file()
    with pytest.raises(OutputError, match="begun with other"):
        finetune(parent, [folder], tmp_path / "out", wish=Wish(parts="adapter", steps=40))
    shutil.rmtree(folder / "images")
    with pytest.raises(InputError):
        finetune(parent, [folder], tmp_path / "out", wish=STEPS)


def test_too_few_masks_or_one_group_are_refused_in_words() -> None:
    """Below five, or all of one patient, no gain could be measured."""
    with pytest.raises(InputError, match="too few"):
        folds_of([example(str(n)) for n in range(4)], 1)
    with pytest.raises(InputError, match="one group"):
        folds_of([example(str(n), "patient") for n in range(9)], 1)


@pytest.mark.parametrize("groups", [2, 3, 5, 20])
def test_folds_keep_groups_apart(groups: int) -> None:
    """Every mask is held out once; no group stands on two sides of a fold; there is always some to learn."""
    cases = [example(str(n), f"g{n % groups}") for n in range(20)]
    folds = folds_of(cases, 3)
    assert sorted(index for fold in folds for index in fold.held_out) == list(range(20))
    for fold in folds:
        sides = [{key_of(cases[i]) for i in part} for part in (fold.train, fold.watched, fold.held_out)]
        assert fold.train
        assert sum(map(len, sides)) == len(set().union(*sides)) == groups
    assert folds == folds_of(cases, 3)


def test_the_gain_is_paired_and_its_interval_honours_groups() -> None:
    """Cases of one group count as one draw: the interval is wider than if they were independent."""
    before = np.linspace(0.5, 0.7, 12)
    after = before + np.repeat([0.1, -0.02, 0.08], 4)
    apart = measure_gain([example(str(n)) for n in range(12)], list(before), list(after))
    grouped = measure_gain([example(str(n), f"g{n // 4}") for n in range(12)], list(before), list(after))
    assert apart.mean == pytest.approx(0.16 / 3)
    assert grouped.high - grouped.low > apart.high - apart.low
    assert (apart.helped, apart.harmed, apart.better) == (8, 4, True)
    assert not measure_gain([example("a")], [0.5], [0.5]).better


def test_intervals_widen_until_they_hold_what_was_seen(parent: SpecialistCard) -> None:
    """Where the old prediction missed by more than its interval, the new one holds nine tenths of that."""
    assert parent.quality is not None
    said = parent.quality.table().predict(0.5)
    width = max(said.high - said.value, said.value - said.low)
    missing = [Verdict(min(1.0, max(0.0, said.value + 2 * width)), None, said=said)] * 20
    fields = quality_after(parent, missing)
    assert fields is not None
    assert np.all(np.asarray(fields["half_width"]) >= np.asarray(parent.quality.half_width))
    few = quality_after(parent, missing[:8])
    assert few is not None
    assert few["half_width"] == 1.0


def test_intervals_fit_the_limit_that_the_new_card_has(parent: SpecialistCard) -> None:
    """Images beyond the old limit are usual for the new card, so their misses widen its intervals."""
    assert parent.quality is not None
    assert parent.novelty is not None
    head = {"names": ["novelty"], "weights": [-1.0], "bias": 0.0, "usual": [0.0]}
    fields = {"confidence": [0.0, 1.0], "dice": [0.6, 1.0], "half_width": 0.1, "head": head}
    card = parent.model_copy(update={"quality": type(parent.quality).model_validate(fields)})
    looks = np.zeros(len(SIGNS))
    strange = 1.5 * parent.novelty.limit
    verdicts = [Verdict(0.55, strange, looks=looks)] * 20
    novelty, quality = novelty_after(card, verdicts), quality_after(card, verdicts)
    assert novelty is not None
    assert quality is not None
    assert novelty["limit"] == pytest.approx(strange, abs=1e-4)
    said = foretold(card, verdicts[0], novelty["limit"])
    assert said is not None
    assert (said.value, said.high) == pytest.approx((0.8, 0.9), abs=1e-4)
    assert quality["half_width"] == pytest.approx(0.25, abs=1e-3)  # was 0.8 +- 0.1, and missed by 0.25


def test_a_gain_of_next_to_nothing_is_none(tmp_path: Path, parent: SpecialistCard) -> None:
    """What rounds to no gain leaves the old model; a gain that may be chance is kept, and is said to be."""
    cases = [example(str(n)) for n in range(6)]
    slight = measure_gain(cases, [0.5] * 6, [0.5001, 0.5003, 0.4999, 0.5001, 0.5, 0.5002])
    assert slight.mean > 0
    assert not slight.better
    assert "no reason to change" in _why_not(slight)
    doubtful = measure_gain(cases, [0.5] * 6, [0.6, 0.62, 0.48, 0.47, 0.5, 0.5])
    assert doubtful.better
    assert doubtful.low < 0
    told = write_report(tmp_path, "discs-own", parent, doubtful, "", [])
    assert "may still be chance" in told.read_text("utf-8")


def test_what_a_kill_cut_is_begun_anew_or_said(parent: SpecialistCard, tmp_path: Path) -> None:
    """A cut file means nothing before any training; beside a checkpoint it is named, with a way out."""
    folder = own_masks(tmp_path / "dark", 5, dark=True)
    parts = tmp_path / "out" / "discs-dark.parts"
    parts.mkdir(parents=True)
    for name in ("begun.json", "steps.json"):
        (parts / name).write_text('{"card": "1', "utf-8")
    with pytest.raises(KeyboardInterrupt):
        finetune(parent, [folder], tmp_path / "out", wish=STEPS, cancelled=lambda: True)
    assert (parts / "1.checkpoint").is_file()
    assert not list(parts.glob("*.part"))
    (parts / "begun.json").write_text("", "utf-8")
    with pytest.raises(OutputError, match="damaged") as caught:
        finetune(parent, [folder], tmp_path / "out", wish=STEPS)
    assert "Remove" in caught.value.next_step
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be kept"):
        finetune(parent, [folder], tmp_path / "file", wish=STEPS)


def test_wishes_that_break_a_rule_are_refused() -> None:
    """Unknown parts and names that are no file names."""
    with pytest.raises(SettingsError, match="parts"):
        Wish(parts="brain")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="no name"):
        Wish(name="../x")
    assert usual_steps(5) < usual_steps(20) < usual_steps(400) <= 600

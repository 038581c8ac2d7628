"""Settings and cards become segmenters; what cannot run says why when it is asked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from omniview.compose import Composer, Unavailable, model_folders, own_network
from omniview.core.asking import ALWAYS, AskPolicy
from omniview.core.image import Image, Modality
from omniview.core.interpreter import Interpreter
from omniview.core.segmenter import Segmenter, asks_outside
from omniview.core.task import TASKS, Task
from omniview.errors import CardError, MissingKey, NotAllowed, OverBudget, SettingsError
from omniview.omnimodel.reply import Estimate
from omniview.settings import OpenAiSettings, Settings
from omniview.specialists.torch_specialist import TorchSpecialist
from tests.networks import write_card, write_specialist
from tests.omnimodel.sam_pairs import write_pair
from tests.torch_networks import values_of

POLYP = TASKS["polyp"]


@pytest.fixture
async def composer(own_home: Path) -> AsyncIterator[Composer]:
    """A composer with a polyp model of the user's own."""
    write_specialist(own_home / "models", "own")
    one = Composer(Settings())
    yield one
    await one.close()


async def test_a_users_model_wins_and_is_kept(composer: Composer) -> None:
    """The same segmenter comes back, so that weights are loaded once."""
    (first,) = composer.segmenters(POLYP, "none", offline=True)
    assert first.name == "own"
    assert isinstance(first, Segmenter)
    assert composer.segmenters(POLYP, "none", offline=True) == (first,)


async def test_the_files_name_says_what_runs_it(composer: Composer, own_home: Path) -> None:
    """Weights of PyTorch go to PyTorch, those of OmniView's own networks by their kind."""
    save_file(values_of(own_network("lite")), own_home / "models" / "zz.safetensors")
    write_card(own_home / "models", "zz", suffix=".safetensors", network={"kind": "lite"})
    (chosen,) = composer.segmenters(POLYP, "none", offline=True)
    assert isinstance(chosen, TorchSpecialist)
    found = await chosen.segment(Image(np.full((40, 40, 3), 90, np.uint8)), POLYP)
    assert (found.model, found.provenance.provider) == ("zz", "PyTorch CPU")


async def test_offline_builds_no_cloud_model(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key at hand, offline still gives a model that only says that it may not."""
    monkeypatch.setenv("GEMINI_API_KEY", "k" * 39)
    _, omnimodel = composer.segmenters(POLYP, "gemini", offline=True)
    assert isinstance(omnimodel, Unavailable)
    with pytest.raises(NotAllowed):
        await omnimodel.segment(Image(np.zeros((4, 4, 3), np.uint8)), POLYP)


async def test_no_key_is_said_when_asked(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a key that is set later is seen."""
    import keyring
    from keyring.backends.null import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())  # type: ignore[no-untyped-call]
    try:
        _, omnimodel = composer.segmenters(POLYP, "gemini", offline=False)
    finally:
        keyring.set_keyring(before)
    assert isinstance(omnimodel, Unavailable)
    assert isinstance(omnimodel.error, MissingKey)
    monkeypatch.setenv("GEMINI_API_KEY", "k" * 39)
    _, omnimodel = composer.segmenters(POLYP, "gemini", offline=False)
    assert not isinstance(omnimodel, Unavailable)


async def test_a_task_without_a_model_says_where_to_put_one(composer: Composer) -> None:
    """The next step names the folder."""
    (missing,) = composer.segmenters(Task("wart", Modality.DERMOSCOPY, ("wart",), "warts"), "none", True)
    assert isinstance(missing, Unavailable)
    assert isinstance(missing.error, CardError)
    assert "models" in missing.error.next_step


async def test_an_unknown_omnimodel_is_refused(composer: Composer) -> None:
    """A typing error is not taken for "none"."""
    with pytest.raises(SettingsError, match="oracle"):
        composer.segmenters(POLYP, "oracle", offline=True)


async def test_a_broken_card_takes_no_other_model_away(composer: Composer, own_home: Path) -> None:
    """One damaged card in the user's folder is that card's problem."""
    (own_home / "models" / "zz.toml").write_text("= broken")
    (model,) = composer.segmenters(POLYP, "none", offline=True)
    assert model.name == "own"


async def test_the_shipped_models_are_complete() -> None:
    """Every task has a specialist, there is a generalist, and each gives a mask of a phantom's size."""
    shipped = Composer(Settings(views=1, device="cpu", threads=1))
    try:
        for task in shipped.tasks().values():
            for model in shipped.segmenters(task, "builtin", offline=True):
                image = Image(np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8))
                prediction = await asyncio.wait_for(model.segment(image, task), 60)
                assert prediction.probability.shape == (1, 120, 160)
                assert prediction.quality is not None
    finally:
        await shipped.close()


def test_shipped_cards_are_in_the_first_folder(own_home: Path) -> None:
    """What ships comes first, so that the user's own can replace it."""
    shipped, own = model_folders()
    assert shipped.name == "models"
    assert own == own_home / "models"


async def test_new_settings_build_new_models(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `use` the segmenters follow the new settings; the old ones are still closed at the end."""
    (before,) = composer.segmenters(POLYP, "none", offline=True)
    closed: list[str] = []

    async def close() -> None:
        closed.append("before")

    monkeypatch.setattr(type(before), "close", lambda _self: close())
    composer.use(Settings(views=2))
    (after,) = composer.segmenters(POLYP, "none", offline=True)
    assert after is not before
    assert (await after.segment(Image(np.full((32, 32, 3), 90, np.uint8)), POLYP)).model == "own"
    await composer.close()
    assert closed == ["before", "before"]  # one for each


async def test_models_that_listen_to_clicks_are_handed_out(composer: Composer, own_home: Path) -> None:
    """The same object that analyses; SAM only where somebody put a pair; a cloud and `none` do not listen."""
    generalist = composer.prompted(POLYP, "builtin")
    assert generalist is not None
    assert generalist is composer.segmenters(POLYP, "builtin", offline=False)[1]
    assert composer.prompted(POLYP, "gemini") is None
    assert composer.prompted(POLYP, "none") is None
    with pytest.raises(CardError, match="sam"):
        composer.prompted(POLYP, "sam")
    write_pair(own_home / "models", "mobile")
    other = Composer(Settings())
    try:
        listening = other.prompted(POLYP, "sam")
        assert listening is other.segmenters(POLYP, "sam", offline=True)[1]
        assert listening is not None
        assert listening.name == "tiny-mobile"
    finally:
        await other.close()


async def test_a_server_of_ones_own_is_composed_without_a_key(composer: Composer) -> None:
    """OpenAI itself wants one; offline neither is built."""
    _, openai = composer.segmenters(POLYP, "openai", offline=False)
    assert isinstance(openai, Unavailable)
    assert isinstance(openai.error, MissingKey)
    assert openai.asks_outside
    composer.use(Settings(openai=OpenAiSettings(base_url="http://127.0.0.1:11434/v1", model="llava")))
    _, own = composer.segmenters(POLYP, "openai", offline=False)
    assert own.name == "llava"
    _, offline = composer.segmenters(POLYP, "openai", offline=True)
    assert isinstance(offline, Unavailable)


async def test_only_omnimodels_with_words_are_asked_questions(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever else is named is told who can talk; offline and without a key nobody can."""
    with pytest.raises(MissingKey):
        composer.interpreter("gemini", offline=False)
    monkeypatch.setenv("GEMINI_API_KEY", "k" * 39)
    talking = composer.interpreter("gemini", offline=False)
    assert isinstance(talking, Interpreter)
    assert talking.name == Settings().gemini.model
    await talking.close()
    with pytest.raises(NotAllowed):
        composer.interpreter("gemini", offline=True)
    for name in ("builtin", "sam", "none"):
        with pytest.raises(SettingsError, match="cannot talk"):
            composer.interpreter(name, offline=False)
    with pytest.raises(SettingsError, match="oracle"):
        composer.interpreter("oracle", offline=False)


async def test_the_rule_when_to_ask_concerns_clouds_alone(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloud is one even while it cannot run; what runs here is none; new settings change the rule."""
    assert composer.policy() == ALWAYS
    monkeypatch.setenv("GEMINI_API_KEY", "k" * 39)
    for omnimodel, offline, outside in (
        ("gemini", False, True),
        ("gemini", True, True),
        ("openai", True, True),
        ("builtin", False, False),
    ):
        specialist, second = composer.segmenters(POLYP, omnimodel, offline)
        assert not asks_outside(specialist)
        assert asks_outside(second) is outside
    composer.use(Settings().changed(ask={"when": "doubtful", "below": 0.6}))
    assert composer.policy() == AskPolicy("doubtful", 0.6)


async def test_new_settings_change_the_cap_and_not_what_was_spent(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A raised cap lets the same session go on where it stopped."""
    budget = composer._budget
    (await budget.reserve("m", Estimate(0.0, 0.4, 0.4))).settle(0.4)
    composer.use(Settings().changed(budget={"session": 0.5}))
    with pytest.raises(OverBudget):
        await budget.reserve("m", Estimate(0.0, 0.4, 0.4))
    composer.use(Settings().changed(budget={"session": 1.0}))
    (await budget.reserve("m", Estimate(0.0, 0.4, 0.4))).settle(0.4)
    assert composer.spent().session == pytest.approx(0.8)


WARM = """
import sys
from omniview.compose import Composer
from omniview.settings import Settings
composer = Composer(Settings())
for omnimodel, offline in (("builtin", False), ("gemini", True), ("none", False)):
    composer.warm(omnimodel, offline)
assert "google.genai" not in sys.modules
composer.warm("gemini", False)
assert "google.genai" in sys.modules
"""


def test_warming_loads_a_cloud_and_nothing_else(own_home: Path) -> None:
    """The SDK is loaded for the omnimodel that was chosen, and never offline."""
    environment = {**os.environ, "GEMINI_API_KEY": "k" * 39}
    subprocess.run([sys.executable, "-c", WARM], env=environment, check=True)

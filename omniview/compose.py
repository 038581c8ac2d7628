"""Settings + cards -> segmenters: the one place that knows every kind of model.

The app, the command line and batch workers call it and hand the result on, so that nothing below imports it.
A model that cannot run (no key, offline, a broken card) still becomes a segmenter, one that says so when
asked: what is missing is always shown, and the other model goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, get_args

from omniview import resources
from omniview.core.asking import AskPolicy
from omniview.core.image import Image
from omniview.core.interpreter import Interpreter
from omniview.core.prediction import Prediction, Role
from omniview.core.recognise import Recogniser
from omniview.core.segmenter import Prompted, Segmenter
from omniview.core.task import TASKS, Task
from omniview.errors import CardError, NotAllowed, OmniViewError, SettingsError
from omniview.inference.card import Card, Cards, GeneralistCard, SpecialistCard, find_cards
from omniview.inference.network_spec import NetworkKind, is_torch
from omniview.inference.sam_card import SamCard
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.asking import CloudSegmenter
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.budget import Budget, Caps
from omniview.omnimodel.cache import AnswerCache
from omniview.omnimodel.calls import Calls
from omniview.omnimodel.clouds import CLOUDS, cloud_calls, key_wanted, style_of, title_of
from omniview.omnimodel.interpret import CloudInterpreter
from omniview.omnimodel.ledger import Spent
from omniview.omnimodel.prices import PriceTable
from omniview.omnimodel.promptable import BuiltinGeneralist
from omniview.omnimodel.sam import SamSegmenter
from omniview.settings import Omnimodel, Settings, api_key, home
from omniview.specialists.onnx_specialist import OnnxSpecialist
from omniview.specialists.torch_specialist import TorchSpecialist

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Composer", "Unavailable", "model_folders", "own_network", "policy_of"]

_LISTENING = ("builtin", "sam")
"""Omnimodels that run here and answer to clicks: offline or not is the same to them."""


def model_folders() -> tuple[Path, ...]:
    """Where model cards are looked for: what ships with OmniView, then the user's own."""
    return resources.path("models"), home() / "models"


def own_network(kind: NetworkKind) -> nn.Module:
    """One of OmniView's own networks without its weights, which a `.safetensors` holds."""
    from omniview.training.specialist import build

    return build(kind, pretrained=False)


def policy_of(settings: Settings) -> AskPolicy:
    """When an omnimodel outside of this machine is asked at all."""
    return AskPolicy(settings.ask.when, settings.ask.below)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A model that cannot run, with the reason: asked for a mask, it raises that.

    Attributes:
        name: its name.
        role: which side of the fusion it would take.
        error: the reason.
        asks_outside: whether the person's rule about asking applies to it, as if it could run.
    """

    name: str
    role: Role
    error: OmniViewError
    asks_outside: bool = False

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """Raise the reason."""
        raise self.error

    async def close(self) -> None:
        """Nothing is held."""


class Composer:
    """Builds segmenters on demand and keeps them until `close`; safe to call from several threads.

    Args:
        settings: what the person has chosen.
        consent: whether `--consent` was given, so that pixels may leave for this session.
        session: a name that composers give which share one session's spending cap, as the workers of a batch
            do; None: a session of its own.
    """

    def __init__(self, settings: Settings, *, consent: bool = False, session: str | None = None) -> None:
        self._settings = settings
        self._consent = consent
        self._budget = Budget(home(), _caps(settings), session=session)
        self._thread = InferenceThread()
        self._built: dict[tuple[str, ...], Segmenter] = {}
        self._retired: list[Segmenter] = []
        self._cards: Cards | None = None
        self._recogniser: Recogniser | None = None
        self._lock = Lock()

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._settings

    def use(self, settings: Settings) -> None:
        """Build segmenters as `settings` say from now on; what is at work ends as it began."""
        with self._lock:
            self._settings = settings
            self._budget.caps = _caps(settings)
            self._retired += self._built.values()
            self._built = {}
            self._cards = None  # another model may have been installed

    def policy(self) -> AskPolicy:
        """When an omnimodel outside of this machine is asked at all."""
        return policy_of(self._settings)

    def spent(self) -> Spent:
        """What omnimodels have cost so far. Blocks for a moment.

        Raises:
            OutputError: the record of it cannot be read.
        """
        return self._budget.spent()

    def tasks(self) -> Mapping[str, Task]:
        """The tasks that can be chosen."""
        return TASKS

    def omnimodels(self) -> tuple[str, ...]:
        """The omnimodels that can be chosen."""
        return get_args(Omnimodel)

    def recognise(self, image: Image) -> Task | None:
        """The task that an image belongs to, or None if that is not clear."""
        with self._lock:
            if self._recogniser is None:
                text = resources.path("recognise.json").read_text("utf-8")
                self._recogniser = Recogniser.from_json(json.loads(text))
            recogniser = self._recogniser
        name = recogniser.recognise(image).task
        return None if name is None else self.tasks()[name]

    def segmenters(self, task: Task, omnimodel: str, offline: bool) -> tuple[Segmenter, ...]:
        """The specialist of `task`, and the omnimodel of that name unless it is "none".

        Raises:
            SettingsError: there is no omnimodel of that name.
        """
        builders: Mapping[str, Callable[[], Segmenter]] = {
            "builtin": self._generalist,
            "sam": self._sam,
            **{name: partial(self._cloud, name, offline) for name in CLOUDS},
        }
        if omnimodel != "none" and omnimodel not in builders:
            raise SettingsError(
                f"There is no omnimodel {omnimodel!r}.", f"Choose one of {', '.join(self.omnimodels())}."
            )
        chosen = [self._get(("specialist", task.name), "specialist", lambda: self._specialist(task))]
        if omnimodel != "none":
            key = (omnimodel,) if omnimodel in _LISTENING else (omnimodel, str(offline))
            chosen.append(self._get(key, "omnimodel", builders[omnimodel]))
        return tuple(chosen)

    def warm(self, omnimodel: str, offline: bool) -> None:
        """Load what a cloud omnimodel needs, so that its first question holds up no window.

        Blocks for a second: call it in a thread, before a window's loop runs. Opens no connection, and does
        nothing offline or for omnimodels that run here.
        """
        if omnimodel in CLOUDS and not offline:
            build = partial(self._cloud, omnimodel, offline)
            chosen = self._get((omnimodel, str(offline)), "omnimodel", build)
            if isinstance(chosen, CloudSegmenter):
                chosen.warm()

    def listening(self) -> tuple[str, ...]:
        """The omnimodels that can be shown clicks and boxes."""
        return _LISTENING

    def prompted(self, task: Task, omnimodel: str) -> Prompted | None:
        """The omnimodel of that name, if it is one that listens to clicks and boxes; else None.

        Raises:
            OmniViewError: it would listen, but cannot run; why.
        """
        if omnimodel not in _LISTENING:
            return None
        chosen = self.segmenters(task, omnimodel, offline=True)[-1]
        if isinstance(chosen, Unavailable):
            raise chosen.error
        return chosen if isinstance(chosen, Prompted) else None

    def interpreter(self, omnimodel: str, offline: bool) -> Interpreter:
        """The omnimodel of that name, to be asked in words; to be closed by whoever asked for it.

        Raises:
            NotAllowed: offline.
            MissingKey: it needs a key and there is none.
            SettingsError: it cannot talk, or there is none of that name.
        """
        if omnimodel in CLOUDS:
            return CloudInterpreter(self._calls(omnimodel, offline))
        talkers = " or ".join(CLOUDS)
        if omnimodel in self.omnimodels():
            raise SettingsError(
                f"The omnimodel {omnimodel!r} cannot talk: it outlines, but has no words.",
                f"Ask {talkers} (--omnimodel), or your own server through openai.",
            )
        raise SettingsError(f"There is no omnimodel {omnimodel!r}.", f"Choose {talkers}.")

    async def close(self) -> None:
        """Close every segmenter and end the inference thread."""
        built, self._built, self._retired = (*self._built.values(), *self._retired), {}, []
        for segmenter in built:
            await segmenter.close()
        self._thread.close()

    def _get(self, key: tuple[str, ...], role: Role, build: Callable[[], Segmenter]) -> Segmenter:
        with self._lock:
            if key not in self._built:
                try:
                    self._built[key] = build()
                except OmniViewError as error:
                    name = key[-1] if role == "specialist" else key[0]
                    return Unavailable(name, role, error, asks_outside=name in CLOUDS)
            return self._built[key]

    def _find(self, matches: Callable[[Card], bool], what: str) -> Card:
        if self._cards is None:
            self._cards = find_cards(model_folders())
        # the user's own cards come last, and win
        found: Sequence[Card] = [card for card in self._cards.cards if matches(card)]
        if not found:
            problems = " ".join(problem.message for problem in self._cards.problems)
            raise CardError(
                f"No model is installed for {what}. {problems}".strip(),
                f"Put a card and its weights into {home() / 'models'}.",
            )
        return found[-1]

    def _specialist(self, task: Task) -> Segmenter:
        chosen = self._settings
        name = chosen.specialists.get(task.name)
        card = self._find(
            lambda c: isinstance(c, SpecialistCard) and c.task == task.name and name in (None, c.name),
            f"the task {task.name}" + ("" if name is None else f" by the name {name} (your choice)"),
        )
        assert isinstance(card, SpecialistCard)
        run = partial(TorchSpecialist, build=own_network) if is_torch(card.weights) else OnnxSpecialist
        return run(
            card,
            self._thread,
            device=chosen.device,
            precision=chosen.precision,
            threads=chosen.threads,
            views=chosen.views,
            view_seconds=chosen.view_seconds or None,
        )

    def _generalist(self) -> Segmenter:
        card = self._find(lambda c: isinstance(c, GeneralistCard), "the built-in generalist")
        assert isinstance(card, GeneralistCard)
        chosen = self._settings
        return BuiltinGeneralist(card, self._thread, device=chosen.device, threads=chosen.threads)

    def _sam(self) -> Segmenter:
        card = self._find(lambda c: isinstance(c, SamCard), "the omnimodel sam (none ships with OmniView)")
        assert isinstance(card, SamCard)
        chosen = self._settings
        return SamSegmenter(card, self._thread, device=chosen.device, threads=chosen.threads)

    def _cloud(self, name: str, offline: bool) -> Segmenter:
        settings = self._settings
        return CloudSegmenter(
            self._calls(name, offline),
            answers=settings.answers,
            style=style_of(name, settings),
            informed=settings.ask.informed,
        )

    def _calls(self, name: str, offline: bool) -> Calls:
        if offline:
            raise NotAllowed(
                "OmniView is offline, nothing was sent.", f"Switch Offline off to ask {title_of(name)}."
            )
        settings = self._settings
        wanted = key_wanted(name, settings)
        if wanted is not None and api_key(name) is None:
            raise wanted
        return cloud_calls(
            name,
            settings,
            api_key,
            airlock=Airlock(home(), offline=offline, consent_given=self._consent, settings=settings.airlock),
            audit=Audit(home()),
            prices=PriceTable.load(home()),
            purse=self._budget,
            answers=AnswerCache(home(), settings.cache_mb) if settings.cache_mb else None,
        )


def _caps(settings: Settings) -> Caps:
    return Caps(settings.budget.session, settings.budget.daily)

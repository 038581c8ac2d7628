"""The built-in generalist: a second opinion where no cloud may be asked, and a tool that listens to clicks.

One promptable network for all tasks, in two halves: the encoder looks at the image once, the decoder answers
from what the encoder kept. Prompts go to a third network, for the tasks that the card says, which sees image,
clicks and the mask so far together: first the whole image, then once more close up. It plays the omnimodel's
part and says so in its name; it is no cloud model.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TypeVar

import numpy as np

from omniview.core.geometry import Placement, View, letterbox, stretch
from omniview.core.guidance import Guidance
from omniview.core.image import Array, FloatArray, Image, UInt8Array
from omniview.core.prediction import EDGE, Prediction, Provenance, Role
from omniview.core.task import Task
from omniview.core.uncertainty import mean_and_spread, temper
from omniview.errors import CardError, InferenceError, WeightsError
from omniview.inference.card import GeneralistCard, OutputSpec, PromptedSpec
from omniview.inference.session import Session, open_session
from omniview.inference.tensors import to_nchw
from omniview.inference.weights import verified
from omniview.inference.worker import InferenceThread, Ticket
from omniview.omnimodel.close_look import close_window, obeyed, within
from omniview.settings import Device

__all__ = ["BuiltinGeneralist", "Guidance"]

_PLACED = {"letterbox": letterbox, "stretch": stretch}
_KEPT = 8
"""Images whose features and unprompted answers are kept: going back to one of them costs no second look."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Networks:
    """The networks, loaded."""

    encoder: Session
    decoder: Session
    clicks: Session | None

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.encoder.outputs)


class BuiltinGeneralist:
    """Runs the built-in generalist. Weights are loaded at first use, in the inference thread.

    Args:
        card: its model card.
        thread: the inference thread, shared by all local models.
        device: where to run it, as `open_session` has it.
        threads: CPU threads of one run; 0 leaves one core free.
    """

    name = "built-in generalist (stand-in for a cloud omnimodel)"
    role: Role = "omnimodel"

    def __init__(
        self,
        card: GeneralistCard,
        thread: InferenceThread,
        *,
        device: Device = "auto",
        threads: int = 0,
    ) -> None:
        if card.input.geometry not in _PLACED:
            raise CardError(
                f"The card {card.name} says geometry {card.input.geometry!r}.",
                "A generalist sees the whole image: use letterbox or stretch.",
            )
        self.card = card
        self._thread = thread
        self._device = device
        self._threads = threads
        self._views = {task: tuple(map(View.parse, card.views_of(task))) for task in card.tasks}
        self._click_views = tuple(View.parse(name) for name in card.clicks.views.names) if card.clicks else ()
        self._networks: _Networks | None = None
        self._seen: OrderedDict[str, dict[str, Mapping[str, Array]]] = OrderedDict()
        self._unprompted: OrderedDict[str, list[FloatArray]] = OrderedDict()

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """A probability map without any prompt; mean and spread over the views.

        Raises:
            ModelError: it does not know the task, its weights are missing or changed, or the run failed.
        """
        return await self.segment_prompted(image, task, Guidance())

    async def segment_prompted(self, image: Image, task: Task, guidance: Guidance) -> Prediction:
        """A probability map as `guidance` shows. The image is encoded once, however often it is asked about.

        Pass all clicks so far, and as `prior` the probability that the person saw when the last of them was
        made, whichever model it came from: the last answer from the second click on. Without a prior, the
        answer that this network gives unprompted takes its place. Every click is obeyed at its own pixel.
        The predicted quality was calibrated without prompts, so there is none with them.

        Raises:
            ModelError: it does not know the task, its weights are missing or changed, or the run failed.
            ValueError: the prior has another shape than the image.
        """
        return await self._thread.run(lambda ticket: self._segment(image, task, guidance, ticket))

    async def close(self) -> None:
        """Let go of the networks and of what they remember."""
        self._networks = None
        self._seen.clear()
        self._unprompted.clear()

    def _segment(self, image: Image, task: Task, guidance: Guidance, ticket: Ticket) -> Prediction:
        start = perf_counter()
        if task.name not in self.card.tasks or len(task.labels) != 1:
            raise InferenceError(
                f"The built-in generalist was not trained for the task {task.name}.",
                f"It knows {', '.join(self.card.tasks)}; choose another omnimodel.",
            )
        networks = self._open()
        ticket.check()
        rgb = image.rgb8()
        prompted = self.card.tasks[task.name].prompted
        if guidance.empty or networks.clicks is None or prompted is None:
            mean, spread = self._decode(networks, rgb, task, guidance, ticket)
            views = self._views[task.name]
        else:
            if guidance.prior is None:
                unprompted, _ = self._decode(networks, rgb, task, Guidance(), ticket)
                guidance = replace(guidance, prior=unprompted[0])
            mean, spread = self._follow(networks.clicks, prompted, rgb, task, guidance, ticket)
            views = self._click_views
        one_thing = prompted is not None and prompted.close is not None
        mean = obeyed(mean[0], guidance, whole=one_thing)[None]
        table = self.card.tasks[task.name].quality
        judged = None if table is None or not guidance.empty else table.judge(mean, spread)
        return Prediction(
            model=self.name,
            role=self.role,
            probability=mean,
            spread=spread,
            quality=judged,
            seconds=perf_counter() - start,
            provenance=Provenance(
                provider=networks.decoder.provider,
                fallback=networks.encoder.fallback,
                weights_sha256=" ".join(digest for _, digest in self.card.files()),
                model_id=self.card.name,
                model_version=self.card.version,
                views=len(views),
            ),
        )

    def _open(self) -> _Networks:
        if self._networks is None:
            encoder, decoder, *more = (
                open_session(
                    verified(self.card.folder / name, sha256), device=self._device, threads=self._threads
                )
                for name, sha256 in self.card.files()
            )
            if set(decoder.inputs) != {*encoder.outputs, "prompts", "task"} or len(encoder.inputs) != 1:
                raise WeightsError(
                    f"The halves of {self.card.name} do not fit: the encoder gives "
                    f"{', '.join(encoder.outputs)}, the decoder takes {', '.join(decoder.inputs)}.",
                    "Export both from one training.",
                )
            clicks = more[0] if more else None
            if clicks is not None and set(clicks.inputs) != {"image", "prompts", "task"}:
                raise WeightsError(
                    f"The click network of {self.card.name} takes {', '.join(clicks.inputs)}.",
                    "Export it with the inputs image, prompts and task.",
                )
            self._networks = _Networks(encoder, decoder, clicks)
        return self._networks

    def _decode(
        self, networks: _Networks, rgb: UInt8Array, task: Task, guidance: Guidance, ticket: Ticket
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and spread (1,Y,X) over the views of both halves' answers."""
        pixels, placement = self._placed(rgb)
        picture = hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()
        key = f"{picture} {task.name}"
        maps = self._unprompted.get(key) if guidance.empty else None
        if maps is None:
            prompts = guidance.maps(placement, self.card.prompt.click_sigma)
            spec = self.card.tasks[task.name]
            maps = []
            # a click network looks for itself: nobody asks for these features again
            again = networks.clicks is None or spec.prompted is None
            views = self._views[task.name]
            for view, features in self._features(networks, pixels, picture, views, ticket, again=again):
                feeds = {**features, **self._told(view, prompts, task)}
                maps.append(self._probability(networks.decoder, feeds, view, spec, ticket))
            if guidance.empty:
                _keep(self._unprompted, key, maps, _KEPT)
        return _restored(maps, placement)

    def _follow(
        self,
        clicks: Session,
        spec: PromptedSpec,
        rgb: UInt8Array,
        task: Task,
        guidance: Guidance,
        ticket: Ticket,
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and spread (1,Y,X) of the click network: the whole image, then what it found close up."""
        mean, spread = self._look(clicks, spec, rgb, task, guidance, ticket)
        window = None if spec.close is None else close_window(mean[0] > EDGE, guidance, spec.close)
        if window is not None:
            rows, columns = window.slices
            told = within(guidance, window, mean[0])
            part = self._look(clicks, spec, rgb[rows, columns], task, told, ticket)
            mean[:, rows, columns], spread[:, rows, columns] = part
        return mean, spread

    def _look(
        self,
        clicks: Session,
        spec: PromptedSpec,
        rgb: UInt8Array,
        task: Task,
        guidance: Guidance,
        ticket: Ticket,
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and spread (1,Y,X) over the views of the click network's answers to these pixels."""
        pixels, placement = self._placed(rgb)
        prompts = guidance.maps(placement, self.card.prompt.click_sigma)
        maps = []
        for view in self._click_views:
            seen = to_nchw(view.apply(pixels[None]), self.card.input)
            feeds = {"image": seen, **self._told(view, prompts, task)}
            maps.append(self._probability(clicks, feeds, view, spec, ticket))
        return _restored(maps, placement)

    def _placed(self, rgb: UInt8Array) -> tuple[UInt8Array, Placement]:
        spec = self.card.input
        return _PLACED[spec.geometry](rgb, spec.size)

    def _told(self, view: View, prompts: FloatArray, task: Task) -> dict[str, Array]:
        """What both networks are told beside the image: prompts (h,w,4) through `view`, and the task."""
        seen = view.apply(prompts[None]).transpose(0, 3, 1, 2)
        onehot = np.array([[name == task.name for name in self.card.tasks]], np.float32)
        return {"prompts": np.ascontiguousarray(seen), "task": onehot}

    def _probability(
        self, session: Session, feeds: Mapping[str, Array], view: View, spec: OutputSpec, ticket: Ticket
    ) -> FloatArray:
        """(1,h,w) calibrated probability, turned back onto the network's input."""
        raw = ticket.run(session, feeds)[0]
        if raw.ndim != 4 or raw.shape[:2] != (1, 1) or not np.isfinite(raw).all():
            raise InferenceError(
                f"The output of {self.card.name} is {raw.shape} or not finite.", "Check the model."
            )
        return view.inverse(temper(raw[0], spec.temperature, spec.threshold))

    def _features(
        self,
        networks: _Networks,
        pixels: UInt8Array,
        picture: str,
        views: Sequence[View],
        ticket: Ticket,
        *,
        again: bool,
    ) -> Iterable[tuple[View, Mapping[str, Array]]]:
        """What the encoder makes of each view; kept, if it may be asked for again, by picture and view."""
        (name,) = networks.encoder.inputs
        kept: dict[str, Mapping[str, Array]] = {}
        if again:
            kept = self._seen.get(picture, kept)
            _keep(self._seen, picture, kept, _KEPT)
        for view in views:
            if view.name not in kept:
                ticket.check()
                feeds = {name: to_nchw(view.apply(pixels[None]), self.card.input)}
                found = ticket.run(networks.encoder, feeds)
                kept[view.name] = dict(zip(networks.features, found, strict=True))
            yield view, kept[view.name]


def _keep(store: OrderedDict[str, T], key: str, value: T, most: int) -> None:
    """Put `value` last and drop the oldest beyond `most`."""
    store[key] = value
    store.move_to_end(key)
    while len(store) > most:
        store.popitem(last=False)


def _restored(maps: Sequence[FloatArray], placement: Placement) -> tuple[FloatArray, FloatArray]:
    mean, spread = (np.clip(placement.inverse(m), 0, 1) for m in mean_and_spread(np.stack(maps)))
    return mean, spread

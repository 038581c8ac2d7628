"""The built-in generalist: a second opinion where no cloud may be asked, and a tool that listens to clicks.

One promptable network for all tasks, in two halves: the encoder looks at the image once, the decoder answers
to each new prompt from what the encoder kept. It plays the omnimodel's part and says so in its name; it is no
cloud model.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import numpy as np

from omniview.core.geometry import Placement, View, letterbox, stretch
from omniview.core.guidance import Guidance
from omniview.core.image import Array, FloatArray, Image, UInt8Array
from omniview.core.prediction import Prediction, Provenance, Role
from omniview.core.task import Task
from omniview.core.uncertainty import mean_and_spread, temper
from omniview.errors import CardError, InferenceError, WeightsError
from omniview.inference.card import GeneralistCard
from omniview.inference.session import Session, open_session
from omniview.inference.tensors import to_nchw
from omniview.inference.weights import verified
from omniview.inference.worker import InferenceThread, Ticket

__all__ = ["BuiltinGeneralist", "Guidance"]

_PLACED = {"letterbox": letterbox, "stretch": stretch}
_KEPT = 8
"""Images whose features are kept: going back to one of them costs no second look."""


@dataclass(frozen=True, slots=True, eq=False)
class _Halves:
    """The two networks, loaded."""

    encoder: Session
    decoder: Session

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.encoder.outputs)


class BuiltinGeneralist:
    """Runs the built-in generalist. Weights are loaded at first use, in the inference thread.

    Args:
        card: its model card.
        thread: the inference thread, shared by all local models.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads of one run; 0 leaves one core free.
    """

    name = "built-in generalist (stand-in for a cloud omnimodel)"
    role: Role = "omnimodel"

    def __init__(
        self,
        card: GeneralistCard,
        thread: InferenceThread,
        *,
        device: Literal["auto", "cpu", "cuda"] = "auto",
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
        self._views = tuple(View.parse(name) for name in card.views.names)
        self._halves: _Halves | None = None
        self._seen: OrderedDict[str, Mapping[str, Array]] = OrderedDict()

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """A probability map without any prompt; mean and spread over the views.

        Raises:
            ModelError: it does not know the task, its weights are missing or changed, or the run failed.
        """
        return await self.segment_prompted(image, task, Guidance())

    async def segment_prompted(self, image: Image, task: Task, guidance: Guidance) -> Prediction:
        """A probability map as `guidance` shows. The image is encoded once, however often it is asked about.

        The predicted quality was calibrated without prompts, so there is none with them.

        Raises:
            ModelError: it does not know the task, its weights are missing or changed, or the run failed.
        """
        return await self._thread.run(lambda ticket: self._segment(image, task, guidance, ticket))

    async def close(self) -> None:
        """Let go of the networks and of what they remember."""
        self._halves = None
        self._seen.clear()

    def _segment(self, image: Image, task: Task, guidance: Guidance, ticket: Ticket) -> Prediction:
        start = perf_counter()
        if task.name not in self.card.tasks or len(task.labels) != 1:
            raise InferenceError(
                f"The built-in generalist was not trained for the task {task.name}.",
                f"It knows {', '.join(self.card.tasks)}; choose another omnimodel.",
            )
        halves = self._open()
        ticket.check()
        spec = self.card.input
        pixels, placement = _PLACED[spec.geometry](image.rgb8(), spec.size)
        maps = self._decode(halves, pixels, placement, task, guidance, ticket)
        mean, spread = (np.clip(placement.inverse(m), 0, 1) for m in mean_and_spread(maps))
        table = self.card.tasks[task.name].quality
        judged = None if table is None or not guidance.empty else table.table().judge(mean)
        return Prediction(
            model=self.name,
            role=self.role,
            probability=mean,
            spread=spread,
            quality=judged,
            seconds=perf_counter() - start,
            provenance=Provenance(
                provider=halves.decoder.provider,
                fallback=halves.encoder.fallback,
                weights_sha256=f"{self.card.encoder_sha256} {self.card.decoder_sha256}",
                model_id=self.card.name,
                model_version=self.card.version,
                views=len(self._views),
            ),
        )

    def _open(self) -> _Halves:
        if self._halves is None:
            encoder, decoder = (
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
            self._halves = _Halves(encoder, decoder)
        return self._halves

    def _decode(
        self,
        halves: _Halves,
        pixels: UInt8Array,
        placement: Placement,
        task: Task,
        guidance: Guidance,
        ticket: Ticket,
    ) -> FloatArray:
        """(V,1,h,w) calibrated probabilities of all views, turned back onto the network's input."""
        prompts = guidance.maps(placement, self.card.prompt.click_sigma)
        onehot = np.array([[name == task.name for name in self.card.tasks]], np.float32)
        spec = self.card.tasks[task.name]
        out = []
        for view, features in self._features(halves, pixels, ticket):
            seen = view.apply(prompts[None]).transpose(0, 3, 1, 2)
            feeds = {**features, "prompts": np.ascontiguousarray(seen), "task": onehot}
            raw = ticket.run(halves.decoder, feeds)[0]
            if raw.ndim != 4 or raw.shape[:2] != (1, 1) or not np.isfinite(raw).all():
                raise InferenceError(
                    f"The output of {self.card.name} is {raw.shape} or not finite.", "Check the model."
                )
            out.append(view.inverse(temper(raw[0], spec.temperature, spec.threshold)))
        return np.stack(out)

    def _features(
        self, halves: _Halves, pixels: UInt8Array, ticket: Ticket
    ) -> Iterable[tuple[View, Mapping[str, Array]]]:
        """What the encoder makes of each view; kept, by the pixels themselves, for the next prompt."""
        picture = hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()
        (name,) = halves.encoder.inputs
        for view in self._views:
            key = f"{picture} {view.name}"
            if key not in self._seen:
                ticket.check()
                feeds = {name: to_nchw(view.apply(pixels[None]), self.card.input)}
                features = ticket.run(halves.encoder, feeds)
                self._seen[key] = dict(zip(halves.features, features, strict=True))
                while len(self._seen) > _KEPT * len(self._views):
                    self._seen.popitem(last=False)
            self._seen.move_to_end(key)
            yield view, self._seen[key]

"""A SAM-family pair as the omnimodel: it outlines what a click, a box or the specialist's mask points at.

It knows no tasks. Without anything to go by it has nothing to say, so in an analysis it is asked after the
specialist, with the specialist's mask: such an informed opinion is not independent, and its notes say so.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from omniview.core.geometry import Placement
from omniview.core.guidance import Guidance
from omniview.core.image import Array, FloatArray, Image
from omniview.core.prediction import Prediction, Provenance, Role
from omniview.core.task import Task
from omniview.errors import InferenceError, OmnimodelError
from omniview.inference.sam_card import SamCard
from omniview.inference.session import Session, open_session
from omniview.inference.weights import verified
from omniview.inference.worker import InferenceThread, Ticket
from omniview.omnimodel.sam_feeds import cast, image_feed, place, prompt_feeds, restore
from omniview.omnimodel.sam_prompts import objects_of
from omniview.omnimodel.sam_signature import Signature, recognise
from omniview.settings import Device

__all__ = ["SamSegmenter"]

_KEPT = 4
"""Images whose features are kept, some 4 to 16 MB each."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """The two networks, loaded and recognised."""

    encoder: Session
    decoder: Session
    signature: Signature


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """What one run of the decoder gave: logits in its own frame, and how good it takes them to be."""

    logits: FloatArray
    iou: float


class SamSegmenter:
    """Runs a SAM, MobileSAM, EfficientSAM or SAM 2 export, loaded at first use in the inference thread.

    Args:
        card: its card.
        thread: the inference thread, shared by all local models.
        device: where to run it, as `open_session` has it.
        threads: CPU threads of one run; 0 leaves one core free.
    """

    role: Role = "omnimodel"
    needs_evidence = True

    def __init__(
        self,
        card: SamCard,
        thread: InferenceThread,
        *,
        device: Device = "auto",
        threads: int = 0,
    ) -> None:
        self.card = card
        self._thread = thread
        self._device = device
        self._threads = threads
        self._pair: _Pair | None = None
        self._seen: OrderedDict[str, Mapping[str, Array]] = OrderedDict()

    @property
    def name(self) -> str:
        """The card's name."""
        return self.card.name

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """Outlines of the objects in `evidence`, each label for itself.

        Raises:
            OmnimodelError: there is no evidence, or nothing was found in it.
            ModelError: the weights are missing, changed or no SAM-family pair, or the run failed.
        """
        if evidence is None:
            raise self._shown_nothing("it was shown nothing")
        if not evidence.mask.any():
            raise self._shown_nothing(f"{evidence.model} found nothing that it could outline")
        return await self._thread.run(lambda ticket: self._informed(image, evidence, ticket))

    async def segment_prompted(self, image: Image, task: Task, guidance: Guidance) -> Prediction:
        """The one object that `guidance` points at.

        Raises:
            OmnimodelError: the guidance is empty.
            ModelError: the task has several labels, the weights are missing, changed or no SAM-family
                pair, or the run failed.
        """
        if guidance.empty:
            raise self._shown_nothing("it was shown nothing")
        if len(task.labels) != 1:
            raise InferenceError(
                f"{self.name} cannot tell which of {', '.join(task.labels)} a click means.",
                "Choose a task with one label, or another omnimodel.",
            )
        return await self._thread.run(lambda ticket: self._prompted(image, guidance, ticket))

    async def close(self) -> None:
        """Let go of the networks and of what they remember."""
        self._pair = None
        self._seen.clear()

    def _shown_nothing(self, reason: str) -> OmnimodelError:
        return OmnimodelError(
            f"{self.name} outlines what it is shown, and {reason}.",
            "It needs the specialist's mask, a click or a box.",
        )

    def _informed(self, image: Image, evidence: Prediction, ticket: Ticket) -> Prediction:
        start = perf_counter()
        pair, features, placement = self._look(image, ticket)
        maps, ious, asked, beyond = [], [], 0, 0
        unsaid: tuple[str, ...] = ()
        for probability in evidence.probability:
            objects, left_out = objects_of(probability)
            beyond += left_out
            whole = np.zeros(image.shape, np.float32)
            union: FloatArray | None = None
            for shown in objects:
                one, unsaid = self._outline(pair, features, shown, placement, ticket)
                union = one.logits if union is None else np.maximum(union, one.logits)
                ious.append(one.iou)
                asked += 1
            maps.append(whole if union is None else restore(pair.signature, union, placement))
        notes = [
            f"shown the mask of {evidence.model} ({asked} object(s)), so agreeing with it proves nothing"
        ]
        if beyond:
            notes.append(f"{beyond} smaller object(s) left out")
        return self._prediction(pair, np.stack(maps), ious, (*notes, *_not_shown(unsaid)), start)

    def _prompted(self, image: Image, guidance: Guidance, ticket: Ticket) -> Prediction:
        start = perf_counter()
        pair, features, placement = self._look(image, ticket)
        if pair.signature.family == "EfficientSAM" and not guidance.positive and guidance.box is None:
            raise self._shown_nothing("EfficientSAM knows no negative clicks and no masks")
        one, unsaid = self._outline(pair, features, guidance, placement, ticket)
        probability = restore(pair.signature, one.logits, placement)[None]
        return self._prediction(pair, probability, [one.iou], _not_shown(unsaid), start)

    def _prediction(
        self, pair: _Pair, probability: FloatArray, ious: list[float], notes: Iterable[str], start: float
    ) -> Prediction:
        own = f"{np.mean(ious):.2f}" + (f" (lowest {min(ious):.2f})" if len(ious) > 1 else "")
        return Prediction(
            model=self.name,
            role=self.role,
            probability=probability,
            seconds=perf_counter() - start,
            provenance=Provenance(
                provider=pair.decoder.provider,
                fallback=pair.encoder.fallback,
                weights_sha256=f"{self.card.encoder_sha256} {self.card.decoder_sha256}",
                model_id=f"{self.card.name} ({pair.signature.family})",
                model_version=self.card.version,
                notes=(f"its own predicted IoU {own}, not calibrated", *notes),
            ),
        )

    def _open(self) -> _Pair:
        if self._pair is None:
            encoder, decoder = (
                open_session(
                    verified(self.card.folder / name, sha256), device=self._device, threads=self._threads
                )
                for name, sha256 in self.card.files()
            )
            self._pair = _Pair(encoder, decoder, recognise(encoder, decoder))
        return self._pair

    def _look(self, image: Image, ticket: Ticket) -> tuple[_Pair, Mapping[str, Array], Placement]:
        """What the encoder makes of the image; kept, by the pixels themselves, for the next prompt."""
        pair = self._open()
        ticket.check()
        pixels, placement = place(pair.signature, image.rgb8())
        key = f"{pixels.shape} {hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()}"
        if key not in self._seen:
            (name,) = pair.encoder.inputs
            feed = image_feed(pair.signature, pixels, self.card.pixels)
            outputs = ticket.run(pair.encoder, cast(pair.encoder, {name: feed}))
            given = dict(zip(pair.encoder.outputs, outputs, strict=True))
            self._seen[key] = {there: given[here] for here, there in pair.signature.features.items()}
            while len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
        self._seen.move_to_end(key)
        return pair, self._seen[key], placement

    def _outline(
        self,
        pair: _Pair,
        features: Mapping[str, Array],
        shown: Guidance,
        placement: Placement,
        ticket: Ticket,
    ) -> tuple[_Outline, tuple[str, ...]]:
        """The mask that the decoder itself takes for the best, and what of `shown` it could not be told."""
        prompts, unsaid = prompt_feeds(pair.signature, shown, placement)
        outputs = ticket.run(pair.decoder, cast(pair.decoder, {**features, **prompts}))
        given = dict(zip(pair.decoder.outputs, outputs, strict=True))
        masks, ious = given[pair.signature.masks], given["iou_predictions"].reshape(-1)
        logits = masks.reshape(-1, *masks.shape[-2:])
        if (
            masks.ndim < 3
            or len(logits) != len(ious)
            or not (np.isfinite(logits).all() and np.isfinite(ious).all())
        ):
            raise InferenceError(
                f"The masks of {self.name} are {masks.shape} for {len(ious)} predicted IoUs, or not finite.",
                "Check the export.",
            )
        best = int(ious.argmax())
        return _Outline(np.asarray(logits[best], np.float32), float(ious[best])), unsaid


def _not_shown(unsaid: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"could not be shown {part}" for part in unsaid)

"""One case's work, the same wherever it is done: in this process, in one beside it, or on a cluster.

`Work` and `Done` travel between machines, so both are small and can be pickled: paths and settings there,
rows, a thumbnail and encoded masks back. `omniview.batch.station.perform` is what a worker calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from omniview.analyse import FUSED
from omniview.batch.measuring import observer_rows, rows_of, rows_without_case
from omniview.batch.one import Models, Question
from omniview.batch.results import MASKS, mask_files
from omniview.batch.rows import FAILED, NO_TRUTH, UNREADABLE, Bins, Record, Row, nine_digits
from omniview.core.case import Case, Truth
from omniview.core.image import FloatArray
from omniview.core.metrics import METRICS
from omniview.core.prediction import ROLES
from omniview.errors import OmniViewError
from omniview.io.pair_types import Pair
from omniview.io.remote import shown

__all__ = ["Done", "Make", "Order", "Work", "done_with", "done_without"]

Make: TypeAlias = Callable[[], Models]
"""Builds the models in the process that is to use them; can be pickled, compared and hashed."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of every case of a run.

    Attributes:
        question: what the models are asked.
        metrics: names of the metrics to compute.
        masks: whether the masks are wanted as files.
        thumbnails: whether a picture with outlines is wanted.
    """

    question: Question
    metrics: tuple[str, ...] = tuple(METRICS)
    masks: bool = False
    thumbnails: bool = True

    @property
    def models(self) -> tuple[str, ...]:
        """Which models get rows, in order: the roles that are asked, then what they are fused to."""
        return (*(ROLES if self.question.omnimodel != "none" else ROLES[:1]), FUSED)


@dataclass(frozen=True, slots=True)
class Work:
    """One case to be done.

    Attributes:
        pair: the image and its truths.
        order: what is wanted.
        make: where the models come from.
    """

    pair: Pair
    order: Order
    make: Make


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one case.

    Attributes:
        record: rows and what the report draws.
        ran: role to what really ran there: model, provider, weights' hash and the like.
        seconds: what took how long; it differs from run to run, and so is kept apart from the record.
        files: name below the results' folder to content: the masks, if they were wanted.
    """

    record: Record
    ran: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


def done_without(pair: Pair, order: Order, error: OmniViewError, *, died: bool = False) -> Done:
    """The end of a case that came to nothing: rows with the reason.

    Args:
        pair: the image and its truths.
        order: what is wanted.
        error: the reason.
        died: whether the work died over it, which counts as failed against every reader; otherwise image or
            truth cannot be used, which does not count.
    """
    if died:
        readers = [truth.reader for truth in pair.truths] or [""]
        status = FAILED if pair.truths else NO_TRUTH
        rows = rows_without_case(pair.name, order.models, error, status, readers)
    else:
        rows = rows_without_case(pair.name, order.models, error)
    return Done(Record(pair.name, shown(pair.image), _truth_paths(pair), rows))


def done_with(
    pair: Pair, order: Order, case: Case, truths: Mapping[str, Truth], bad: Mapping[str, OmniViewError]
) -> Done:
    """The end of a case that was analysed: its rows, and all that is wanted besides. Blocks: it computes.

    Of several readers the pair's first one counts for bins, margin and thumbnail; there are none where that
    one's truth cannot be used, so that no other takes its place.

    Args:
        pair: the image and its truths.
        order: what is wanted.
        case: what the models answered.
        truths: reader to truth.
        bad: reader to the reason why that one's truth cannot be used.
    """
    rows = rows_of(pair.name, case, order.models, truths, order.metrics)
    for reader, error in bad.items():
        reason = {"task": case.task.name, "reason": str(error)}
        rows += tuple(Row(pair.name, model, UNREADABLE, reader, reason) for model in order.models)
    readers = [truth.reader for truth in pair.truths] or [""]
    rows = tuple(sorted(rows, key=lambda row: (order.models.index(row.model), readers.index(row.truth))))
    rows += observer_rows(pair.name, case, truths, order.metrics)
    first = truths.get(readers[0])
    case = replace(case, truth=first)
    record = Record(
        pair.name,
        shown(pair.image),
        _truth_paths(pair),
        rows,
        {} if first is None else _bins(case, first),
        _thumbnail(case) if order.thumbnails and readers[0] not in bad else None,
        _margins(case),
    )
    seconds: dict[str, float] = {p.role: p.seconds for p in case.predictions}
    files = mask_files(case, pair.name) if order.masks else {}
    return Done(record, _ran(case), seconds, {f"{MASKS}/{name}": png for name, png in files.items()})


def _truth_paths(pair: Pair) -> dict[str, str]:
    return {truth.reader: shown(truth.files[0]) for truth in pair.truths}


def _ran(case: Case) -> dict[str, dict[str, Any]]:
    """What really ran, without what differs from case to case."""
    about = (
        *("provider", "fallback", "weights_sha256", "variant", "variant_of", "model_id", "model_version"),
        *("views", "prompt_version"),
    )
    found: dict[str, dict[str, Any]] = {}
    for prediction in case.predictions:
        facts = prediction.provenance.to_json()
        known = {name: facts[name] for name in about if name in facts}
        found[prediction.role] = {"model": prediction.model, **known}
    return found


def _bins(case: Case, truth: Truth) -> dict[str, Bins]:
    from omniview.batch.pixels import reliability_bins

    def counted(probability: FloatArray) -> Bins:
        return tuple((n, nine_digits(p), y) for n, p, y in reliability_bins(probability, truth.mask))

    bins: dict[str, Bins] = {p.role: counted(p.probability) for p in case.predictions}
    if case.fusion is not None:
        own = [p.role for p in case.predictions]
        # fused out of one answer, the map is that answer's own
        alone = len(own) == 1
        bins[FUSED] = bins[own[0]] if alone else counted(case.fusion.probability)
    return bins


def _thumbnail(case: Case) -> bytes:
    from omniview.batch.thumbnails import thumbnail

    return thumbnail(case)


def _margins(case: Case) -> dict[str, float | None] | None:
    if case.fusion is None or case.fusion.margin is None or case.truth is None:
        return None
    (inner, outer), truth = case.fusion.margin, case.truth.mask
    sizes = int(inner.sum()), int(truth.sum())
    return {
        "inner_inside": float((inner & truth).sum()) / sizes[0] if sizes[0] else None,
        "truth_inside": float((outer & truth).sum()) / sizes[1] if sizes[1] else None,
    }

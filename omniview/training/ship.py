"""A trained network becomes what ships: an ONNX file, and a card that says what its numbers are worth.

Everything in the card is measured on the `calibrate` splits, with the file that ships and through the code
that the viewer runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omniview.core.image import Doubles
from omniview.core.quality_head import signs
from omniview.core.task import TASKS
from omniview.core.uncertainty import temper
from omniview.inference.card import InputSpec
from omniview.inference.session import Session, open_session
from omniview.inference.tensors import prepare, to_nchw
from omniview.specialists.views import Averaged, pooled
from omniview.training.calibrate import Calibration, Floats, Seen, calibrate, counted, see
from omniview.training.dataset import Example
from omniview.training.export import output_fields, quality_fields, sha256, to_onnx, write_card
from omniview.training.network import LiteUnet, VesselUnet, parameter_count
from omniview.training.novelty import WithNovelty, descriptions, limit
from omniview.training.quality_fit import FittedQuality, Judged, fit_quality, worsened_copies
from omniview.training.recipes import Recipe

MOST_DESCRIBED = 600
"""Training images (or tiles of them) that say what is usual."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the `calibrate` cases said of a network: how to read its maps, how far to believe them."""

    calibration: Calibration
    quality: FittedQuality | None
    limit: float | None


def ship(
    recipe: Recipe,
    network: LiteUnet | VesselUnet,
    examples: Sequence[Example],
    calibrate_on: Sequence[Example],
    out: Path,
    *,
    training: Mapping[str, Any],
    data: Sequence[Mapping[str, Any]],
    threads: int = 1,
    **more: Any,
) -> Path:
    """Export, calibrate, write the card; its path.

    Args:
        recipe: how the network was trained; its name is the model's.
        network: the trained one, any mode.
        examples: what it was trained on: says what is usual.
        calibrate_on: cases that it was not trained on, perhaps none: then nothing is promised.
        out: folder of NAME.onnx and NAME.toml.
        training: the card's `[training]`; `calibrate_dice` and the like are added.
        data: the card's `[[data]]`.
        threads: CPU threads.
        more: further fields of the card, or other values for those that are written here.

    Raises:
        WeightsError: the exported file computes something else.
        CardError: see :func:`omniview.training.export.write_card`.
    """
    weights = out / f"{recipe.name}.onnx"
    spec = InputSpec.model_validate(recipe.input_fields())
    usual = descriptions(network.eval(), _described(examples, spec))
    whole = WithNovelty(network, usual).eval()
    example = torch.rand(2, 3, recipe.size, recipe.size)
    to_onnx(whole, {"image": example}, ["logits", "novelty"], weights)
    session = open_session(weights, device="cpu", threads=threads)
    measured = measure(recipe, session, calibrate_on)
    task = TASKS[recipe.task]
    card = out / f"{recipe.name}.toml"
    write_card(
        card,
        {
            "schema": 1,
            "name": recipe.name,
            "version": "2",
            "kind": "specialist",
            "task": recipe.task,
            "modality": str(task.modality),
            "labels": list(task.labels),
            "weights": weights.name,
            "sha256": sha256(weights),
            "parameters": parameter_count(network),
            "input": recipe.input_fields(),
            "output": {"activation": "logits", **output_fields(measured.calibration)},
            "views": {"names": list(recipe.views)},
            "quality": quality_fields(measured.calibration, measured.quality),
            "novelty": None if measured.limit is None else {"limit": measured.limit},
            "training": {**training, **_said(measured)},
            "data": list(data),
            "limits": {"known": list(recipe.limits)},
            **more,
        },
    )
    return card


def measure(recipe: Recipe, session: Session, cases: Sequence[Example]) -> Measured:
    """What ``cases`` say of the exported network. Nothing is known of it without any."""
    if not cases:
        return Measured(Calibration(), None, None)
    spec = InputSpec.model_validate(recipe.input_fields())

    def network(inputs: Floats) -> Floats:
        return session.run({"image": inputs})[0]

    seen = [see(case, spec, recipe.views, network, counted(case, recipe.task)) for case in cases]
    calibration = calibrate(seen)
    strange = [novelty(session, spec, case) for case in cases]
    bound = limit(strange)
    judged = [
        judged_of(one, case, value / bound, calibration, worse=False)
        for one, case, value in zip(seen, cases, strange, strict=True)
    ]
    for case, bad in worsened_copies(cases, recipe.seed, recipe.augmentation.artefacts):
        one = see(bad, spec, recipe.views, network, counted(case, recipe.task))
        judged.append(judged_of(one, bad, novelty(session, spec, bad) / bound, calibration, worse=True))
    return Measured(calibration, fit_quality(judged), bound)


def novelty(session: Session, spec: InputSpec, case: Example) -> float:
    """How unlike the training the picture is, before the limit is known: the mean over its inputs."""
    prepared = prepare(case.image, spec)
    inputs = to_nchw(prepared.inputs, prepared.spec)
    values = [session.run({"image": inputs[i : i + 4]})[1] for i in range(0, len(inputs), 4)]
    return float(np.concatenate(values).mean())


def judged_of(seen: Seen, case: Example, strange: float, calibration: Calibration, *, worse: bool) -> Judged:
    """What a quality head is fitted on: the signs of the answer as it is shown, and its Dice.

    Args:
        seen: the answer.
        case: the image and its truth.
        strange: novelty of the picture, 1 at the limit; always the same where there is no such measure.
        calibration: how the maps are read.
        worse: whether the image is a worsened copy.
    """
    shown = _shown(seen, calibration)
    looks: Doubles = signs(shown.mean, shown.spread, strange)
    group = f"{case.folder}/{case.group or case.name}"
    return Judged(looks, seen.dice(shown.mean[0]), group, worse, case.folder)


def _shown(seen: Seen, calibration: Calibration) -> Averaged:
    maps = (
        temper(view.astype(np.float32), calibration.temperature, calibration.threshold)
        for view in seen.logits
    )
    return pooled(maps).restored(seen.prepared)


def _described(examples: Sequence[Example], spec: InputSpec) -> Iterator[Tensor]:
    """Network inputs of as many training images, evenly drawn, as say what is usual; one image at a time."""
    step = max(1, len(examples) // MOST_DESCRIBED)
    for example in examples[::step]:
        prepared = prepare(example.image, spec)
        yield torch.from_numpy(to_nchw(prepared.inputs, prepared.spec))


def _said(measured: Measured) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if measured.calibration.cases:
        said["calibrate_dice"] = round(measured.calibration.mean_dice, 4)
        said["calibrate_n"] = measured.calibration.cases
    if measured.quality is not None:
        said["quality_spearman_cross_validated"] = measured.quality.rank
        said["quality_coverage_cross_validated"] = measured.quality.coverage
    return said


def curve_fields(curve: Sequence[tuple[int, float]], points: int = 24) -> dict[str, Any]:
    """The learning curve for the card: steps and training losses, thinned to ``points``."""
    thinned = [curve[round(i)] for i in np.linspace(0, len(curve) - 1, min(points, len(curve)))]
    return {"curve_steps": [s for s, _ in thinned], "curve_loss": [round(v, 4) for _, v in thinned]}

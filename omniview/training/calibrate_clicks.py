"""What the click network's numbers mean, measured on answers to simulated clicks through the path that ships.

A person corrects each case of the `calibrate` split up to five times, each click on the worst error of the
last answer, which goes back as prior mask; temperature and threshold are fitted to the answers after one,
three and five clicks, as :mod:`omniview.training.calibrate` fits them without prompts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import numpy as np

from omniview.core.guidance import Guidance
from omniview.core.image import Image
from omniview.core.prediction import Prediction
from omniview.core.task import TASKS
from omniview.inference.card import GeneralistCard, InputSpec
from omniview.inference.tensors import prepare
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.promptable import BuiltinGeneralist
from omniview.training.calibrate import Bools, Calibration, Seen, calibrate, counted, field_of_view
from omniview.training.dataset import Example
from omniview.training.prompts import POSITIVE, worst_point

SCORED = (1, 3, 5)
# Beyond it a logit of float16 answers is rounding.
STEEPEST = 8.0


async def clicked(
    generalist: BuiltinGeneralist, example: Example, task: str
) -> AsyncGenerator[Prediction, None]:
    """The unprompted answer, then one after each simulated click, up to five; ends where nothing is wrong.

    Clicks fall on the innermost pixel of the largest error; in fundus photographs outside of the field of
    view nothing is wrong.
    """
    image, truth = Image(example.image, modality=TASKS[task].modality), example.mask > 127
    inside = field_of_view(example.image) if task == "vessel" else np.ones_like(truth)
    answer = await generalist.segment(image, TASKS[task])
    yield answer
    positive: list[tuple[float, float]] = []
    negative: list[tuple[float, float]] = []
    for _ in range(max(SCORED)):
        wrong = worst_point(answer.mask[0] & inside, truth & inside)
        if wrong is None:
            return
        (positive if wrong[0] == POSITIVE else negative).append(wrong[1])
        shown = Guidance(tuple(positive), tuple(negative), None, answer.probability[0])
        answer = await generalist.segment_prompted(image, TASKS[task], shown)
        yield answer


async def calibrate_clicks(
    card: GeneralistCard, task: str, cases: Sequence[Example], threads: int
) -> Calibration:
    """Temperature and threshold of ``card``'s click network, whose own must be 1 and 0.5 meanwhile.

    Cases without anything to find are left out.
    """
    thread = InferenceThread()
    generalist = BuiltinGeneralist(card, thread, device="cpu", threads=threads)
    seen = []
    for example in cases:
        if example.empty:
            continue
        number = 0
        async for answer in clicked(generalist, example, task):
            if number in SCORED:
                seen.append(_as_seen(example, answer, counted(example, task)))
            number += 1
    await generalist.close()
    thread.close()
    return calibrate(seen)


def _as_seen(example: Example, answer: Prediction, inside: Bools | None) -> Seen:
    """The answer as if a network of the image's own size had given its logits."""
    probability = answer.probability[0].astype(np.float64)
    with np.errstate(divide="ignore"):
        logits = (np.log(probability) - np.log1p(-probability)).clip(-STEEPEST, STEEPEST)
    same = InputSpec(geometry="stretch", size=(logits.shape[0], logits.shape[1]))
    return Seen(
        example.name,
        logits[None, None, None].astype(np.float16),
        prepare(example.image, same),
        example.mask > 127,
        inside,
    )

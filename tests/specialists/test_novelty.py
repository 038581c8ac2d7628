"""Every shipped specialist notices a picture that is none of its own, and promises nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from omniview import resources
from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.errors import WeightsError
from omniview.inference.card import SpecialistCard, find_cards, read_card
from omniview.inference.worker import InferenceThread
from omniview.specialists.onnx_specialist import OnnxSpecialist
from tests.networks import write_specialist

SHIPPED = [card for card in find_cards([resources.path("models")]).cards if isinstance(card, SpecialistCard)]
NOISE = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    """The inference thread, closed after the test."""
    one = InferenceThread()
    yield one
    one.close()


@pytest.mark.parametrize("precision", ["fp32", "auto"])
@pytest.mark.parametrize("card", SHIPPED, ids=lambda card: card.name)
async def test_noise_and_an_empty_frame_are_flagged(
    card: SpecialistCard, precision: str, thread: InferenceThread
) -> None:
    """Novelty beyond the limit, no lower end of the interval, and a note that says so; also in eight bits."""
    assert card.novelty is not None
    model = OnnxSpecialist(card, thread, device="cpu", threads=1, views=1, precision=precision)  # type: ignore[arg-type]
    for pixels in (NOISE, np.zeros((300, 400, 3), np.uint8)):
        said = await model.segment(Image(pixels), TASKS[card.task])
        assert said.novelty is not None
        assert said.novelty > 1
        assert said.quality is not None
        assert said.quality.low == 0
        assert any(note.startswith("unlike what") for note in said.provenance.notes)
    await model.close()


async def test_a_card_that_promises_novelty_needs_a_network_that_tells_it(
    tmp_path: Path, thread: InferenceThread
) -> None:
    """One output where two are announced: refused in words, before any image is judged by it."""
    path = write_specialist(tmp_path)
    path.write_text(path.read_text("utf-8") + "\n[novelty]\nlimit = 1.0\n", "utf-8")
    card = read_card(path)
    assert isinstance(card, SpecialistCard)
    model = OnnxSpecialist(card, thread, device="cpu", threads=1)
    with pytest.raises(WeightsError, match="novelty"):
        await model.segment(Image(NOISE), TASKS[card.task])
    await model.close()

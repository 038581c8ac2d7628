"""One row a task: network, geometry, normalisation, augmentation, views. A new task is a new row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from omniview.training.augment import Augmentation
from omniview.training.fit import Settings

EIGHT_VIEWS = ("identity", "hflip", "vflip", "rot180", "rot90", "rot270", "transpose", "antitranspose")
HALVES = (0.5, 0.5, 0.5)
ZEROS = (0.0, 0.0, 0.0)
ONES = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a specialist of one task is trained and shipped.

    ``size`` is the square network input in px; ``crop`` the square it trains on; ``longest_px`` caps images
    in memory and, for tiles, is the ``long_side`` to which every image is rescaled (None: left as it is).
    ``empty_repeat``: how often an image without anything to find is drawn for each other one.
    ``border_weight`` is added to the cross-entropy of background between touching instances;
    ``centreline_weight`` is that of clDice beside the other losses. ``rate`` is the
    peak rate of new layers. ``minutes`` is how long the shipped model trained, on one core. ``limits`` are
    its known failures, in sentences.
    """

    task: str
    name: str
    network: str
    geometry: str
    size: int
    crop: int
    longest_px: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    views: tuple[str, ...]
    augmentation: Augmentation
    batch: int = 16
    rate: float = 2e-3
    overlap_px: int = 0
    empty_repeat: int = 1
    border_weight: float = 0.0
    centreline_weight: float = 0.0
    seed: int = 1
    minutes: float = 30.0
    limits: tuple[str, ...] = ()

    def input_fields(self) -> dict[str, object]:
        """The card's ``[input]``."""
        fields: dict[str, object] = {
            "geometry": self.geometry,
            "size": [self.size, self.size],
            "channels": 3,
            "mean": list(self.mean),
            "std": list(self.std),
        }
        if self.geometry == "tile":
            fields["overlap"] = self.overlap_px
            if self.longest_px is not None:
                fields["long_side"] = self.longest_px
        return fields


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "polyp": Recipe(
            task="polyp",
            name="polyp-lite0",
            network="lite",
            geometry="stretch",
            size=256,
            crop=256,
            longest_px=512,
            mean=HALVES,
            std=HALVES,
            views=EIGHT_VIEWS,
            augmentation=Augmentation(colour=1.2, spoil=0.3, artefacts=("highlights", "vignette")),
            minutes=75.0,
            limits=(
                "Flat and small polyps, and centres other than the two trained on, are missed more often.",
                "Frames without a polyp were never seen in training: expect false finds on them.",
                "On unseen video the predicted quality is too hopeful (see coverage among the figures).",
            ),
        ),
        "breast": Recipe(
            task="breast",
            name="breast-lite0",
            network="lite-presence",
            geometry="letterbox",
            size=256,
            crop=256,
            longest_px=384,
            mean=HALVES,
            std=HALVES,
            views=("identity", "hflip"),
            augmentation=Augmentation(
                rotation_deg=25,
                scale=(0.6, 1.5),
                vflip=False,
                tint=0.0,
                spoil=0.35,
                reflect=False,
                artefacts=("depth gain", "shadow"),
            ),
            empty_repeat=3,
            minutes=46.0,
            limits=(
                "Shadows, cysts at the edge and dense normal tissue are taken for lesions at times.",
                "One hospital's machines only; callipers and text burned into images were part of training.",
            ),
        ),
        "vessel": Recipe(
            task="vessel",
            name="vessel-unet",
            network="vessel",
            geometry="tile",
            # Four of these tiles, no more, cover a photograph of 1024 px.
            size=544,
            crop=256,
            longest_px=1024,
            mean=ZEROS,
            std=ONES,
            # Full resolution costs a second a view on two cores, and views add nothing measurable here.
            views=EIGHT_VIEWS[:4],
            augmentation=Augmentation(
                scale=(0.7, 1.4),
                shift=0.0,
                aspect=0.08,
                colour=0.5,
                spoil=0.1,
                reflect=False,
                artefacts=("vignette",),
            ),
            batch=8,
            rate=3e-3,
            overlap_px=64,
            centreline_weight=0.2,
            minutes=29.0,
            limits=(
                "Thin vessels near the resolution limit, and vessels across bleeding or exudate, break up.",
                "Colour fundus photographs only, black frame around a bright field of view.",
                "The predicted quality rests on twelve photographs and hardly tells good from bad ones.",
            ),
        ),
        "nuclei": Recipe(
            task="nuclei",
            name="nuclei-lite0",
            network="lite-fluorescence",
            geometry="tile",
            size=256,
            crop=256,
            longest_px=None,
            mean=ZEROS,
            std=ONES,
            views=EIGHT_VIEWS,
            augmentation=Augmentation(
                scale=(0.6, 1.6), shift=0.0, colour=1.5, brightness=0.0, pivot=0.0, tint=0.0, spoil=0.15
            ),
            overlap_px=64,
            border_weight=3.0,
            minutes=15.0,
            limits=(
                "Fluorescence only: dark ground, bright nuclei; stained tissue sections will fail.",
                "Touching nuclei may merge; the mask is foreground, instances come from splitting it.",
            ),
        ),
    }
)

# Both halves, then the click network.
GENERALIST = Settings(minutes=145.0, batch=12, seed=101)
HALVES_MINUTES = 85.0


def generalist_phases(settings: Settings) -> tuple[Settings, Settings]:
    """The schedule of the halves and that of the click network, which starts from them and so more gently.

    Minutes or steps are shared as in :data:`GENERALIST`; a batch of clicks is two thirds as large, since each
    of its views is answered three times.
    """
    assert GENERALIST.minutes is not None
    first, second = settings, settings
    if settings.minutes is not None:
        minutes = settings.minutes * HALVES_MINUTES / GENERALIST.minutes
        first, second = (
            replace(settings, minutes=minutes),
            replace(settings, minutes=settings.minutes - minutes),
        )
    elif settings.steps is not None:
        steps = max(1, round(settings.steps * HALVES_MINUTES / GENERALIST.minutes))
        first, second = (
            replace(settings, steps=steps),
            replace(settings, steps=max(1, settings.steps - steps)),
        )
    return first, replace(
        second,
        batch=max(1, round(settings.batch * 2 / 3)),
        rate=settings.rate * 0.75,
        encoder_rate=settings.encoder_rate * 0.8,
        warmup=0.06,
        seed=settings.seed + 101,
    )

"""Images made by formula, so that the exact truth is known: samples that need no patient and no download.

Each phantom is a scene of one task, close enough to the real thing that a model trained on real images has a
chance, yet its mask is exact: a shape is a function that is positive inside, the truth is its sign at pixel
centres, and the picture blends it in over one pixel around that very edge. All randomness comes from the
seed.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.case import Truth
from omniview.core.image import Array, BoolArray, FloatArray, Image, Modality

__all__ = ["endoscopy", "fundus", "nuclei", "ultrasound"]

_Generator = np.random.Generator


def endoscopy(seed: int = 0, size: tuple[int, int] = (512, 512)) -> tuple[Image, Truth]:
    """A polyp on folded, wet mucosa, lit from the endoscope, in an octagonal frame.

    Args:
        seed: what differs between two phantoms.
        size: (Y,X) in pixels, at least 64 each.

    Returns:
        RGB uint8 image, and truth with K = 1.
    """
    random, (rows, columns) = _start("endoscopy", seed, size)
    y, x = _grid(size)
    reach = min(size)
    # the lumen: a dark tunnel, away from the polyp, with ring-shaped folds around it
    towards = random.uniform(0, 2 * np.pi)
    centre = rows / 2 + 0.08 * reach * np.sin(towards), columns / 2 + 0.08 * reach * np.cos(towards)
    radius = random.uniform(0.13, 0.2) * reach
    lumen = rows / 2 - 0.36 * reach * np.sin(towards), columns / 2 - 0.36 * reach * np.cos(towards)
    depth = np.hypot(y - lumen[0], x - lumen[1]) / reach
    warped = depth + 0.05 * _clouds(random, size, 5)
    folds = np.cos(2 * np.pi * warped * 4.2 + random.uniform(0, 6)) * np.clip(1 - depth, 0, 1)
    tissue = 0.62 + 0.10 * folds + 0.07 * _clouds(random, size, 12) + 0.03 * _clouds(random, size, 60)
    light = np.clip(1 - np.exp(-((depth / 0.2) ** 2)), 0, 1) * (1.12 - 0.55 * depth)

    inside, bulge = _blob(random, size, centre, radius)
    cover = _cover(inside)
    # a dome: bright where it faces the light, dark at the rim that turns away; a soft shadow around it
    lit = (
        0.66
        + 0.52 * bulge
        + 0.10 * (np.cos(towards) * (x - centre[1]) + np.sin(towards) * (y - centre[0])) / radius
    )
    dome = 0.58 * lit + 0.022 * _clouds(random, size, 40) + 0.03 * _clouds(random, size, 12)
    shadow = 1 - 0.28 * np.exp(-((np.minimum(inside, 0) / (0.12 * radius)) ** 2)) * (1 - cover)
    value = cover * dome + (1 - cover) * tissue * light * shadow
    redness = cover * 0.10 + (1 - cover) * (0.05 * _clouds(random, size, 8))
    colour = np.stack([1.25 * value, value * (0.60 - redness), value * (0.50 - 0.9 * redness)], axis=-1)
    # fine vessels of the mucosa are hidden by the polyp's surface
    net = np.abs(_clouds(random, size, 14)) < 0.05
    colour *= 1 - 0.16 * (cv2.GaussianBlur(net.astype(np.float32), (0, 0), 0.9) * (1 - cover))[..., None]
    wet = _clouds(random, size, 26) + 0.8 * folds * (1 - cover) + 1.1 * cover * bulge
    colour += _soft(wet - np.quantile(wet, 0.993), 0.25)[..., None] * np.array([0.8, 0.85, 0.85], np.float32)
    frame = _octagon(size)
    colour = colour * _cover(frame)[..., None] + random.normal(0, 0.012, (rows, columns, 1))
    pixels = _eight(cv2.GaussianBlur(colour.astype(np.float32), (0, 0), 0.6))
    mask = (inside > 0) & (frame > 0)
    return _finished(pixels, mask, Modality.ENDOSCOPY, f"endoscopy phantom {seed}")


def fundus(seed: int = 0, size: tuple[int, int] = (512, 512)) -> tuple[Image, Truth]:
    """A fundus photograph: orange disc on black, optic disc, macula, and a tapering, branching vessel tree.

    Args:
        seed: what differs between two phantoms.
        size: (Y,X) in pixels, at least 64 each.

    Returns:
        RGB uint8 image, and truth with K = 1: vessels within the field of view.
    """
    random, (rows, columns) = _start("fundus", seed, size)
    y, x = _grid(size)
    reach = 0.47 * min(size)
    middle = rows / 2, columns / 2
    view = reach - np.hypot(y - middle[0], x - middle[1])
    side = random.choice([-1.0, 1.0])
    disc = middle[0] + random.uniform(-0.06, 0.06) * reach, middle[1] + side * 0.5 * reach
    macula = middle[0] + 0.04 * reach, middle[1] - side * 0.16 * reach
    from_disc = np.hypot((y - disc[0]) / 1.08, x - disc[1]) / reach
    from_macula = np.hypot(y - macula[0], x - macula[1]) / reach
    ground = 0.80 + 0.05 * _clouds(random, size, 6) + 0.025 * _clouds(random, size, 90)
    ground *= 1 - 0.38 * (1 - np.clip(view / reach, 0, 1)) ** 2
    ground *= 1 - 0.32 * np.exp(-((from_macula / 0.17) ** 2))
    colour = ground[..., None] * np.array([0.86, 0.42, 0.17], np.float32)
    pale = _soft(0.165 - from_disc, 0.012)[..., None]
    colour += pale * np.array([0.16, 0.36, 0.26], np.float32)
    colour += _soft(0.07 - from_disc, 0.02)[..., None] * np.array([0.02, 0.10, 0.14], np.float32)

    inside, dark = _tree(random, size, disc, macula, reach)
    cover = _cover(inside)[..., None] * dark[..., None]
    colour *= 1 - cover * np.array([0.34, 0.60, 0.42], np.float32)
    colour = colour * _cover(view)[..., None] + random.normal(0, 0.010, (rows, columns, 3))
    pixels = _eight(cv2.GaussianBlur(colour.astype(np.float32), (0, 0), 0.6))
    return _finished(pixels, (inside > 0) & (view > 0), Modality.FUNDUS, f"fundus phantom {seed}")


def ultrasound(seed: int = 0, size: tuple[int, int] = (512, 512)) -> tuple[Image, Truth]:
    """A speckled B-mode picture of a breast: skin, fat, glandular layers, and a hypoechoic lesion.

    Sound runs downwards: gain falls off with depth, and the lesion has posterior enhancement below it.
    Speckle is the envelope of a complex Gaussian field, Rayleigh-distributed as in Wagner et al., IEEE Trans.
    Sonics Ultrason. 30 (1983), coarser across than along the beam.

    Args:
        seed: what differs between two phantoms.
        size: (Y,X) in pixels, at least 64 each.

    Returns:
        Grey uint8 image, and truth with K = 1.
    """
    random, (rows, columns) = _start("ultrasound", seed, size)
    y, x = _grid(size)
    reach = min(size)
    centre = rows * random.uniform(0.38, 0.52), columns * random.uniform(0.35, 0.65)
    radius = random.uniform(0.12, 0.19) * reach
    inside, _ = _blob(random, size, centre, radius, flat=random.uniform(1.25, 1.7), rough=0.09)
    cover = _cover(inside)
    deep = y / rows
    bent = deep + 0.030 * _clouds(random, size, 3)
    fat = _soft(bent - 0.06, 0.008) * (1 - _soft(bent - 0.24, 0.03))
    muscle = _soft(bent - 0.74, 0.02)
    narrow = np.clip(_clouds(random, (rows, max(columns // 6, 8)), 22), 0, 2)
    strands = cv2.resize(narrow, (columns, rows), interpolation=cv2.INTER_CUBIC)
    echo = (
        0.50
        - 0.24 * fat
        - 0.10 * muscle
        + 0.13 * strands * (0.4 + muscle + fat)
        + 0.12 * _clouds(random, size, 9)
    )
    echo += 0.5 * (1 - _soft(bent - 0.045, 0.006))  # skin
    echo += 0.5 * np.exp(-(((bent - 0.74) / 0.008) ** 2))  # fascia
    # less absorption in the lesion: what lies below it is brighter, between its flanks
    below = (y > centre[0]) & (cover < 0.5)
    beam = np.exp(-(((x - centre[1]) / (0.85 * radius)) ** 4)) * np.exp(
        -np.clip(y - centre[0], 0, None) / (2.6 * radius)
    )
    echo = np.clip(echo, 0.03, None) ** 1.5 * (1 + 1.4 * beam * below)
    rim = np.exp(-((inside / (0.05 * radius)) ** 2)) * (1 - cover)
    echo = np.clip(
        (1 - cover) * (echo + 0.10 * rim) + cover * (0.030 + 0.008 * _clouds(random, size, 16)), 0.01, None
    )
    # scatterers of that strength, blurred by the beam: their sum is speckle, and edges are as soft as it
    field = random.normal(0, 1, (2, rows, columns)).astype(np.float32) * echo * np.exp(-0.8 * deep)
    spread = max(reach / 512, 0.5)
    real, imaginary = (cv2.GaussianBlur(part, (0, 0), 1.7 * spread, sigmaY=1.0 * spread) for part in field)
    envelope = np.hypot(real, imaginary) * spread
    decibels = 20 * np.log10(np.maximum(envelope, 1e-6))
    pixels = _eight(((decibels + 46) / 54)[..., None])
    return _finished(pixels, inside > 0, Modality.ULTRASOUND, f"ultrasound phantom {seed}")


def nuclei(seed: int = 0, size: tuple[int, int] = (512, 512)) -> tuple[Image, Truth]:
    """Fluorescent nuclei on a dark ground, some of them touching.

    Args:
        seed: what differs between two phantoms.
        size: (Y,X) in pixels, at least 64 each.

    Returns:
        Grey uint8 image, and truth with K = 1 and one instance number a nucleus; every nucleus is visible,
        and where two overlap the pixel belongs to the one whose edge is farther away.
    """
    random, (rows, columns) = _start("nuclei", seed, size)
    mean = 0.030 * float(np.sqrt(rows * columns))
    instances = np.zeros(size, np.int32)
    deepest = np.zeros(size, np.float32)
    glow = np.zeros(size, np.float32)
    centres: list[tuple[float, float, float]] = []
    for _ in range(110):
        radius = mean * random.uniform(0.75, 1.3)
        if centres and random.random() < 0.35:  # beside another one, so that they touch
            y0, x0, other = centres[random.integers(len(centres))]
            angle = random.uniform(0, 2 * np.pi)
            gap = 0.88 * (radius + other)
            centre = y0 + gap * np.sin(angle), x0 + gap * np.cos(angle)
        else:
            centre = random.uniform(0, rows), random.uniform(0, columns)
        apart = [np.hypot(centre[0] - y, centre[1] - x) / (radius + r) for y, x, r in centres]
        if min(apart, default=1.0) < 0.87 or not (0 <= centre[0] < rows and 0 <= centre[1] < columns):
            continue
        centres.append((*centre, radius))
        pad = int(2.2 * radius) + 3
        top, left = max(int(centre[0]) - pad, 0), max(int(centre[1]) - pad, 0)
        window = (slice(top, int(centre[0]) + pad), slice(left, int(centre[1]) + pad))
        own, flat = (centre[0] - top, centre[1] - left), random.uniform(1.0, 1.35)
        inside, dome = _blob(random, glow[window].shape, own, radius, flat=flat, rough=0.05)
        bright = random.uniform(0.35, 0.9) * (0.75 + 0.25 * dome)
        glow[window] = np.maximum(glow[window], _cover(inside) * bright)
        instances[window][inside > deepest[window]] = len(centres)
        deepest[window] = np.maximum(deepest[window], inside)
    texture = 1 + 0.10 * _clouds(random, size, 70)
    blur = cv2.GaussianBlur(glow, (0, 0), 6.0)
    light = 0.045 + glow * texture + 0.05 * blur
    counts = random.poisson(np.clip(light, 0, None) * 900) / 900
    pixels = _eight((cv2.GaussianBlur(counts.astype(np.float32), (0, 0), 0.6) * 0.85)[..., None])
    return _finished(
        pixels, instances > 0, Modality.MICROSCOPY, f"nuclei phantom {seed}", _renumbered(instances)
    )


def _start(name: str, seed: int, size: tuple[int, int]) -> tuple[_Generator, tuple[int, int]]:
    if min(size) < 64:
        raise ValueError(f"{name}: size must be at least 64 pixels each way, got {size}")
    return np.random.default_rng([seed, len(name)]), size


def _finished(
    pixels: npt.NDArray[np.uint8],
    mask: BoolArray,
    modality: Modality,
    name: str,
    instances: npt.NDArray[np.int32] | None = None,
) -> tuple[Image, Truth]:
    image = Image(pixels, modality=modality, name=name, source=name)
    return image, Truth(mask[None], source=f"{name}, exact", instances=instances)


def _grid(size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Row and column of each pixel centre, (Y,1) and (1,X)."""
    return np.arange(size[0], dtype=np.float32)[:, None], np.arange(size[1], dtype=np.float32)[None]


def _clouds(random: _Generator, size: tuple[int, int], cells: int) -> FloatArray:
    """(Y,X) smooth noise of mean 0 and deviation 1, with about `cells` bumps along the shorter side."""
    scale = cells / min(size)
    coarse = random.normal(0, 1, [max(round(side * scale), 2) for side in size]).astype(np.float32)
    noise = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    standard: FloatArray = ((noise - noise.mean()) / noise.std()).astype(np.float32)
    return standard


def _cover(inside: Array) -> FloatArray:
    """How much of a pixel a shape covers, in [0,1], from the distance to its edge in pixels."""
    share: FloatArray = np.clip(inside + 0.5, 0, 1).astype(np.float32)
    return share


def _soft(value: Array, width: float) -> FloatArray:
    """A step from 0 to 1 at 0, `width` wide."""
    ramp = np.clip(value / width + 0.5, 0, 1)
    smooth: FloatArray = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return smooth


def _eight(colour: Array) -> npt.NDArray[np.uint8]:
    """(Y,X,C) uint8 of values that are black at 0 and white at 1."""
    eight: npt.NDArray[np.uint8] = np.clip(np.rint(colour * 255), 0, 255).astype(np.uint8)
    return eight


def _blob(
    random: _Generator,
    size: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    *,
    flat: float = 1.15,
    rough: float = 0.07,
) -> tuple[FloatArray, FloatArray]:
    """An irregular ellipse: (Y,X) distance to its edge in pixels, positive inside, and a dome on it.

    Args:
        random: the source of its outline.
        size: (Y,X).
        centre: (row, column).
        radius: geometric mean of the half axes, in pixels.
        flat: ratio of its axes; the long one lies within 30 degrees of horizontal.
        rough: how far the outline departs from the ellipse, as a share of the radius.
    """
    y, x = _grid(size)
    tilt = random.uniform(-np.pi / 6, np.pi / 6)
    dy, dx = (y - centre[0]) / radius, (x - centre[1]) / radius
    along = (dx * np.cos(tilt) + dy * np.sin(tilt)) / np.sqrt(flat)
    across = (dy * np.cos(tilt) - dx * np.sin(tilt)) * np.sqrt(flat)
    far, angle = np.hypot(along, across), np.arctan2(across, along)
    outline = np.ones_like(far)
    for wave in range(2, 7):
        outline += random.normal(0, rough * 1.6 / wave) * np.cos(wave * angle + random.uniform(0, 2 * np.pi))
    share = 1 - far / np.maximum(outline, 0.3)
    steep = np.hypot(*np.gradient(share))
    dome = np.sqrt(np.clip(1 - (1 - share) ** 2, 0, 1)) * (share > 0)
    return (share / np.maximum(steep, 0.3 / radius)).astype(np.float32), dome.astype(np.float32)


def _octagon(size: tuple[int, int]) -> FloatArray:
    """(Y,X) distance to the edge of the lit field of an endoscope: a rectangle with cut corners."""
    y, x = _grid(size)
    from_edge = np.minimum(np.minimum(y, size[0] - 1 - y), np.minimum(x, size[1] - 1 - x)) - 0.012 * min(size)
    corner = np.minimum(y, size[0] - 1 - y) + np.minimum(x, size[1] - 1 - x) - 0.22 * min(size)
    nearest: FloatArray = np.minimum(from_edge, corner / np.sqrt(2)).astype(np.float32)
    return nearest


def _tree(
    random: _Generator,
    size: tuple[int, int],
    disc: tuple[float, float],
    macula: tuple[float, float],
    reach: float,
) -> tuple[FloatArray, FloatArray]:
    """Arteries and veins out of the optic disc, around the macula.

    Returns:
        (Y,X) distance to the nearest vessel's edge in pixels, positive inside, and (Y,X) how dark it is.
    """
    inside = np.full(size, -1e3, np.float32)
    dark = np.ones(size, np.float32)
    temporal = float(np.sign(macula[1] - disc[1]))
    # row, column, heading, bend a step, half width in pixels, darkness
    growing = []
    for vertical in (-1.0, 1.0):
        for outward, opening, bend in ((temporal, 1.25, 0.030), (-temporal, 0.75, 0.008)):
            for vein in (False, True):
                lean = opening + random.uniform(-0.12, 0.12) + (0.16 if vein else -0.10)
                heading = np.arctan2(vertical * np.sin(lean), outward * np.cos(lean))
                turn = -outward * vertical * bend * random.uniform(0.8, 1.2)
                width = max(reach * (0.0135 if vein else 0.0105), 1.3)
                growing.append((*disc, heading, turn, width, 0.80 if vein else 0.62))
    stride = 0.022 * reach
    while growing:
        row, column, heading, turn, width, tone = growing.pop()
        while width > 0.5 and np.hypot(row - size[0] / 2, column - size[1] / 2) < 1.02 * reach:
            heading += turn + random.normal(0, 0.05)
            end = row + stride * np.sin(heading), column + stride * np.cos(heading)
            if np.hypot(end[0] - macula[0], end[1] - macula[1]) < 0.10 * reach:
                break
            thinner = width * random.uniform(0.97, 0.995)
            _capsule(inside, dark, (row, column), end, (width, thinner), tone)
            (row, column), width = end, thinner
            if random.random() < 0.13:
                aside = random.choice([-1.0, 1.0]) * random.uniform(0.45, 0.95)
                share = random.uniform(0.50, 0.78)
                growing.append((row, column, heading + aside, -0.02 * aside, width * share, tone))
                width *= 0.93
    return inside, dark


def _capsule(
    inside: FloatArray,
    dark: FloatArray,
    start: tuple[float, float],
    end: tuple[float, float],
    widths: tuple[float, float],
    tone: float,
) -> None:
    """Add to `inside` and `dark`, in place, a stroke whose half width tapers from one end to the other."""
    pad = widths[0] + 3
    top, left = (max(int(min(start[i], end[i]) - pad), 0) for i in (0, 1))
    window = (
        slice(top, max(int(max(start[0], end[0]) + pad) + 1, top)),
        slice(left, max(int(max(start[1], end[1]) + pad) + 1, left)),
    )
    near = inside[window]
    y, x = (axis + first for axis, first in zip(_grid(near.shape), (top, left), strict=True))
    down, across = end[0] - start[0], end[1] - start[1]
    share = np.clip(((y - start[0]) * down + (x - start[1]) * across) / (down**2 + across**2), 0, 1)
    distance = np.hypot(y - start[0] - share * down, x - start[1] - share * across)
    edge = (widths[0] + (widths[1] - widths[0]) * share - distance).astype(np.float32)
    dark[window] = np.where(edge > near, np.float32(tone), dark[window])
    np.maximum(near, edge, out=near)


def _renumbered(instances: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The same objects, numbered 1 to N without gaps."""
    numbers, dense = np.unique(instances, return_inverse=True)
    return dense.reshape(instances.shape).astype(np.int32) + (0 if numbers[0] == 0 else 1)

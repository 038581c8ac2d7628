"""What befalls real pictures: bad optics and files anywhere, and each modality's own artefacts.

A network that met them in training neither takes them for lesions nor loses lesions under them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

SHARE = 0.15
"""Of the images, how many each artefact of their modality befalls."""


def spoil(rng: np.random.Generator, image: Pixels) -> Pixels:
    """One of: lower resolution, blur, noise, JPEG artefacts, a covered rectangle. ``(Y,X,3) uint8``."""
    size = image.shape[0]
    kind = rng.integers(5)
    out: Any
    if kind == 0:
        small = max(8, round(size * rng.uniform(0.3, 0.8)))
        out = cv2.resize(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (size, size))
    elif kind == 1:
        out = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.0))
    elif kind == 2:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(3, 18))
        out = np.clip(image + noise, 0, 255)
    elif kind == 3:
        quality = int(rng.integers(20, 70))
        out = cv2.imdecode(
            cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR
        )
    else:
        out = image.copy()
        height, width = rng.integers(size // 12, size // 4, 2)
        top, left = rng.integers(0, size - height), rng.integers(0, size - width)
        out[top : top + height, left : left + width] = out.mean(axis=(0, 1))
    return np.asarray(out, np.uint8)


def afflict(rng: np.random.Generator, image: Pixels, names: Sequence[str]) -> Pixels:
    """Each artefact of ``names`` with probability :data:`SHARE`. ``(Y,X,3) uint8``."""
    for name in names:
        if rng.random() < SHARE:
            image = ARTEFACTS[name](rng, image)
    return image


def highlights(rng: np.random.Generator, image: Pixels) -> Pixels:
    """Specular reflections of a wet surface under the endoscope's lamp: small, elongated, saturated."""
    size = image.shape[0]
    glare = np.zeros(image.shape[:2], np.float32)
    for _ in range(int(rng.integers(1, 9))):
        centre = tuple(int(v) for v in rng.integers(0, size, 2))
        axes = tuple(int(v) for v in np.maximum(1, rng.uniform(0.004, 0.03, 2) * size))
        cv2.ellipse(glare, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, cv2.FILLED)
    glare = cv2.GaussianBlur(glare, (0, 0), 0.8 + 0.004 * size)[..., None].astype(np.float32) * 1.3
    return np.asarray(np.clip(image + glare * (255.0 - image), 0, 255), np.uint8)


def vignette(rng: np.random.Generator, image: Pixels) -> Pixels:
    """Light that falls off from a centre somewhere in the picture, as of a lamp beside the lens."""
    size = image.shape[0]
    y, x = np.ogrid[:size, :size]
    cy, cx = rng.uniform(0.3, 0.7, 2) * size
    far = ((y - cy) ** 2 + (x - cx) ** 2) / (0.5 * size * size)
    light = 1.0 - rng.uniform(0.3, 0.8) * np.minimum(far, 1.0)
    return np.asarray(image * light[..., None], np.uint8)


def depth_gain(rng: np.random.Generator, image: Pixels) -> Pixels:
    """Time-gain compensation set otherwise: a smooth factor along depth, the rows of an ultrasound image."""
    knots = np.exp(rng.normal(0.0, 0.35, 4))
    gain = np.interp(np.linspace(0, 3, image.shape[0]), np.arange(4), knots)
    return np.clip(image * gain[:, None, None], 0, 255).astype(np.uint8)


def shadow(rng: np.random.Generator, image: Pixels) -> Pixels:
    """An acoustic shadow: a soft-edged dark fan below something that lets no sound through."""
    size = image.shape[0]
    rows = np.arange(size, dtype=np.float32)[:, None]
    columns = np.arange(size, dtype=np.float32)[None]
    top, centre = rng.uniform(0.1, 0.7) * size, rng.uniform(0, 1) * size
    half = (rng.uniform(0.02, 0.1) + rng.uniform(0, 0.15) * np.maximum(rows - top, 0) / size) * size
    soft = 0.02 * size
    inside = 1 / (1 + np.exp(np.clip((np.abs(columns - centre) - half) / soft, -30, 30)))
    begun = 1 / (1 + np.exp(np.clip((top - rows) / soft, -30, 30)))
    dimmed = image * (1.0 - rng.uniform(0.3, 0.85) * inside * begun)[..., None]
    return np.asarray(dimmed, np.uint8)


ARTEFACTS: Mapping[str, Callable[[np.random.Generator, Pixels], Pixels]] = MappingProxyType(
    {"highlights": highlights, "vignette": vignette, "depth gain": depth_gain, "shadow": shadow}
)

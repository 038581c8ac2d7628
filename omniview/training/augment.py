"""Random views of an example: one affine warp for image and mask together, then colour by lookup table.

Everything is OpenCV on uint8, a few milliseconds an image, so that one core trains without a loader process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from omniview.training.artefacts import afflict, spoil
from omniview.training.dataset import Example

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a random view may stray.

    ``rotation_deg`` is the largest turn either way; ``scale`` multiplies the content's size; ``aspect`` and
    ``shift`` are relative; ``colour`` scales all colour changes (0: none, 1: as published recipes), of which
    ``brightness`` is the additive one's deviation in [0,1], ``pivot`` the grey level that contrast leaves
    alone, and ``tint`` scales what differs between channels (0 for grey images); ``spoil`` is the share of
    images that are resampled, made noisy or partly covered; ``artefacts`` names what besides befalls each
    image of this modality now and then (:data:`omniview.training.artefacts.ARTEFACTS`); with ``reflect`` the
    image is mirrored beyond its edge, else black.
    """

    rotation_deg: float = 180.0
    scale: tuple[float, float] = (0.6, 1.5)
    aspect: float = 0.12
    shift: float = 0.1
    hflip: bool = True
    vflip: bool = True
    colour: float = 1.0
    brightness: float = 0.08
    pivot: float = 0.5
    tint: float = 1.0
    spoil: float = 0.2
    reflect: bool = True
    artefacts: tuple[str, ...] = ()


def placement(shape: tuple[int, int], size: int, geometry: str) -> Matrix:
    """The 2x3 matrix that takes pixel centres of a ``shape (Y,X)`` image to a square input of ``size``.

    ``stretch`` fills the square, ``letterbox`` keeps the aspect and centres, ``tile`` keeps the scale and
    centres.
    """
    height, width = shape
    if geometry == "stretch":
        x, y = size / width, size / height
    elif geometry == "letterbox":
        x = y = size / max(height, width)
    elif geometry == "tile":
        x = y = 1.0
    else:
        raise ValueError(f"geometry must be stretch, letterbox or tile, got {geometry!r}")
    # Pixel centres sit at integer coordinates; scaling is about the corner at -0.5.
    left, top = (size - width * x) / 2, (size - height * y) / 2
    return np.array([[x, 0, 0.5 * x - 0.5 + left], [0, y, 0.5 * y - 0.5 + top]])


def random_matrix(
    rng: np.random.Generator, shape: tuple[int, int], size: int, geometry: str, how: Augmentation
) -> Matrix:
    """A random 2x3 map from ``shape (Y,X)`` to a square of ``size``: place, then turn, scale, flip, shift."""
    centre = (size - 1) / 2
    angle = np.deg2rad(rng.uniform(-how.rotation_deg, how.rotation_deg))
    scale = np.exp(rng.uniform(*np.log(how.scale)))
    aspect = np.exp(rng.uniform(-how.aspect, how.aspect) / 2)
    flip_x = -1.0 if how.hflip and rng.random() < 0.5 else 1.0
    flip_y = -1.0 if how.vflip and rng.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([scale * aspect * flip_x, scale / aspect * flip_y])
    shift = rng.uniform(-how.shift, how.shift, 2) * size
    base = placement(shape, size, geometry)
    if geometry == "tile":
        # Choose which part of the image lies at the centre; nothing to choose where the image is smaller.
        room = np.maximum(np.array(shape[::-1]) - size / scale, 0) / 2
        base[:, 2] += rng.uniform(-room, room)
    offset = np.array([centre, centre]) + shift - linear @ np.array([centre, centre])
    return np.hstack([linear @ base[:, :2], (linear @ base[:, 2] + offset)[:, None]])


def zoomed_matrix(
    rng: np.random.Generator, mask: Pixels, size: int, how: Augmentation, margin: tuple[float, float]
) -> Matrix:
    """A random 2x3 map that shows the structure of ``mask (Y,X)``, not empty, in a square of ``size``.

    The square is ``margin`` times as wide as the structure's longer side, the structure up to ``how.shift``
    of the square off its centre; turned, flipped and squeezed as ``how`` says.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    middle = np.array([columns[0] + columns[-1], rows[0] + rows[-1]]) / 2
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    scale = size / (longer * np.exp(rng.uniform(*np.log(margin))))
    linear = random_matrix(rng, (size, size), size, "tile", replace(how, scale=(1.0, 1.0)))[:, :2] * scale
    target = (size - 1) / 2 + rng.uniform(-how.shift, how.shift, 2) * size
    return np.hstack([linear, (target - linear @ middle)[:, None]])


def warp(pixels: Pixels, matrix: Matrix, size: int, *, reflect: bool) -> Pixels:
    """``pixels (Y,X[,C])`` through ``matrix`` onto a square of ``size``; beyond the edge reflected, or 0."""
    border = cv2.BORDER_REFLECT_101 if reflect else cv2.BORDER_CONSTANT
    return cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border).astype(
        np.uint8
    )


def random_view(
    rng: np.random.Generator,
    example: Example,
    size: int,
    geometry: str,
    how: Augmentation,
    *,
    soft: bool = False,
) -> tuple[Pixels, Pixels, Pixels | None]:
    """One random square view: image ``(size,size,3)``, mask ``(size,size)``, border weights or None.

    The mask is 0/255; with ``soft`` also what lies between, which keeps structures thinner than a pixel.
    """
    matrix = random_matrix(rng, example.mask.shape, size, geometry, how)
    return view_through(rng, example, matrix, size, how, soft=soft)


def view_through(
    rng: np.random.Generator,
    example: Example,
    matrix: Matrix,
    size: int,
    how: Augmentation,
    *,
    soft: bool = False,
) -> tuple[Pixels, Pixels, Pixels | None]:
    """As :func:`random_view`, the geometry given by ``matrix``, the colours random."""
    image = warp(example.image, matrix, size, reflect=how.reflect)
    mask = warp(example.mask, matrix, size, reflect=how.reflect)
    if not soft:
        mask = np.where(mask > 127, 255, 0).astype(np.uint8)
    border = None if example.border is None else warp(example.border, matrix, size, reflect=how.reflect)
    image = recolour(rng, image, how)
    if rng.random() < how.spoil:
        image = spoil(rng, image)
    return afflict(rng, image, how.artefacts), mask, border


def recolour(rng: np.random.Generator, image: Pixels, how: Augmentation) -> Pixels:
    """Random gamma, contrast, brightness, channel gain, saturation. ``(Y,X,3) uint8``."""
    if how.colour == 0:
        return image
    ramp = np.arange(256, dtype=np.float64) / 255
    gamma = np.exp(rng.normal(0, 0.2 * how.colour))
    contrast = np.exp(rng.normal(0, 0.2 * how.colour))
    brightness = rng.normal(0, how.brightness * how.colour)
    gains = np.exp(rng.normal(0, 0.06 * how.colour * how.tint, 3))
    curve = (ramp**gamma - how.pivot) * contrast + how.pivot + brightness
    table = np.clip(curve[:, None] * gains * 255 + 0.5, 0, 255).astype(np.uint8)
    out = cv2.LUT(image, table[None])
    saturation = np.exp(rng.normal(0, 0.3 * how.colour))
    if how.tint == 0:
        return np.asarray(out, np.uint8)
    grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(out, saturation, grey, 1 - saturation, 0).astype(np.uint8)

"""Painted answers: laid over the picture that was sent, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniview.core.image import BoolArray, UInt8Array
from omniview.errors import UnusableAnswer
from omniview.omnimodel.painted import painted_masks
from tests.omnimodel.forms import encoded

SHAPE = (240, 320)


def scene() -> UInt8Array:
    """A picture with structure at every scale, like tissue: smoothed noise."""
    rng = np.random.default_rng(3)
    layers = [
        cv2.resize(rng.random((n, n, 3)).astype(np.float32), SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
        for n in (4, 9, 30, 60)
    ]
    return np.clip(sum(layers) * 45 + 20, 0, 255).astype(np.uint8)


def truth() -> BoolArray:
    """An ellipse off the centre."""
    mask = np.zeros(SHAPE, np.uint8)
    cv2.ellipse(mask, (200, 100), (60, 35), 20, 0, 360, 1, -1)
    return mask.astype(np.bool_)


def overlaid(opacity: float = 0.7, outline: bool = False) -> UInt8Array:
    """Our picture with the ellipse coloured in, or circled."""
    picture = scene().astype(np.float32)
    where = truth()
    if outline:
        inner = cv2.erode(where.view(np.uint8), np.ones((9, 9), np.uint8)).astype(np.bool_)
        where = where & ~inner
    picture[where] = (1 - opacity) * picture[where] + opacity * np.array([40, 255, 60], np.float32)
    return picture.astype(np.uint8)


def overlap(found: BoolArray, expected: BoolArray) -> float:
    """IoU."""
    return float((found & expected).sum() / (found | expected).sum())


def changed(picture: UInt8Array, how: str) -> UInt8Array:
    """What image-output models do to a picture besides painting on it."""
    height, width = picture.shape[:2]
    if how == "moved":
        move = np.array([[1, 0, 9], [0, 1, -6]], np.float32)
        return np.asarray(
            cv2.warpAffine(picture, move, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8
        )
    if how == "doubled":
        return np.asarray(cv2.resize(picture, (2 * width, 2 * height)), np.uint8)
    if how == "squared":
        return np.asarray(cv2.resize(picture, (512, 512)), np.uint8)
    if how == "padded":
        out = np.zeros((width, width, 3), np.uint8)
        out[(width - height) // 2 : (width - height) // 2 + height] = picture
        return out
    if how == "brightened":
        return np.clip(picture.astype(np.int16) + 25, 0, 255).astype(np.uint8)
    return picture


@pytest.mark.parametrize("kind", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("size", [SHAPE, (480, 640), (236, 320), (60, 80)])
def test_a_plain_mask_is_stretched_over_the_picture(size: tuple[int, int], kind: str) -> None:
    """In any size and file format, up to what scaling costs."""
    picture = np.asarray(cv2.resize(truth().astype(np.uint8) * 255, size[::-1]), np.uint8)
    decoded = painted_masks(encoded(picture, kind), scene(), (480, 640), 1)
    expected = np.asarray(cv2.resize(truth().view(np.uint8), (640, 480)), np.bool_)
    assert decoded.masks.shape == (1, 480, 640)
    assert not decoded.masks.flags.writeable
    assert overlap(decoded.masks[0], expected) > (0.9 if size == (60, 80) else 0.96)
    assert decoded.objects == 1
    assert not decoded.nothing_found


def test_a_black_picture_says_that_there_is_nothing() -> None:
    """That is what was asked for in that case, and is told as such."""
    decoded = painted_masks(encoded(np.zeros(SHAPE, np.uint8), ".jpg"), scene(), SHAPE, 1)
    assert decoded.nothing_found
    assert not decoded.masks.any()


@pytest.mark.parametrize("how", ["as it is", "moved", "doubled", "squared", "padded", "brightened"])
def test_an_overlay_is_laid_back(how: str) -> None:
    """Our picture, painted over, comes back moved, scaled, padded or brightened; its mask lands in place."""
    decoded = painted_masks(encoded(changed(overlaid(), how), ".jpg"), scene(), SHAPE, 1)
    assert overlap(decoded.masks[0], truth()) > 0.9
    assert "painted over the picture" in decoded.notes[0]
    assert ("shifted" in " ".join(decoded.notes)) == (how == "moved")


def test_a_circled_object_counts_as_a_whole() -> None:
    """An outline stands for what it encloses."""
    decoded = painted_masks(encoded(overlaid(1.0, outline=True)), scene(), SHAPE, 1)
    assert overlap(decoded.masks[0], truth()) > 0.9


def _noise(side: int = 240) -> UInt8Array:
    return np.random.default_rng(0).integers(0, 256, (side, 320, 3), dtype=np.uint8)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "our own picture": (lambda: encoded(scene()), "nothing is painted on it"),
    "another picture": (lambda: encoded(scene()[::-1]), "neither a mask nor our picture"),
    "noise": (lambda: encoded(_noise()), "neither a mask nor our picture"),
    "all white": (lambda: encoded(np.full(SHAPE, 255, np.uint8)), "one colour all over"),
    "another shape": (
        lambda: encoded(np.eye(256, dtype=np.uint8) * 255),
        "does not fit a picture of 320x240",
    ),
    "grey": (lambda: encoded(np.full(SHAPE, 128, np.uint8)), "one colour all over"),
    "specks": (lambda: encoded((_noise()[..., 0] > 250).astype(np.uint8) * 255), "spots rather than objects"),
    "half a file": (lambda: encoded(overlaid())[:5000], "cut off or damaged"),
    "no file": (lambda: b"", "unknown kind"),
    "a GIF": (lambda: b"GIF89a" + bytes(50), "unknown kind"),
    "a head alone": (lambda: encoded(overlaid())[:20], "cut off or damaged"),
    "a thread": (lambda: encoded(np.zeros((1, 9000), np.uint8)), "9000x1 pixels"),
    "tiny": (lambda: encoded(np.zeros((3, 4), np.uint8)), "4x3 pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_laid_over_is_refused(name: str) -> None:
    """No mask without a reason to believe where it lies."""
    make, reason = REFUSED[name]
    with pytest.raises(UnusableAnswer, match=reason) as caught:
        painted_masks(make(), scene(), SHAPE, 1)
    assert caught.value.next_step


def test_several_labels_cannot_be_told_apart() -> None:
    """One picture for two labels is refused rather than given to the first."""
    with pytest.raises(UnusableAnswer, match="several labels"):
        painted_masks(encoded(truth().astype(np.uint8) * 255), scene(), SHAPE, 2)


@given(st.integers(0, 10**9), st.sampled_from([".png", ".jpg", ".webp"]))
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_ends_well(seed: int, kind: str) -> None:
    """Flipped and missing bytes give a mask or a reason, whatever they do to the reader."""
    rng = np.random.default_rng(seed)
    data = bytearray(encoded(overlaid() if seed % 2 else truth().astype(np.uint8) * 255, kind))
    for place in rng.integers(0, len(data), rng.integers(1, 9)):
        data[place] = rng.integers(0, 256)
    if seed % 3 == 0:
        del data[rng.integers(0, len(data)) :]
    try:
        decoded = painted_masks(bytes(data), scene(), SHAPE, 1)
    except UnusableAnswer:
        return
    assert decoded.masks.shape == (1, *SHAPE)
    assert decoded.nothing_found == (not decoded.masks.any())

"""What a SAM-family pair is fed and what it gives back, between the image's grid and the networks' frame.

SAM scales an image until its longer side fills the frame, top left, padded below or beside; SAM 2 and
EfficientSAM stretch it. Every way in has its way back here. Pixel centres lie at half-integers in both grids;
the graphs add half a pixel to a point, so that a point is given as index, and a box's edge as half an index
less.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from omniview.core.geometry import Placement, resize, resize_maps, stretch
from omniview.core.guidance import Guidance
from omniview.core.image import Array, FloatArray, UInt8Array
from omniview.errors import InferenceError
from omniview.inference.sam_card import PixelForm
from omniview.inference.session import Session
from omniview.omnimodel.sam_signature import TYPES, Signature

__all__ = ["cast", "image_feed", "place", "prompt_feeds", "restore"]

_PADDING, _NEGATIVE, _POSITIVE, _TOP_LEFT, _BOTTOM_RIGHT = -1, 0, 1, 2, 3  # labels of points
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of pixels in [0,1]
_SURE = 1e-3  # an earlier mask is shown as log-odds, of probabilities no nearer to 0 and 1 than this


def place(pair: Signature, rgb: UInt8Array) -> tuple[UInt8Array, Placement]:
    """(h,w,3) pixels of the image within the frame, without padding, and where in the frame they lie."""
    shape = rgb.shape[0], rgb.shape[1]
    if pair.family != "SAM":
        pixels, placement = stretch(rgb, pair.size)
        return pixels, placement
    factor = min(pair.size[0] / shape[0], pair.size[1] / shape[1])
    height, width = (max(1, int(n * factor + 0.5)) for n in shape)
    return resize(rgb, (height, width)), Placement(shape, pair.size, (0, 0, height, width))


def image_feed(pair: Signature, pixels: UInt8Array, form: PixelForm | None) -> Array:
    """The encoder's input of placed pixels; padding is 0 after all that is done to pixels out here."""
    values = pixels.astype(np.float32)
    form = form or ("bytes" if not pair.planar else "unit" if pair.family == "EfficientSAM" else "imagenet")
    if form != "bytes":
        values *= np.float32(1 / 255)
    if form == "imagenet":
        values -= np.array(_MEAN, np.float32)
        values /= np.array(_STD, np.float32)
    if pair.planar or pair.fixed:
        below, beside = pair.size[0] - values.shape[0], pair.size[1] - values.shape[1]
        values = np.pad(values, ((0, below), (0, beside), (0, 0)))
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None]) if pair.planar else values


def prompt_feeds(
    pair: Signature, shown: Guidance, placement: Placement
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The decoder's inputs for what is shown, but for the features.

    Args:
        pair: what is fed.
        shown: clicks, box and earlier mask, in image pixels.
        placement: where the image lies in the frame.

    Returns:
        Name to array, and what could not be shown, in words.
    """
    coords, labels, unsaid = _points(pair, shown, placement)
    feeds: dict[str, Array] = {"coords": coords[None], "labels": labels[None]}
    if pair.family == "EfficientSAM":
        feeds = {name: value[None] for name, value in feeds.items()}
    if pair.mask_side is not None:
        seen = shown.prior is not None
        mask = _log_odds(shown.prior, placement, pair.mask_side) if shown.prior is not None else 0
        feeds["mask"] = np.broadcast_to(np.asarray(mask, np.float32), (1, 1, *pair.mask_side))
        feeds["has_mask"] = np.array([seen], np.float32)
    elif shown.prior is not None:
        unsaid = (*unsaid, "the earlier mask itself")
    # masks are asked for at the frame's own scale: of a large image they would fill the memory
    feeds["size"] = np.array(placement.box[2:], np.float32)
    return {pair.decoder[role]: value for role, value in feeds.items() if role in pair.decoder}, unsaid


def restore(pair: Signature, logits: FloatArray, placement: Placement) -> FloatArray:
    """(Y,X) float32 probability at the image's own size, of (h,w) logits as the decoder gives them.

    Raises:
        InferenceError: the masks are of a size that does not follow the image's.
    """
    if pair.low or "size" not in pair.decoder:
        whole = resize_maps(logits[None], placement.size)
        back = placement.inverse(whole)
    elif logits.shape == placement.box[2:]:
        back = resize_maps(logits[None], placement.shape)
    else:
        raise InferenceError(
            f"The decoder's masks are {logits.shape[0]}x{logits.shape[1]} where "
            f"{placement.box[2]}x{placement.box[3]} was asked for: it was exported for one shape of image.",
            "Export it with low_res_masks among its outputs, or without a fixed image size.",
        )
    return np.asarray(1 / (1 + np.exp(-np.clip(back[0], -60, 60))), np.float32)


def _points(
    pair: Signature, shown: Guidance, placement: Placement
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """(N,2) x and y in the frame, (N) labels, and what was left out."""
    Y, X = placement.shape
    _, _, height, width = placement.box
    marks: list[tuple[float, float, int]] = []
    if shown.box is not None:
        top, left, bottom, right = shown.box
        # a box is given by its edges, a click by its pixel's index: half a pixel lies between the two
        marks.append((max(top, 0) - 0.5, max(left, 0) - 0.5, _TOP_LEFT))
        marks.append((min(bottom, Y) - 0.5, min(right, X) - 0.5, _BOTTOM_RIGHT))
    clicks = [(row, column, _POSITIVE) for row, column in shown.positive]
    unsaid: list[str] = []
    if pair.family == "EfficientSAM":
        if shown.negative:
            unsaid.append(f"{len(shown.negative)} negative click(s), which EfficientSAM does not know")
    else:
        clicks += [(row, column, _NEGATIVE) for row, column in shown.negative]
    room = len(clicks) if pair.points is None else pair.points - len(marks)
    if len(clicks) > room:
        unsaid.append(f"{len(clicks) - room} click(s) beyond the {pair.points} points that it takes")
    marks += clicks[max(0, len(clicks) - room) :]
    if pair.family == "SAM" and shown.box is None and (pair.points is None or len(marks) < pair.points):
        marks.append((-0.5, -0.5, _PADDING))
    while pair.padded and pair.points is not None and len(marks) < pair.points:
        marks.append((-0.5, -0.5, _PADDING))
    rows, columns, labels = np.array(marks, np.float32).reshape(-1, 3).T
    x = (columns + 0.5) * np.float32(width / X) - 0.5
    y = (rows + 0.5) * np.float32(height / Y) - 0.5
    padding = labels == _PADDING
    x[padding] = y[padding] = 0
    return np.stack([x, y], axis=1), labels, tuple(unsaid)


def _log_odds(prior: FloatArray, placement: Placement, side: tuple[int, int]) -> FloatArray:
    """The earlier mask, placed in the frame and brought to the decoder's own resolution."""
    top, left, height, width = placement.box
    frame = np.zeros(placement.size, np.float32)
    frame[top : top + height, left : left + width] = resize(prior, (height, width))
    small = np.clip(resize(frame, side), _SURE, 1 - _SURE)
    return np.asarray(np.log(small / (1 - small)), np.float32)


def cast(session: Session, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """`feeds` in the types that the network declares."""
    types = session.types
    return {name: np.ascontiguousarray(value, TYPES[types[name]]) for name, value in feeds.items()}

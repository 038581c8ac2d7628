"""Which SAM-family export a pair of ONNX files is, told from the networks' own signatures.

File names say nothing: everybody exports under names of their own. What the published exports have in common
are the names and shapes of their inputs and outputs:

    SAM, MobileSAM   encoder: one image, longer side 1024, padded at the bottom and right -> embedding
                     decoder: image_embeddings (1,256,64,64), point_coords (1,N,2), point_labels (1,N),
                     mask_input (1,1,256,256), has_mask_input (1), orig_im_size (2)
                     -> masks, iou_predictions, low_res_masks
    SAM 2            encoder: one image, stretched to 1024x1024 -> embedding and two finer features
                     decoder: as SAM, with image_embed, high_res_feats_0, high_res_feats_1 (or
                     image_embeddings, image_features_0, image_features_1, input_masks, has_input_masks)
    EfficientSAM     encoder: batched_images (1,3,Y,X), stretched inside of the graph -> embedding
                     decoder: image_embeddings, batched_point_coords (1,Q,N,2), batched_point_labels (1,Q,N),
                     orig_im_size (2) -> output_masks (1,Q,M,Y,X), iou_predictions (1,Q,M)

All of them add half a pixel to a point inside of the graph: a point is given as an index, whose pixel's
centre has no fraction. Sources: the export scripts of segment-anything, MobileSAM, EfficientSAM, samexporter
and ONNX Runtime's own for SAM 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np

from omniview.errors import WeightsError
from omniview.inference.session import Session

__all__ = ["TYPES", "Family", "Signature", "recognise"]

Family: TypeAlias = Literal["SAM", "SAM 2", "EfficientSAM"]
_Shape: TypeAlias = tuple[int | str | None, ...]

_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "embedding": ("image_embeddings", "image_embed"),
        "fine": ("high_res_feats_0", "image_features_0"),
        "finer": ("high_res_feats_1", "image_features_1"),
        "coords": ("point_coords", "batched_point_coords"),
        "labels": ("point_labels", "batched_point_labels"),
        "mask": ("mask_input", "input_masks"),
        "has_mask": ("has_mask_input", "has_input_masks"),
        "size": ("orig_im_size", "original_image_size"),
    }
)
"""What a decoder's input is for, to the names under which it is published."""
_FEATURES = ("embedding", "fine", "finer")
TYPES: Mapping[str, Any] = MappingProxyType(
    {
        "tensor(float)": np.float32,
        "tensor(float16)": np.float16,
        "tensor(double)": np.float64,
        "tensor(int64)": np.int64,
        "tensor(int32)": np.int32,
        "tensor(uint8)": np.uint8,
    }
)
_SIZE, _STRIDE = (
    1024,
    16,
)  # of the published networks: pixels of the input, and of it for one of the embedding
_EFFICIENT_POINTS = 6  # EfficientSAM's decoder drops what goes beyond


@dataclass(frozen=True, slots=True)
class Signature:
    """A recognised export: all that has to be known to feed it.

    Attributes:
        family: whose export it is.
        size: (h,w) of the network's own frame, pixels.
        decoder: what the decoder's input is for, to its name there.
        features: name of the encoder's output to the decoder's input that takes it.
        planar: whether the encoder takes (1,3,h,w); else (h,w,3).
        fixed: whether the encoder's input has a fixed height and width.
        points: how many points the decoder takes, or None if any number.
        padded: whether it takes exactly that many, so that the rest must be filled.
        mask_side: (h,w) of the earlier mask that it takes, or None if it takes none.
        masks: name of the output that is read.
        low: whether that output shows the whole frame, padding included, at a resolution of its own.
    """

    family: Family
    size: tuple[int, int]
    decoder: Mapping[str, str]
    features: Mapping[str, str]
    planar: bool
    fixed: bool
    points: int | None
    padded: bool
    mask_side: tuple[int, int] | None
    masks: str
    low: bool


def recognise(encoder: Session, decoder: Session) -> Signature:
    """What `encoder` and `decoder` are together.

    Raises:
        WeightsError: they are no SAM-family pair, or not of the same one; the message says what does not fit.
    """
    inputs, given = decoder.inputs, encoder.outputs
    roles = {role: name for role, names in _NAMES.items() for name in names if name in inputs}
    if strange := sorted(set(inputs) - set(roles.values())):
        raise _refused(f"the decoder asks for {', '.join(strange)}, which no known export has")
    if missing := [_NAMES[role][0] for role in ("embedding", "coords", "labels") if role not in roles]:
        raise _refused(f"the decoder has no input {' and no '.join(missing)}")
    if ("fine" in roles) != ("finer" in roles) or ("mask" in roles) != ("has_mask" in roles):
        raise _refused(f"the decoder's inputs {', '.join(inputs)} are not complete")
    family = _family(roles, inputs)
    planar, image = _image(encoder, family)
    features = _features(roles, inputs, given)
    side = inputs[roles["embedding"]][-1]
    whole = side * _STRIDE if isinstance(side, int) else _SIZE
    fixed = all(isinstance(n, int) for n in image)
    size = (_number(image[0], whole), _number(image[1], whole))
    points, padded = _room(inputs[roles["coords"]], family)
    mask = inputs[roles["mask"]][-2:] if "mask" in roles else None
    masks, low = _masks(decoder.outputs)
    for session in (encoder, decoder):
        if odd := [f"{name}: {kind}" for name, kind in session.types.items() if kind not in TYPES]:
            raise _refused(f"inputs of a type that cannot be given here ({', '.join(odd)})")
    return Signature(
        family,
        size,
        MappingProxyType({role: name for role, name in roles.items() if role not in _FEATURES}),
        MappingProxyType(features),
        planar,
        fixed,
        points,
        padded,
        None if mask is None else (_number(mask[0], size[0] // 4), _number(mask[1], size[1] // 4)),
        masks,
        low,
    )


def _family(roles: Mapping[str, str], inputs: Mapping[str, _Shape]) -> Family:
    rank = len(inputs[roles["coords"]])
    if rank == 4:
        if "fine" in roles or "mask" in roles:
            raise _refused("the decoder's inputs are those of two families at once")
        return "EfficientSAM"
    if rank != 3 or len(inputs[roles["labels"]]) != 2:
        raise _refused(f"{roles['coords']} is {_shown(inputs[roles['coords']])}, not (1,N,2)")
    return "SAM 2" if "fine" in roles else "SAM"


def _image(encoder: Session, family: Family) -> tuple[bool, tuple[int | str | None, int | str | None]]:
    """Whether the encoder wants planes, and its height and width."""
    if len(encoder.inputs) != 1:
        raise _refused(
            f"the encoder has {len(encoder.inputs)} inputs ({', '.join(encoder.inputs)}), not one image"
        )
    ((name, shape),) = encoder.inputs.items()
    if (name == "batched_images") != (family == "EfficientSAM"):
        raise _refused(f"the decoder is of {family}, the encoder's input {name} is not")
    if len(shape) == 4 and _fits(shape[1], 3):
        return True, (shape[2], shape[3])
    if len(shape) == 3 and _fits(shape[2], 3):
        return False, (shape[0], shape[1])
    raise _refused(f"the encoder's input {name} is {_shown(shape)}, not (1,3,Y,X) or (Y,X,3)")


def _features(
    roles: Mapping[str, str], inputs: Mapping[str, _Shape], given: Mapping[str, _Shape]
) -> dict[str, str]:
    """The encoder's outputs to the decoder's inputs, by name and shape."""
    wanted = [role for role in _FEATURES if role in roles]
    found = {role: next((name for name in _NAMES[role] if name in given), None) for role in _FEATURES}
    if wanted == ["embedding"] and len(given) == 1:
        found = {"embedding": next(iter(given))}  # there is nothing to mistake it for
    pairs = {name: role for role, name in found.items() if name is not None}
    if set(pairs.values()) != set(wanted):
        raise _refused(
            f"the encoder gives {', '.join(given)}, the decoder takes {', '.join(roles[r] for r in wanted)}"
        )
    for name, role in pairs.items():
        there, here = given[name], inputs[roles[role]]
        if len(there) != len(here) or not all(_fits(a, b) for a, b in zip(there, here, strict=True)):
            raise _refused(f"the encoder's {name} is {_shown(there)}, the decoder takes {_shown(here)}")
    return {name: roles[role] for name, role in pairs.items()}


def _room(coords: _Shape, family: Family) -> tuple[int | None, bool]:
    """How many points fit, and whether exactly that many must be given."""
    room = coords[-2]
    if isinstance(room, int):
        if room < 2:
            raise _refused("the decoder takes a single point, so that no box fits; export it with more")
        return room, True
    return (_EFFICIENT_POINTS if family == "EfficientSAM" else None), False


def _masks(outputs: Mapping[str, _Shape]) -> tuple[str, bool]:
    """The output to read, and whether it shows the whole frame."""
    if "iou_predictions" not in outputs:
        raise _refused(f"the decoder gives {', '.join(outputs)} but no iou_predictions")
    for name, low in (("low_res_masks", True), ("masks", False), ("output_masks", False)):
        if name in outputs:
            return name, low
    raise _refused(f"the decoder gives {', '.join(outputs)} but no masks")


def _fits(a: int | str | None, b: int | str | None) -> bool:
    return not (isinstance(a, int) and isinstance(b, int)) or a == b


def _number(value: int | str | None, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _shown(shape: _Shape) -> str:
    return "(" + ",".join(str(n) for n in shape) + ")"


def _refused(reason: str) -> WeightsError:
    return WeightsError(
        f"This is no SAM-family pair that is known here: {reason}.",
        "Give the encoder and the decoder of one export of SAM, MobileSAM, EfficientSAM or SAM 2.",
    )

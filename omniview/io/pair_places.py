"""What the folders of a tree are: of images, of masks, of one reader's masks, and which belong together.

A name alone does not tell. `images` may hold a whole data set that has `images` and `masks` of its own, and
a folder of any name holds images where it alone lies beside a folder of masks. So folders are judged by their
neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from omniview.io.pair_names import is_image_folder, part_of_isic, rank_of_folder, reader_of_folder, twin_of

__all__ = ["Place", "places_of"]

_LEAST = 1000
"""The rank of a folder of masks that is known by its twin of images alone."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of the files in one folder.

    Attributes:
        rank: how surely they are masks, 0 most; None if they are none.
        called: the name of the folder of masks.
        reader: whose masks they are.
        parent: what lies above the folder of masks, with a slash behind each folder.
        parent_of_images: what lies above the folder of images, or None where they lie in none.
        parents: every folder above, and the folder itself.
        group: the folders without those that only tell images from masks.
        part: which year and split of ISIC, or empty.
    """

    rank: int | None
    called: str
    reader: str
    parent: str
    parent_of_images: str | None
    parents: tuple[str, ...]
    group: str
    part: str


@dataclass(frozen=True, slots=True)
class _Role:
    """What one folder is among its neighbours: of masks where it has a rank, else of images."""

    rank: int | None
    instead: str = ""


def places_of(belows: Iterable[str], others: Iterable[str] = ()) -> Mapping[str, Place]:
    """The place of each folder.

    Args:
        belows: folders that hold files, seen from the root, each part with a slash behind it.
        others: folders that are there as well, and may hold some.
    """
    holding = dict.fromkeys(belows)
    inside: dict[str, dict[str, None]] = {}
    for below in (*holding, *others):
        parts = below.split("/")[:-1]
        for at, part in enumerate(parts):
            inside.setdefault("".join(f"{one}/" for one in parts[:at]), {})[part] = None
    roles = {parent: _roles(tuple(names)) for parent, names in inside.items()}
    for parent, own in roles.items():
        _add_sole(parent, own, inside, roles, holds_files=parent in holding)
    return MappingProxyType({below: _place(below, roles) for below in (*holding, *others)})


def _roles(names: tuple[str, ...]) -> dict[str, _Role]:
    """The folders of one parent that have a role by their names."""
    lower = {name.lower() for name in names}
    found: dict[str, _Role] = {}
    for name in names:
        if (rank := rank_of_folder(name.lower())) is not None:
            found[name] = _Role(rank)
        elif is_image_folder(name.lower()):
            found[name] = _Role(None)
        elif (twin := twin_of(name.lower())) in lower:
            found[name] = _Role(_LEAST, "" if is_image_folder(twin) else f"{twin}/")
    return found


def _add_sole(
    parent: str,
    own: dict[str, _Role],
    inside: Mapping[str, Mapping[str, None]],
    roles: Mapping[str, Mapping[str, _Role]],
    *,
    holds_files: bool,
) -> None:
    """The one folder beside folders of masks holds the images, if nothing else could."""
    masks = [name for name, role in own.items() if role.rank is not None and not role.instead]
    others = [name for name in inside[parent] if name not in own]
    if not masks or len(own) > len(masks) or len(others) != 1 or holds_files:
        return
    sole = f"{parent}{others[0]}/"
    if any(at.startswith(sole) and there for at, there in roles.items()):
        return  # a data set of its own
    if not any(others[0] in inside.get(f"{parent}{mask}/", ()) for mask in masks):
        own[others[0]] = _Role(None)


def _place(below: str, roles: Mapping[str, Mapping[str, _Role]]) -> Place:
    parts = below.split("/")[:-1]
    parents = tuple("".join(f"{part}/" for part in parts[:n]) for n in range(len(parts) + 1))
    named = [at for at, part in enumerate(parts) if part in roles[parents[at]]]
    at = _where(named, [roles[parents[at]] for at in named])
    if at is not None and roles[parents[at]][parts[at]].rank is None:
        # masks within a folder of images are the nearest that these have, whatever lies beside it
        inner = (n for n in named if n > at and roles[parents[n]][parts[n]].rank is not None)
        at = next(inner, at)
    if at is None:
        return Place(None, "", "", "", None, parents, below, "")
    name, role = parts[at].lower(), roles[parents[at]][parts[at]]
    group = parents[at] + role.instead + below[len(parents[at + 1]) :]
    part = part_of_isic(name)
    if role.rank is None:
        return Place(None, "", "", "", parents[at], parents, group, part)
    return Place(role.rank, parts[at], reader_of_folder(name), parents[at], None, parents, group, part)


def _where(named: list[int], beside: list[Mapping[str, _Role]]) -> int | None:
    """Which of several folders with a role above each other counts: one with its counterpart beside it."""
    for wanted in ({True, False}, {True}):
        for at, own in zip(named, beside, strict=True):
            if wanted <= {role.rank is not None for role in own.values()}:
                return at
    return named[0] if named else None

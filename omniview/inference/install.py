"""A model of the person's own comes to stay: card and weights into OmniView's home, chosen for its task."""

from __future__ import annotations

import shutil
import tomllib
from itertools import chain, count
from pathlib import Path

from omniview import resources
from omniview.errors import CardError, OutputError
from omniview.inference.card import SpecialistCard, find_cards, read_card
from omniview.inference.weights import verified
from omniview.settings import Settings, home

__all__ = ["free", "install"]


def install(card: SpecialistCard, *, rename: bool = False) -> Path:
    """Copy ``card`` with its weights to where models are found, and choose it for its task; the new card.

    No model is ever replaced but by its own weights. The files of the weights carry a part of their hash, and
    the card comes last and whole: it alone is the switch, so that a kill at any moment leaves either what was
    there or what is new, never a card with the weights of another.

    Args:
        card: in the folder of its weights.
        rename: what to do where another model has the name: take `name-2` and so on, or refuse.

    Raises:
        WeightsError: the weights are missing, or not those that the card names.
        OutputError: another model has the name; or the folder or the settings cannot be written.
        SettingsError: the settings cannot be read.
    """
    import tomli_w

    folder = home() / "models"
    settings = Settings.load(environment=False)
    sources = {name: verified(card.folder / name, sha256) for name, sha256 in card.files()}
    own = _own_name(card) if rename else free(card.name, card.sha256)
    names = {old: f"{own}-{sha256[:8]}{Path(old).suffix}" for old, sha256 in card.files()}
    try:
        values = tomllib.loads((card.folder / f"{card.name}.toml").read_text("utf-8"))
        values |= {"name": own, "weights": names[card.weights]}
        if card.int8 is not None:
            values["int8"]["weights"] = names[card.int8.weights]
        if "fetch" in values:
            values["fetch"] = {names.get(name, name): origin for name, origin in values["fetch"].items()}
        folder.mkdir(parents=True, exist_ok=True)
        for old, source in sources.items():
            part = folder / f"{names[old]}.part"
            shutil.copyfile(source, part)
            part.replace(folder / names[old])
        part = folder / f"{own}.toml.part"
        part.write_bytes(tomli_w.dumps(values).encode())
        part.replace(folder / f"{own}.toml")
    except OSError as error:
        raise OutputError(
            f"The model cannot be put into {folder} ({error.strerror}).",
            "Make room there, or make it writable.",
        ) from error
    settings.changed(specialists={**settings.specialists, card.task: own}).save()
    return folder / f"{own}.toml"


def free(name: str, sha256: str | None = None) -> str:
    """``name``, if no model has it but one with weights of that SHA-256.

    Raises:
        OutputError: another has it.
    """
    if _taken(name, sha256):
        raise OutputError(
            f"There is another model named {name} already, which would be lost or hidden.",
            "Give the new one another name with --name.",
        )
    return name


def _own_name(card: SpecialistCard) -> str:
    names = chain([card.name], (f"{card.name}-{place}" for place in count(2)))
    return next(name for name in names if not _taken(name, card.sha256))


def _taken(name: str, sha256: str | None) -> bool:
    folder = home() / "models"
    path = folder / f"{name}.toml"
    try:
        if path.exists() and read_card(path).name != name:
            return True
    except CardError:  # it may be mended yet
        return True
    # one after the other: together, one of the person's own would hide the shipped one
    cards = (card for place in (resources.path("models"), folder) for card in find_cards([place]).cards)
    same = (isinstance(card, SpecialistCard) and card.sha256 == sha256 for card in cards if card.name == name)
    return not all(same)

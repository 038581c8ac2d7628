"""A model of the person's own comes to stay: card and weights into OmniView's home, chosen for its task."""

from __future__ import annotations

import shutil
from pathlib import Path

from omniview.errors import OutputError
from omniview.inference.card import SpecialistCard
from omniview.inference.weights import verified
from omniview.settings import Settings, home

__all__ = ["install"]


def install(card: SpecialistCard) -> Path:
    """Copy ``card`` with its weights to where models are found, and choose it for its task; the new card.

    The card comes last and each file whole, so that nothing half done is ever found. A model of the same name
    is replaced.

    Raises:
        WeightsError: the weights are missing, or not those that the card names.
        OutputError: the folder or the settings cannot be written.
        SettingsError: the settings cannot be read.
    """
    folder = home() / "models"
    settings = Settings.load(environment=False)
    files = [(verified(card.folder / name, sha256), name) for name, sha256 in card.files()]
    files.append((card.folder / f"{card.name}.toml", f"{card.name}.toml"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, name in files:
            part = folder / f"{name}.part"
            shutil.copyfile(source, part)
            part.replace(folder / name)
    except OSError as error:
        raise OutputError(
            f"The model cannot be put into {folder} ({error.strerror}).",
            "Make room there, or make it writable.",
        ) from error
    settings.changed(specialists={**settings.specialists, card.task: card.name}).save()
    return folder / f"{card.name}.toml"

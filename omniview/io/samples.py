"""Cases to look at before one has any of one's own; none needs a download.

Photographs come out of the wheels of scikit-image and pydicom, which publish them for this purpose. The
phantoms come with their exact truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from omniview.core import phantom
from omniview.core.case import Truth
from omniview.core.image import Image, Modality
from omniview.errors import UnreadableFile
from omniview.io.read import read

__all__ = ["SAMPLES", "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A built-in case.

    Attributes:
        key: the word it is chosen by.
        title: what it is, for a person.
        task: name of the task that fits.
        load: makes the image, and its truth where there is one; takes up to a second, raises UnreadableFile.
    """

    key: str
    title: str
    task: str
    load: Callable[[], tuple[Image, Truth | None]]


def _fundus() -> tuple[Image, None]:
    import skimage

    path = Path(skimage.__file__).parent / "data" / "retina.jpg"
    return replace(read(path), modality=Modality.FUNDUS, name="fundus photograph"), None


def _ultrasound() -> tuple[Image, None]:
    from pydicom.data import get_testdata_file

    path = get_testdata_file("examples_jpeg2k.dcm", download=False)
    if path is None:
        raise UnreadableFile("The ultrasound sample is not in this installation of pydicom.", "Reinstall it.")
    return replace(read(Path(str(path))), name="ultrasound of a lymph node"), None


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        sample.key: sample
        for sample in (
            Sample("polyp-phantom", "Polyp, made by code", "polyp", phantom.endoscopy),
            Sample("vessel-phantom", "Fundus vessels, made by code", "vessel", phantom.fundus),
            Sample("breast-phantom", "Breast lesion, made by code", "breast", phantom.ultrasound),
            Sample("nuclei-phantom", "Fluorescent nuclei, made by code", "nuclei", phantom.nuclei),
            Sample("fundus", "Fundus photograph of a healthy eye (from scikit-image)", "vessel", _fundus),
            Sample("ultrasound", "Ultrasound of a lymph node (from pydicom)", "breast", _ultrasound),
        )
    }
)
"""Key to sample, in the order in which they are offered."""

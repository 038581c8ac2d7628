"""IO binding: runs of one shape keep their inputs and outputs in the same places on the device.

Allocating anew and asking where each array lies costs more, at each run on a GPU, than a small network does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from omniview.core.image import Array

__all__ = ["Bound"]


class Bound:
    """Places for the inputs and outputs of runs of one shape; the outputs' shapes must follow from it.

    Args:
        session: ONNX Runtime's.
        feeds: input name to array, of the shapes that all runs will have.
        device: as ONNX Runtime names it, "cuda" or "cpu".
    """

    def __init__(self, session: Any, feeds: Mapping[str, Array], device: str) -> None:
        import onnxruntime as ort

        self._session = session
        # of copies: where the device shares the CPU's memory, a place is the very array that it is made from
        self._places = {
            name: ort.OrtValue.ortvalue_from_numpy(np.array(feed, order="C"), device, 0)
            for name, feed in feeds.items()
        }
        self._binding = session.io_binding()
        for name, place in self._places.items():
            self._binding.bind_ortvalue_input(name, place)
        for output in session.get_outputs():
            self._binding.bind_output(output.name, device, 0)

    def run(self, feeds: Mapping[str, Array], options: Any) -> list[Array]:
        """All outputs for `feeds`, in the session's order."""
        for name, feed in feeds.items():
            self._places[name].update_inplace(np.ascontiguousarray(feed))
        self._session.run_with_iobinding(self._binding, options)
        # copied for the same reason
        return [np.array(output) for output in self._binding.copy_outputs_to_cpu()]

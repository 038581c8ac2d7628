"""Which values the tensors of a network take, and where to clip them for eight bits.

ONNX Runtime's own calibration keeps every tensor of every image in memory and, for percentiles, gives ranges
that are symmetric about zero, which wastes half of the levels behind a ReLU. Here a histogram is kept of each
tensor, and the range is the one whose rounding and clipping errors have the least mean square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from omniview.core.image import FloatArray

BINS = 2048
LEVELS = 255
CUTS = (0.0, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
"""Shares of a tensor's values that may be clipped at either end."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How often a tensor takes which value.

    Attributes:
        low: the lowest value seen.
        high: the highest.
        counts: (BINS,) float64, of values in equal bins from `low` to `high`.
    """

    low: float
    high: float
    counts: NDArray[np.float64]

    def range(self) -> tuple[float, float]:
        """The range, zero within it, that 255 equal steps cover with the least mean square error.

        Tried are all pairs of `CUTS` at the lower and the upper end.
        """
        if not self.high > self.low:
            return min(0.0, self.low), max(0.0, self.high)
        width = (self.high - self.low) / BINS
        centres = self.low + width * (np.arange(BINS, dtype=np.float64) + 0.5)
        below = np.cumsum(self.counts) / self.counts.sum()
        best, least = (self.low, self.high), np.inf
        for left in CUTS:
            # the bins' outer edges: without a cut exactly the lowest and the highest value
            low = min(
                0.0, self.low + width * float(np.searchsorted(below, left, "right")) if left else self.low
            )
            for right in CUTS:
                kept = float(np.searchsorted(below, 1.0 - right, "left")) + 1 if right else BINS
                high = max(0.0, self.low + width * kept)
                error = self._error(centres, low, high)
                if error < least:
                    best, least = (low, high), error
        return best

    def _error(self, values: NDArray[np.floating], low: float, high: float) -> float:
        step = (high - low) / LEVELS
        if step <= 0.0:
            return float(np.inf)
        # a value within the range is off by up to half a step, evenly: its mean square is step^2 / 12
        outside = np.maximum(np.maximum(low - values, values - high), 0.0)
        return float(np.sum(self.counts * np.where(outside > 0.0, outside**2, step**2 / 12.0)))


def observe(
    model: onnx.ModelProto, tensors: Sequence[str], feeds: Callable[[], Iterable[Mapping[str, FloatArray]]]
) -> dict[str, Histogram]:
    """Histograms of `tensors` (names within `model`, its inputs included) while it runs on `feeds`.

    Args:
        model: with shapes inferred; float32.
        tensors: names of float32 tensors.
        feeds: gives the inputs again at each call, the same ones: first the extremes are found.
    """
    import onnxruntime as ort

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    inputs = {value.name for value in model.graph.input}
    known = {value.name for value in watched.graph.output} | inputs
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in tensors
        if name not in known
    )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inside = [name for name in tensors if name not in inputs]

    def seen() -> Iterable[tuple[str, FloatArray]]:
        for feed in feeds():
            yield from zip(inside, session.run(inside, dict(feed)), strict=True)
            yield from ((name, feed[name]) for name in tensors if name in inputs)

    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for name, values in seen():
        lows[name] = min(lows.get(name, np.inf), float(values.min()))
        highs[name] = max(highs.get(name, -np.inf), float(values.max()))
    counts = {name: np.zeros(BINS) for name in tensors}
    for name, values in seen():
        # OpenCV leaves out the upper end
        ends = [lows[name], float(np.nextafter(np.float32(highs[name]), np.float32(np.inf)))]
        if ends[1] > ends[0]:
            flat = np.ascontiguousarray(values).reshape(1, -1)
            counts[name] += cv2.calcHist([flat], [0], None, [BINS], ends).ravel()
    return {name: Histogram(lows[name], highs[name], counts[name]) for name in tensors}

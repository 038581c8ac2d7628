"""Every metric beside the fastest library that gives the same value, on the same images, in one run.

    python -m tests.benchmarks.metrics [--sizes 512 1024 2048] [--rounds 7]

Peers take turns with OmniView in every round, and medians count; MONAI runs on one torch thread and on two,
and the faster counts. A peer whose value differs is named and left out, and so is one that is not installed
(see tests/oracles/peers.py). Peers get their inputs converted before the clock starts. Metrics that no peer
computes are in OmniView's time and not in theirs. Ends with PASS or FAIL for each bar, and fails if one does.
"""

from __future__ import annotations

import argparse
import gc
import math
import statistics
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import pytest

from omniview.core.image import BoolArray, UInt8Array
from omniview.core.live import LiveScores
from omniview.core.metrics import METRICS, score
from tests.oracles.peers import peer

TOLERANCE = 2.0
AGREE = 1e-4  # relative: the oracle tests are stricter; this finds another definition
SURFACE = ("hd", "hd95", "assd", "masd", "nsd", "nsd_weighted")
COUNTS = tuple(name for name, metric in METRICS.items() if metric.pixelwise and not metric.needs_probability)
TOGETHER = {"blob": 15.0, "vessel": 5.0}  # times faster than all peers, at 1024
AT = 1024
STROKE_MS, STROKE_SIDE, STROKES, RADIUS = 30.0, 2048, 21, 12
BYTES = 12.0
MEMORY_SIDE = 2048

Run = Callable[[], float]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A prediction and its truth; `grey` is (Y,X) uint8, its probability map, and uses all of 0 ... 255."""

    kind: str
    side: int
    grey: UInt8Array
    mask: BoolArray
    truth: BoolArray


@dataclass(frozen=True, slots=True)
class Peer:
    """One library's way to the metrics `names`; `run` gives the value of the first."""

    names: tuple[str, ...]
    library: str
    run: Run


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that has to be reached."""

    what: str
    value: float
    unit: str
    passed: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description="Times of all metrics beside the fastest peers.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, AT, 2048])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--resident", choices=("blob", "vessel"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # what others deprecate is theirs
    cv2.setNumThreads(1)
    if chosen.resident:
        say(str(resident_growth(chosen.resident)))
        return 0
    bars: list[Bar] = []
    for kind in ("blob", "vessel"):
        for side in chosen.sizes:
            bars.extend(compare(example(kind, side), chosen.rounds))
    for kind in ("blob", "vessel"):
        bars.append(stroke(example(kind, STROKE_SIDE)))
        bars.append(memory(example(kind, MEMORY_SIDE)))
    say("\n| bar | figure | |\n|---|---:|---|")
    for bar in bars:
        say(f"| {bar.what} | {bar.value:.1f} {bar.unit} | {'PASS' if bar.passed else 'FAIL'} |")
    return int(not all(bar.passed for bar in bars))


def say(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def example(kind: str, side: int) -> Example:
    """The same image every time: one large lesion, or a tree of thin vessels of which some are missed."""
    rng = np.random.default_rng(side)
    truth, found = (_lesion(side), _lesion(side, 1.0)) if kind == "blob" else _vessels(side, rng)
    soft = cv2.GaussianBlur(found * 255.0, (0, 0), 1.5) * 0.9 + rng.normal(0.0, 6.0, truth.shape)
    grey = np.clip(np.rint(np.where(found > 0, np.maximum(soft, 130), np.minimum(soft, 125))), 0, 255)
    grey[0, 0], grey[truth.nonzero()[0][0], truth.nonzero()[1][0]] = 0, 255
    levels = grey.astype(np.uint8)
    return Example(kind, side, levels, levels > 127, truth > 0)


def _lesion(side: int, phase: float = 0.0) -> UInt8Array:
    turn = np.linspace(0.0, 2.0 * np.pi, 600, endpoint=False)
    radius = 0.2 * (
        1 + 0.15 * np.sin(3 * turn + phase / 5) + 0.08 * np.sin(7 * turn) + 0.03 * np.sin(19 * turn)
    )
    outline = np.stack([0.5 + radius * np.cos(turn), 0.48 + radius * np.sin(turn)], axis=1) + phase * 0.008
    canvas = np.zeros((side, side), np.uint8)
    cv2.fillPoly(canvas, [np.rint(outline * side).astype(np.int32)], 1)
    return canvas


def _vessels(side: int, rng: np.random.Generator) -> tuple[UInt8Array, UInt8Array]:
    truth, found = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    for number in range(60):
        directions = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0.0, 0.2, 40))
        steps = np.stack([np.cos(directions), np.sin(directions)], axis=1) * side * 0.02
        path = np.rint(rng.uniform(0, side, 2) + np.cumsum(steps, axis=0)).astype(np.int32)
        width = max(1, round(side * rng.uniform(0.001, 0.008)))
        if number % 8:
            cv2.polylines(truth, [path], False, 1, width)
        if number % 9:
            cv2.polylines(found, [path + rng.integers(-1, 2, 2)], False, 1, max(1, width - 1))
    return truth, found


def compare(image: Example, rounds: int) -> Iterator[Bar]:
    """Print one image's table, and judge its ratios."""
    ours = {name: _ours(image, (name,)) for name in SURFACE}
    rows = sorted({p.names for p in _peers(image)}, key=lambda names: list(METRICS).index(names[0]))
    ours_of = {names: ours[names[0]] if names[0] in ours else _ours(image, names) for names in rows}
    everything = _ours(image, tuple(METRICS))
    peers = [p for p in _peers(image) if _agrees(p, image)]
    own_runs: dict[object, Run] = {"all": everything, **dict(ours_of.items())}
    times = _interleaved({**own_runs, **{index: one.run for index, one in enumerate(peers)}}, rounds)
    say(f"\n### {image.kind}, {image.side} x {image.side}, ms\n")
    say("| metrics | OmniView | fastest peer that agrees | its time | ratio |\n|---|---:|---|---:|---:|")
    total = 0.0
    for names in rows:
        able = [(times[index], p.library) for index, p in enumerate(peers) if p.names == names]
        if not able:
            continue
        best, library = min(able)
        total += best
        own = times[names]
        title = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        say(f"| {title} | {own:.2f} | {library} | {best:.2f} | {best / own:.1f}x |")
        if names[0] in SURFACE:
            yield Bar(f"{names[0]}, {image.kind} {image.side}", best / own, "x", best > own)
    ratio = total / times["all"]
    own = times["all"]
    say(f"| all {len(METRICS)} together | {own:.1f} | the sum of these | {total:.1f} | {ratio:.1f}x |")
    if image.side == AT:
        goal = TOGETHER[image.kind]
        yield Bar(f"all together, {image.kind} {AT}, at least {goal:.0f}", ratio, "x", ratio >= goal)


def _ours(image: Example, names: tuple[str, ...]) -> Run:
    def run() -> float:
        found = score(image.mask, image.truth, probability=image.grey, tolerance=TOLERANCE, names=names)
        return float(found[names[0]] or 0.0)

    return run


def _agrees(one: Peer, image: Example) -> bool:
    theirs, ours = float(one.run()), _ours(image, one.names[:1])()
    same = math.isclose(theirs, ours, rel_tol=AGREE)
    if not same:
        say(f"left out: {one.library} gives {one.names[0]} {theirs:.6g}, not {ours:.6g}")
    return same


def _interleaved(runs: dict[object, Run], rounds: int) -> dict[object, float]:
    """Median of milliseconds; each round runs all of them once, so that a busy moment meets them alike."""
    times: dict[object, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        gc.collect()
        for name, run in runs.items():
            start = perf_counter()
            run()
            if number:  # the first round warms up
                times[name].append((perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def _peers(image: Example) -> list[Peer]:
    found: list[Peer] = []
    for collect in (_monai, _medpy, _surface_distance, _skimage, _sklearn, _pysod):
        try:
            found.extend(collect(image))
        except pytest.skip.Exception as missing:
            if image.kind == "blob":
                say(f"not here: {missing}")
    return found


def _monai(image: Example) -> Iterator[Peer]:
    monai, torch = peer("monai.metrics"), peer("torch")
    mask, truth = (torch.from_numpy(a[None, None]).float() for a in (image.mask, image.truth))
    here: dict[str, Any] = {"include_background": True}

    def on(threads: int, run: Callable[[], Any]) -> Run:
        def timed() -> float:
            torch.set_num_threads(threads)
            return float(run())

        return timed

    def dice() -> Any:
        confusion = monai.get_confusion_matrix(mask, truth, **here)
        return monai.compute_confusion_matrix_metric("f1 score", confusion)

    calls: dict[tuple[str, ...], Callable[[], Any]] = {
        COUNTS: dice,
        ("hd",): lambda: monai.compute_hausdorff_distance(mask, truth, **here),
        ("hd95",): lambda: monai.compute_hausdorff_distance(mask, truth, percentile=95, **here),
        ("assd",): lambda: monai.compute_average_surface_distance(mask, truth, symmetric=True, **here),
        ("nsd",): lambda: monai.compute_surface_dice(mask, truth, [TOLERANCE], **here),
        ("nsd_weighted",): lambda: monai.compute_surface_dice(
            mask, truth, [TOLERANCE], spacing=(1.0, 1.0), use_subvoxels=True, **here
        ),
    }
    for names, run in calls.items():
        for threads in (1, 2):
            yield Peer(names, f"MONAI, torch threads: {threads}", on(threads, run))


def _medpy(image: Example) -> Iterator[Peer]:
    binary = peer("medpy.metric.binary")
    a, b = image.mask, image.truth
    yield Peer(("hd",), "medpy", lambda: binary.hd(a, b))
    yield Peer(("hd95",), "medpy", lambda: binary.hd95(a, b))
    yield Peer(("assd",), "medpy", lambda: binary.assd(a, b))
    yield Peer(("masd",), "medpy", lambda: (binary.asd(a, b) + binary.asd(b, a)) / 2)


def _surface_distance(image: Example) -> Iterator[Peer]:
    theirs = peer("surface_distance")

    def run() -> float:
        apart = theirs.compute_surface_distances(image.truth, image.mask, (1.0, 1.0))
        return float(theirs.compute_surface_dice_at_tolerance(apart, TOLERANCE))

    yield Peer(("nsd_weighted",), "surface-distance", run)


def _skimage(image: Example) -> Iterator[Peer]:
    morphology = peer("skimage.morphology")
    mask, truth = image.mask, image.truth

    def run() -> float:
        lines = morphology.skeletonize(mask), morphology.skeletonize(truth)
        precision = np.count_nonzero(lines[0] & truth) / np.count_nonzero(lines[0])
        sensitivity = np.count_nonzero(lines[1] & mask) / np.count_nonzero(lines[1])
        return float(2 * precision * sensitivity / (precision + sensitivity))

    yield Peer(("cldice", "cldice_precision", "cldice_sensitivity"), "scikit-image's skeletons", run)


def _sklearn(image: Example) -> Iterator[Peer]:
    theirs = peer("sklearn.metrics")
    truth, p, marked = image.truth.ravel(), image.grey.ravel() / 255.0, image.mask.ravel()

    def dice() -> float:
        (_, fp), (fn, tp) = theirs.confusion_matrix(truth, marked)
        return float(2 * tp / (2 * tp + fp + fn))

    yield Peer(COUNTS, "scikit-learn", dice)
    yield Peer(("mae",), "scikit-learn", lambda: theirs.mean_absolute_error(truth, p))
    yield Peer(("auc",), "scikit-learn", lambda: theirs.roc_auc_score(truth, p))
    yield Peer(("average_precision",), "scikit-learn", lambda: theirs.average_precision_score(truth, p))
    yield Peer(("brier",), "scikit-learn", lambda: theirs.brier_score_loss(truth, p))


def _pysod(image: Example) -> Iterator[Peer]:
    theirs = peer("py_sod_metrics")
    truth = image.truth.astype(np.uint8) * 255

    def after(kind: str, read: Callable[[Any], float]) -> Run:
        def run() -> float:
            measure = getattr(theirs, kind)()
            measure.step(image.grey, truth)
            return float(read(measure.get_results()))

        return run

    def mean_dice() -> float:
        handlers = {
            name: handler(with_adaptive=False, with_dynamic=True)
            for name, handler in (("dice", theirs.DICEHandler), ("iou", theirs.IOUHandler))
        }
        measure = theirs.FmeasureV2(metric_handlers=handlers)
        measure.step(image.grey, truth)
        return float(np.mean(measure.get_results()["dice"]["dynamic"]))

    yield Peer(("mae",), "PySODMetrics", after("MAE", lambda r: r["mae"]))
    yield Peer(("s_measure",), "PySODMetrics", after("Smeasure", lambda r: r["sm"]))
    yield Peer(
        ("e_measure", "e_measure_max", "e_measure_adaptive"),
        "PySODMetrics",
        after("Emeasure", lambda r: float(np.mean(r["em"]["curve"]))),
    )
    yield Peer(("weighted_f",), "PySODMetrics", after("WeightedFmeasure", lambda r: r["wfm"]))
    yield Peer(("mean_dice_256", "mean_iou_256"), "PySODMetrics", mean_dice)


def stroke(image: Example) -> Bar:
    """Median time of updating all live metrics after a brush stroke at the outline, painted or erased."""
    rng = np.random.default_rng(1)
    live = LiveScores(image.truth, probability=image.grey)
    mask = image.mask.copy()
    live.update(mask)
    rows, columns = np.nonzero(image.mask)
    times = []
    for number in range(STROKES):
        at = rng.integers(len(rows))
        row, column = int(rows[at]), int(columns[at])
        while column < image.side - 1 and mask[row, column]:
            column += 1
        box = tuple(slice(max(0, c - RADIUS), min(image.side, c + RADIUS + 1)) for c in (row, column))
        part = mask[box].astype(np.uint8)
        cv2.circle(part, (column - box[1].start, row - box[0].start), RADIUS, number % 2, -1)
        mask[box] = part > 0
        start = perf_counter()
        found = live.update(mask, (box[0], box[1]))
        times.append((perf_counter() - start) * 1e3)
    expected = score(mask, image.truth, probability=image.grey, names=METRICS)
    for name, value in expected.items():
        if value is not None and not math.isclose(found[name] or 0.0, value, rel_tol=1e-9, abs_tol=1e-12):
            raise AssertionError(f"live {name} is {found[name]}, not {value}")
    median = statistics.median(times)
    say(f"\nstroke, {image.kind} {image.side}: median {median:.1f} ms, longest {max(times):.1f} ms")
    return Bar(
        f"stroke, {image.kind} {image.side}, at most {STROKE_MS:.0f}", median, "ms", median <= STROKE_MS
    )


def memory(image: Example) -> Bar:
    """Bytes for each pixel at the peak of all metrics together, inputs not counted."""
    run = _ours(image, tuple(METRICS))
    run()
    tracemalloc.start()
    run()
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # numpy's arrays are traced; what OpenCV and scipy hold inside shows only in the size of a fresh process
    child = [sys.executable, "-m", "tests.benchmarks.metrics", "--resident", image.kind]
    resident = int(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    size = image.side * image.side
    what = f"memory, {image.kind} {image.side}"
    say(f"{what}: {traced / size:.1f} bytes/px traced, {resident / size:.1f} resident")
    value = max(traced, resident) / size
    return Bar(f"{what}, at most {BYTES:.0f}", value, "bytes/px", value <= BYTES)


def resident_growth(kind: str) -> int:
    """How far this process grows in one run of all metrics; 0 where the system does not tell (not Linux)."""
    _ours(example(kind, 64), tuple(METRICS))()  # libraries are loaded
    run = _ours(example(kind, MEMORY_SIDE), tuple(METRICS))
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    try:
        clear.write_text("5")  # forget the peak so far
    except OSError:
        return 0
    before = _resident(status, "VmRSS:")
    run()
    return max(0, _resident(status, "VmHWM:") - before)


def _resident(status: Path, field: str) -> int:
    return next(
        int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith(field)
    )


if __name__ == "__main__":
    sys.exit(main())

"""An ONNX Runtime session that knows where it really runs.

ONNX Runtime lists CUDA and TensorRT as available without a GPU and falls back to the CPU in silence; only the
built session's own first provider tells the truth. On a GPU the inputs and outputs of a network that always
gets the same shapes keep their places from run to run (IO binding).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omniview.core.cores import cores
from omniview.core.image import Array
from omniview.errors import InferenceError, WeightsError
from omniview.inference.binding import Bound
from omniview.settings import Device

__all__ = ["CPU", "Session", "gpu_may_run", "open_session"]

CPU = "CPUExecutionProvider"

_CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_ORT_ERRORS_ONLY = 4  # its log goes straight to stderr; what matters is raised or shown as `fallback`


@dataclass(frozen=True, slots=True)
class Session:
    """A loaded network.

    Attributes:
        provider: the execution provider that runs it.
        fallback: why it is not the one that was asked for, or None.
        steady: whether runs come in few shapes, and outputs have shapes that follow from those of the inputs.
    """

    provider: str
    fallback: str | None
    _session: Any
    steady: bool = False
    _bound: dict[tuple[tuple[int, ...], ...], Bound] = field(default_factory=dict, repr=False)

    @property
    def inputs(self) -> dict[str, tuple[int | str | None, ...]]:
        """Input names to shapes; a name or None stands for a free dimension."""
        return {i.name: tuple(i.shape) for i in self._session.get_inputs()}

    @property
    def types(self) -> dict[str, str]:
        """Input names to their types as ONNX Runtime has them, e.g. `tensor(float)`."""
        return {i.name: str(i.type) for i in self._session.get_inputs()}

    @property
    def outputs(self) -> dict[str, tuple[int | str | None, ...]]:
        """Output names to shapes; a name or None stands for a free dimension."""
        return {o.name: tuple(o.shape) for o in self._session.get_outputs()}

    def run(self, feeds: Mapping[str, Array], options: Any = None) -> list[Array]:
        """All outputs for `feeds`.

        Args:
            feeds: input name to array.
            options: `onnxruntime.RunOptions`, whose `terminate` stops the run from another thread.

        Raises:
            InferenceError: ONNX Runtime refused or failed, or was terminated.
        """
        try:
            outputs: list[Array]
            if self.steady and self.provider != CPU:
                outputs = self._run_bound(feeds, options)
            else:
                outputs = self._session.run(None, dict(feeds), options)
        except Exception as error:  # ONNX Runtime's own exceptions share no other ancestor
            if type(error).__module__.startswith("onnxruntime") or isinstance(
                error, RuntimeError | ValueError
            ):
                raise InferenceError(
                    f"The network failed on {self.provider}: {_first_line(error)}",
                    "Try device = 'cpu' in the settings.",
                ) from error
            raise
        return outputs

    def _run_bound(self, feeds: Mapping[str, Array], options: Any) -> list[Array]:
        shapes = tuple(feed.shape for feed in feeds.values())
        if shapes not in self._bound:
            self._bound[shapes] = Bound(self._session, feeds, "cuda")
        return self._bound[shapes].run(feeds, options)


def open_session(path: Path, *, device: Device, threads: int, steady: bool = False) -> Session:
    """Load an ONNX file where `device` says, or on the CPU with the reason why not there.

    Args:
        path: the model.
        device: "auto" takes CUDA where it runs, silently the CPU where there is no GPU; "cuda" says why not;
            "tensorrt" takes TensorRT first, which compiles each network for minutes once, then CUDA.
        threads: CPU threads of one run; 0 leaves one core free.
        steady: see `Session`.

    Raises:
        WeightsError: the file is not a model that this ONNX Runtime can load.
    """
    import onnxruntime as ort

    ort.disable_telemetry_events()  # for builds that do not look at the variable set in omniview/__init__.py
    options = ort.SessionOptions()
    options.log_severity_level = _ORT_ERRORS_ONLY
    options.intra_op_num_threads = threads or max(1, cores() - 1)
    options.inter_op_num_threads = 1
    # otherwise its threads go on waiting busily after a run, on the cores that the rest needs by then
    options.add_session_config_entry("session.force_spinning_stop", "1")
    wanted = _providers(device, ort)
    fallback = None if device in ("auto", "cpu") else _why_no_cuda(ort)
    try:
        session = ort.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime") or isinstance(error, RuntimeError | ValueError):
            raise WeightsError(
                f"{path.name} cannot be loaded by ONNX Runtime {ort.__version__}: {_first_line(error)}",
                "Export it again with an opset that this version knows, or restore the file.",
            ) from error
        raise
    provider = session.get_providers()[0]
    if len(wanted) > 1 and provider == CPU:
        fallback = "CUDA was found but did not start: see `omniview doctor` for CUDA and cuDNN"
    elif device == "tensorrt" and provider == "CUDAExecutionProvider":
        fallback = "TensorRT is not installed or did not start"
    return Session(provider, fallback, session, steady)


def gpu_may_run(device: Device) -> bool:
    """Whether a session for `device` would try a GPU at all; whether that starts, only the session knows."""
    import onnxruntime as ort

    return device != "cpu" and _why_no_cuda(ort) is None


def _providers(device: Device, ort: Any) -> list[Any]:
    """What ONNX Runtime is to try, best first."""
    if device == "cpu" or _why_no_cuda(ort) is not None:
        return [CPU]
    # searching all algorithms at each new shape costs seconds
    wanted: list[Any] = [("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"}), CPU]
    if device == "tensorrt" and "TensorrtExecutionProvider" in ort.get_available_providers():
        from omniview.settings import home

        home().mkdir(parents=True, exist_ok=True)  # TensorRT makes one folder, not two
        cached = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(home() / "tensorrt")}
        wanted.insert(0, ("TensorrtExecutionProvider", cached))
    return wanted


def _why_no_cuda(ort: Any) -> str | None:
    """Why CUDA cannot run here, or None if nothing speaks against it."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "this ONNX Runtime was built without CUDA"
    try:
        ctypes.CDLL(_CUDA_DRIVER)
    except OSError:
        return "no NVIDIA driver was found"
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]

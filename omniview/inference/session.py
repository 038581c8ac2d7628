"""An ONNX Runtime session that knows where it really runs.

ONNX Runtime lists CUDA as available without a GPU and falls back to the CPU in silence; only the built
session's own first provider tells the truth.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omniview.core.image import Array
from omniview.errors import InferenceError, WeightsError

__all__ = ["Session", "open_session"]

_CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_ORT_ERRORS_ONLY = 4  # its log goes straight to stderr; what matters is raised or shown as `fallback`


@dataclass(frozen=True, slots=True)
class Session:
    """A loaded network.

    Attributes:
        provider: the execution provider that runs it.
        fallback: why it is not the one that was asked for, or None.
    """

    provider: str
    fallback: str | None
    _session: Any

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
            outputs: list[Array] = self._session.run(None, dict(feeds), options)
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


def open_session(path: Path, *, device: Literal["auto", "cpu", "cuda"], threads: int) -> Session:
    """Load an ONNX file where `device` says, or on the CPU with the reason why not there.

    Args:
        path: the model.
        device: "auto" takes CUDA where it runs, silently the CPU where there is no GPU; "cuda" says why not.
        threads: CPU threads of one run; 0 leaves one core free.

    Raises:
        WeightsError: the file is not a model that this ONNX Runtime can load.
    """
    import os

    import onnxruntime as ort

    ort.disable_telemetry_events()  # for builds that do not look at the variable set in omniview/__init__.py
    options = ort.SessionOptions()
    options.log_severity_level = _ORT_ERRORS_ONLY
    options.intra_op_num_threads = threads or max(1, (os.cpu_count() or 2) - 1)
    options.inter_op_num_threads = 1
    wanted: list[Any] = ["CPUExecutionProvider"]
    fallback = None if device != "cuda" else _why_no_cuda(ort)
    if device != "cpu" and _why_no_cuda(ort) is None:
        # searching all algorithms at each new shape costs seconds
        wanted.insert(0, ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"}))
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
    if len(wanted) == 2 and provider == "CPUExecutionProvider":
        fallback = "CUDA was found but did not start: see `omniview doctor` for CUDA and cuDNN"
    return Session(provider, fallback, session)


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

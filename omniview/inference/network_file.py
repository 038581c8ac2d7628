"""What an ONNX file says of itself, read before anything is run: a file that cannot be used is refused here.

Networks come from many exporters. What a specialist needs is one picture in and one map out; everything else
is said in words that name the next step, rather than found out by a crash in the middle of a case.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omniview.errors import WeightsError
from omniview.inference.session import Session, open_session

__all__ = ["NetworkFile", "look_into"]

_PASSING = {"Identity", "Cast", "Squeeze", "Reshape", "Transpose", "Resize", "Slice", "Unsqueeze"}
_FLOAT = "tensor(float)"


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A network that can be a specialist as far as its file tells.

    Attributes:
        path: the file.
        session: it, loaded on the CPU.
        image: its input's name.
        batch: how many pictures it takes at once; None: any number.
        channels: 1 or 3.
        size: (rows, columns) of its input; None: free.
        last: operator that ends it, such as "Sigmoid"; those that only pass on or move values do not count.
        opset: of ONNX's own operators.
        parameters: number of weights.
        external: whether weights lie in further files beside it.
    """

    path: Path
    session: Session
    image: str
    batch: int | None
    channels: int
    size: tuple[int, int] | None
    last: str
    opset: int
    parameters: int
    external: bool


def look_into(path: Path, sha256: str | None = None) -> NetworkFile:
    """Read and load `path`.

    Args:
        path: an ONNX file.
        sha256: what it has to be, upper or lower case; None: not known.

    Raises:
        WeightsError: it cannot be a specialist; why, and what to do.
    """
    import onnx
    from google.protobuf.message import DecodeError

    if sha256 is not None:
        _demand(path, sha256.strip().lower())
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}).", "Name an ONNX file.") from error
    except DecodeError as error:
        raise _not_onnx(path) from error
    if not model.graph.node or not model.opset_import:
        raise _not_onnx(path)
    external = _external(model)
    for name in sorted(external):
        if not (path.parent / name).is_file():
            raise WeightsError(
                f"{path.name} keeps its weights in {name}, which is not beside it.",
                "Copy that file too, or export with all weights in one file.",
            )
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    try:
        session = open_session(path, device="cpu", threads=1)
    except WeightsError as error:
        raise WeightsError(
            f"{path.name} (opset {opset}, IR version {model.ir_version}): {error.message}", error.next_step
        ) from error
    image, batch, channels, size = _input_of(path.name, session)
    if len(session.outputs) != 1:
        raise WeightsError(
            f"{path.name} has {len(session.outputs)} outputs ({', '.join(session.outputs)}).",
            "Export the final map alone, e.g. nnU-Net without deep supervision.",
        )
    numbers = sum(int(_size(tensor.dims)) for tensor in model.graph.initializer)
    last = _last(model.graph)
    return NetworkFile(
        path, session, image, batch, channels, size, last, opset, max(1, numbers), bool(external)
    )


def _demand(path: Path, sha256: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}).", "Name an ONNX file.") from error
    if found != sha256:
        raise WeightsError(
            f"{path.name} has the SHA-256 {found}, not {sha256}.",
            "It is another file than you were told, or it was damaged: fetch it again.",
        )


def _not_onnx(path: Path) -> WeightsError:
    return WeightsError(
        f"{path.name} is not an ONNX network.",
        "Export it with torch.onnx.export; .pt and .pth files are PyTorch's own.",
    )


def _external(model: Any) -> set[str]:
    """Names of the files that hold weights."""
    return {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == tensor.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }


def _input_of(file: str, session: Session) -> tuple[str, int | None, int, tuple[int, int] | None]:
    """Name, batch, channels and size of the one input, or why it is no picture."""
    if len(session.inputs) != 1:
        raise WeightsError(
            f"{file} has {len(session.inputs)} inputs ({', '.join(session.inputs)}).",
            "A specialist takes one picture. Promptable pairs (SAM) are the omnimodel `sam`.",
        )
    ((name, shape),) = session.inputs.items()
    if session.types[name] != _FLOAT:
        raise WeightsError(
            f"The input of {file} is {session.types[name]}.", "Export it with a float32 input."
        )
    if len(shape) != 4:
        what = "a volume" if len(shape) == 5 else "no picture"
        raise WeightsError(
            f"The input of {file} has {len(shape)} axes: {what}.",
            "A specialist takes (N,C,height,width): export a two-dimensional network.",
        )
    batch, channels, *size = shape
    if channels not in (1, 3):
        if size[-1] in (1, 3):
            raise WeightsError(
                f"The input of {file} has its colours last, {shape}.",
                "Export it with channels first, (N,C,height,width).",
            )
        said = "any number of" if not isinstance(channels, int) else str(channels)
        raise WeightsError(
            f"The input of {file} has {said} channels.", "A specialist takes 3 (RGB) or 1 (grey): fix it."
        )
    if isinstance(batch, int) and batch > 1:
        raise WeightsError(
            f"{file} takes {batch} pictures at once.",
            "Export it with a free batch axis, or with one picture.",
        )
    fixed = [n for n in size if isinstance(n, int)]
    if len(fixed) == 1:
        raise WeightsError(
            f"{file} fixes one side of its input and leaves the other free, {shape}.", "Fix both, or none."
        )
    return name, batch if isinstance(batch, int) else None, channels, (fixed[0], fixed[1]) if fixed else None


def _last(graph: Any) -> str:
    """The operator that gives the output its meaning."""
    makers = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name
    while (node := makers.get(name)) is not None:
        if node.op_type not in _PASSING:
            return str(node.op_type)
        name = node.input[0]
    return ""


def _size(dims: Any) -> int:
    total = 1
    for n in dims:
        total *= n
    return total

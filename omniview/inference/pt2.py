"""Archives of `torch.export`, loaded only after everything in them that could run code has been taken out.

`torch.export.load` unpickles parts of an archive, imports what its tree specs name, evaluates its symbolic
sizes and guards, and calls whatever its graph names; torch itself says never to load one from an untrusted
source. A graph of plain tensor operators needs none of that. So the archive is read here as the zip of JSON
and raw numbers that it is, refused where it holds more, and packed anew for torch: weights and constants as
raw bytes, operators of `aten` and arithmetic on sizes, no sample inputs, no guards, no traces. What is left
can be wrong or slow, but it is not a program.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omniview.errors import WeightsError
from omniview.log import quieted

if TYPE_CHECKING:
    from torch.export import ExportedProgram

__all__ = ["open_exported", "without_code"]

_MODEL = "models/model.json"
_WEIGHTS = "data/weights/model_weights_config.json"
_CONSTANTS = "data/constants/model_constants_config.json"
_SAMPLES = "data/sample_inputs/model.pt"
_FRAME = ("archive_format", "archive_version", ".data/version", "byteorder")
_NUMBERS = re.compile(r"data/(?:weights/weight_|constants/tensor_)\d+")

# names and versions, but nothing that Python's grammar gives a meaning beyond names
_NAME = re.compile(r"[\w.+-]*", re.ASCII)
# "none", "floor", or the equation of an einsum
_WORD = re.compile(r"[A-Za-z,.> -]{0,64}")
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!from_file\.|save\.)_?[a-z][a-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*"
    r"|torch\.ops\.aten\.__(?:and|or|xor)__\.(?:Tensor|Scalar)"
    r"|_operator\.(?:add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
    r"|torch\.sym_(?:int|float|not|max|min|ite|sum)"
    r"|math\.(?:ceil|floor|trunc)"
)
# how torch writes a size that is free, e.g. Mul(Integer(2), Symbol('s77', positive=True, integer=True))
_SIZE = re.compile(
    r"(?:(?:Symbol|Integer|Rational|Add|Mul|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilToInt|FloorToInt|"
    r"IntTrueDiv|Eq|Ne|Le|Lt|Ge|Gt|positive|nonnegative|integer|True|False)\b|[su]\d{1,6}\b|'[su]\d{1,6}'|"
    r"\d{1,9}\b|[(),= -])*"
)
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict")
_PROGRAMS = ("as_graph", "as_custom_obj", "as_operator")


def open_exported(path: Path) -> ExportedProgram:
    """Load `path`, without what could run code.

    Raises:
        WeightsError: no such archive, one that holds more than tensors and their operators, or one that this
            torch cannot read.
    """
    import torch

    clean = without_code(path)
    with warnings.catch_warnings(), quieted("torch.export"):
        warnings.simplefilter("ignore")  # torch tells of its own internals; what counts is raised below
        try:
            return torch.export.load(clean)
        except Exception as error:  # no common ancestor: KeyError, ValueError, RuntimeError, its own ...
            reason = (str(error).splitlines() or ["no reason"])[0][:200]
            raise WeightsError(
                f"{path.name} cannot be loaded by torch {torch.__version__} "
                f"({type(error).__name__}: {reason}).",
                "Export it again with this torch: torch.export.save(torch.export.export(...), FILE).",
            ) from error


def without_code(path: Path) -> io.BytesIO:
    """The same archive, packed anew with nothing but tensors and a graph of their operators.

    Raises:
        WeightsError: no such archive, or one that holds more.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _packed(_members(archive))
    except _Refused as refused:
        raise WeightsError(
            f"{path.name} was not loaded: {refused}.",
            "Only graphs of plain tensor operators are; export the network itself, as .pt2 or ONNX.",
        ) from refused
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path.name} is no whole archive of torch.export ({type(error).__name__}).",
            "Write it with torch.export.save, or copy it again.",
        ) from error


class _Refused(Exception):
    """The archive holds what it must not; the reason as a clause."""


def _members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Name within the archive to clean content."""
    whole = archive.fp.seek(0, 2) if archive.fp is not None else 0
    if sum(info.file_size for info in archive.infolist()) > whole:
        raise _Refused("it is compressed, and unpacks to more than it says")
    root = archive.namelist()[0].split("/")[0] + "/" if archive.namelist() else ""
    found = {info.filename.removeprefix(root): info for info in archive.infolist()}
    if _MODEL not in found:
        raise _Refused("it holds no exported model (models/model.json)")
    if any(name.startswith("data/aotinductor/") for name in found):
        raise _Refused("it holds compiled code (AOTInductor)")
    members = {name: archive.read(found[name]) for name in _FRAME if name in found}
    members |= {name: archive.read(info) for name, info in found.items() if _NUMBERS.fullmatch(name)}
    for name, clean in ((_MODEL, _clean_model), (_WEIGHTS, _clean_payload), (_CONSTANTS, _clean_payload)):
        members[name] = json.dumps(clean(json.loads(archive.read(found[name])))).encode()
    members[_SAMPLES] = b""  # a pickle; nobody needs it
    return members


def _packed(members: dict[str, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"model/{name}", content)
    out.seek(0)
    return out


def _clean_payload(config: dict[str, Any]) -> dict[str, Any]:
    for entry in config["config"].values():
        if entry.get("use_pickle"):
            raise _Refused("it holds pickled objects, which run code when they are read")
        if not re.fullmatch(r"(?:weight|tensor)_\d+", entry["path_name"]):
            raise _Refused(f"it holds objects that are no tensors ({_shown(entry['path_name'])})")
    _check(config)
    clean: dict[str, Any] = _on_cpu(config)
    return clean


def _clean_model(model: dict[str, Any]) -> dict[str, Any]:
    module = model["graph_module"]
    model["guards_code"] = []  # Python source; the input's size is compared with the card instead
    # of sizes, not of what is computed of them ("8*s39"), which follows
    ranges = model["range_constraints"].items()
    model["range_constraints"] = {name: limits for name, limits in ranges if _NAME.fullmatch(name)}
    module["metadata"] = {}
    module["treespec_namedtuple_fields"] = {}
    module["module_call_graph"] = module["module_call_graph"][:1]  # of the whole network, not of its parts
    for node in module["graph"]["nodes"]:
        node["metadata"] = {}  # source lines of whoever exported it
        if not _OPERATOR.fullmatch(node["target"]):
            raise _Refused(f"its graph calls {_shown(node['target'])}")
    _check(model)
    clean: dict[str, Any] = _on_cpu(model)
    return clean


def _check_tree(version: int, spec: dict[str, Any]) -> None:
    """Tuples, lists and dicts of tensors only: of other types torch would import what the archive names."""
    if version != 1 or spec["type"] not in _CONTAINERS:
        raise _Refused(f"it takes or gives {_shown(str(spec['type']))}")
    keys = None if spec["context"] is None else json.loads(spec["context"])
    if keys is not None and not isinstance(keys, list):
        raise _Refused("it takes or gives something described by more than names")
    _check(keys)
    for child in spec["children_spec"]:
        _check_tree(version, child)


def _check(value: Any, key: str = "") -> None:
    """Every string is a name, a size or an option; raises _Refused for anything else."""
    if isinstance(value, dict):
        for inner, held in value.items():
            if not _NAME.fullmatch(inner):
                raise _Refused(f"it holds the name {_shown(inner)}")
            if inner in _PROGRAMS and held is not None:
                raise _Refused("its graph holds graphs or objects of its own")
            _check(held, inner)
    elif isinstance(value, list):
        for held in value:
            _check(held, key)
    elif isinstance(value, str):
        if key in ("in_spec", "out_spec"):
            _check_tree(*json.loads(value))
            return
        rule = _SIZE if key == "expr_str" else _WORD if key in ("as_string", "as_strings") else _NAME
        if not rule.fullmatch(value):
            raise _Refused(f"it holds the text {_shown(value)}")


def _on_cpu(value: Any) -> Any:
    """The same, with every device the CPU: where it was exported says nothing of where it runs."""
    if isinstance(value, list):
        return [_on_cpu(held) for held in value]
    if not isinstance(value, dict):
        return value
    cpu = {"type": "cpu", "index": None}
    return {k: cpu if k in ("device", "as_device") and v else _on_cpu(v) for k, v in value.items()}


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "...")

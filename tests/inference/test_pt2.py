"""An archive of torch.export is loaded without anything in it that could run code."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from omniview.errors import WeightsError
from omniview.inference.pt2 import open_exported
from tests.torch_networks import Tiny, rewritten, write_archive

MODEL = "models/model.json"
CONSTANTS = "data/constants/model_constants_config.json"
WEIGHTS = "data/weights/model_weights_config.json"


class _Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return Path.touch, (self._mark,)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good one, exported once: that takes a second."""
    path = tmp_path_factory.mktemp("exported") / "tiny.pt2"
    write_archive(path, Tiny())
    return path


@pytest.fixture
def archive(exported: Path, tmp_path: Path) -> Path:
    """A copy of it to tamper with."""
    return Path(shutil.copy(exported, tmp_path))


def _edit(path: Path, member: str, change: Callable[[Any], Any]) -> None:
    def edited(name: str, content: bytes) -> bytes:
        if name != member:
            return content
        value = json.loads(content)
        change(value)
        return json.dumps(value).encode()

    rewritten(path, edited)


def test_a_plain_network_computes_the_same(archive: Path) -> None:
    """Weights, buffers and constants come through to the bit, whatever the batch."""
    module = open_exported(archive).module()
    network = Tiny().eval()
    for batch in (1, 5):
        image = torch.rand(batch, 3, 32, 32)
        with torch.inference_mode():
            torch.testing.assert_close(module(image), network(image), rtol=0, atol=1e-6)


def test_sizes_left_free_stay_free(tmp_path: Path) -> None:
    """Sizes that the graph computes from others, as torch writes them, are understood."""
    axes = {2: 8 * torch.export.Dim("h", min=2, max=50), 3: 8 * torch.export.Dim("w", min=2, max=50)}
    write_archive(tmp_path / "tiny.pt2", Tiny(), axes=axes)
    module = open_exported(tmp_path / "tiny.pt2").module()
    image = torch.rand(1, 3, 48, 80)
    with torch.inference_mode():
        torch.testing.assert_close(module(image), Tiny().eval()(image), rtol=0, atol=1e-6)


def test_sample_inputs_are_never_unpickled(archive: Path, tmp_path: Path) -> None:
    """They are a pickle that torch would run; here nobody looks at them."""
    mark = tmp_path / "ran"
    bomb = pickle.dumps((((_Bomb(mark),),), {}))
    rewritten(archive, lambda name, content: bomb if name.startswith("data/sample_inputs") else content)
    open_exported(archive)
    assert not mark.exists()


def test_guards_are_never_run(archive: Path, tmp_path: Path) -> None:
    """They are Python source; torch would compile and call it."""
    mark = tmp_path / "ran"
    source = f"__import__('pathlib').Path({str(mark)!r}).touch() is None"
    _edit(archive, MODEL, lambda model: model.update(guards_code=[source]))
    open_exported(archive).module()(torch.rand(1, 3, 32, 32))
    assert not mark.exists()


def _calls(model: dict[str, Any], target: str) -> None:
    model["graph_module"]["graph"]["nodes"][0]["target"] = target


def _free_size(model: dict[str, Any], text: str) -> None:
    for value in model["graph_module"]["graph"]["tensor_values"].values():
        for size in value["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = text


def _imports(model: dict[str, Any]) -> None:
    context = {"default_factory_module": "os", "default_factory_name": "system", "dict_context": []}
    tree = [1, {"type": "collections.defaultdict", "context": json.dumps(context), "children_spec": []}]
    model["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps(tree)


def _enumerates(model: dict[str, Any]) -> None:
    context = json.dumps({"__enum__": True, "fqn": "os.system", "name": "x"})
    tree = [1, {"type": "builtins.tuple", "context": context, "children_spec": []}]
    model["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps(tree)


def _renames(model: dict[str, Any]) -> None:
    model["graph_module"]["graph"]["nodes"][0]["name"] = "x=__import__('os').system('true')"


@pytest.mark.parametrize(
    ("member", "change", "said"),
    [
        (MODEL, lambda m: _calls(m, "torch.os.system"), "calls 'torch.os.system'"),
        (MODEL, lambda m: _calls(m, "torch.ops.aten.from_file.default"), "from_file"),
        (MODEL, lambda m: _calls(m, "torch.ops.aten.__class__.mro"), "__class__"),
        (MODEL, lambda m: _calls(m, "torch.ops.higher_order.cond"), "higher_order"),
        (MODEL, lambda m: _free_size(m, "__import__('os').system('true')"), "holds the text"),
        (MODEL, lambda m: _free_size(m, "().__class__"), "holds the text"),
        (MODEL, _imports, "defaultdict"),
        (MODEL, _enumerates, "more than names"),
        (MODEL, _renames, "holds the text"),
        (
            WEIGHTS,
            lambda c: next(iter(c["config"].values())).update(use_pickle=True),
            "pickled objects, which run code",
        ),
        (
            CONSTANTS,
            lambda c: next(iter(c["config"].values())).update(path_name="opaque_obj_0"),
            "no tensors",
        ),
        (
            CONSTANTS,
            lambda c: next(iter(c["config"].values())).update(path_name="custom_obj_0"),
            "no tensors",
        ),
    ],
)
def test_whatever_could_run_is_refused(
    archive: Path, member: str, change: Callable[[Any], Any], said: str
) -> None:
    """Calls out of the operators, evaluated text, imported types and pickles: named, and not loaded."""
    _edit(archive, member, change)
    with pytest.raises(WeightsError, match=said) as refused:
        open_exported(archive)
    assert refused.value.next_step


def test_old_pickled_weights_are_not_seen(archive: Path, tmp_path: Path) -> None:
    """Older torches kept all weights in one pickle, which torch still prefers: it is left out."""
    mark = tmp_path / "ran"
    rewritten(archive, lambda _, content: content, **{"data/weights/model.pt": pickle.dumps(_Bomb(mark))})
    open_exported(archive)
    assert not mark.exists()


def test_compiled_code_is_refused(archive: Path) -> None:
    """AOTInductor's part is a shared library."""
    rewritten(archive, lambda _, content: content, **{"data/aotinductor/model/a.so": b"\x7fELF"})
    with pytest.raises(WeightsError, match="compiled code"):
        open_exported(archive)


def test_what_unpacks_to_more_is_refused(archive: Path) -> None:
    """Torch writes its members uncompressed; a bomb is none of its own."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as more:
        more.writestr("tiny/data/weights/weight_99", b"\0" * 50_000_000)
    with pytest.raises(WeightsError, match="compressed"):
        open_exported(archive)


@pytest.mark.parametrize("kept", [0, 100, 3000])
def test_a_torn_file_is_refused_in_words(archive: Path, kept: int) -> None:
    """Half a download is no archive."""
    archive.write_bytes(archive.read_bytes()[:kept])
    with pytest.raises(WeightsError, match="no whole archive"):
        open_exported(archive)


@pytest.mark.parametrize("member", [MODEL, WEIGHTS, CONSTANTS, "data/weights/weight_0", "archive_version"])
def test_a_missing_part_is_refused_in_words(archive: Path, member: str) -> None:
    """Whatever torch or the zip stumbles over ends in one kind of error, with something to do."""
    rewritten(archive, lambda name, content: None if name == member else content)
    with pytest.raises(WeightsError) as refused:
        open_exported(archive)
    assert refused.value.next_step


def test_a_network_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A zip of something else, a pickle under another name, or nothing at all."""
    path = tmp_path / "other.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(WeightsError, match="no exported model"):
        open_exported(path)
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="no exported model"):
        open_exported(path)
    with pytest.raises(WeightsError, match="no whole archive"):
        open_exported(tmp_path / "none.pt2")

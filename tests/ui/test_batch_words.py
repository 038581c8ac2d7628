"""What the dialog for folders says, word by word."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType

from omniview.batch import journal, processes, resuming, run
from omniview.batch.progress import Progress, Totals
from omniview.batch.run import Result
from omniview.errors import OutputError
from omniview.io import remote
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired
from omniview.ui.batch_words import end_words, in_window, plan_words, progress_words
from omniview.ui.messages import Level


def _pairing(count: int, left: int = 0, readers: int = 1) -> Pairing:
    truths = tuple(TruthFiles(f"r{n}", (Path("m.png"),)) for n in range(readers))
    pairs = tuple(Pair(Path(f"{n}.png"), Path("m.png"), f"{n}", truths) for n in range(count))
    return Pairing(pairs, tuple(Unpaired(Path("u.png"), "no image") for _ in range(left)))


def test_what_will_be_done_is_said_in_numbers() -> None:
    """One image is an image; what it costs is a sentence of its own; a missing folder is named."""
    assert plan_words(_pairing(1), "", out=True, begun=False) == "1 image, 1 with ground truth."
    text = plan_words(_pairing(3, left=1, readers=2), "At most 2.00 USD for 3 cases.", out=True, begun=True)
    assert text == (
        "3 images, 3 with ground truth; 3 of them by several readers; 1 file could not be paired. "
        "At most 2.00 USD for 3 cases. The results hold a run already: "
        "Start goes on with it, unless something has changed."
    )
    assert plan_words(_pairing(2), "", out=False, begun=False).endswith("Name a folder for the results.")


def test_how_far_a_run_is() -> None:
    """Counts, failures, cost and the time left; at the end, that the report is being written."""
    totals = Totals(4, 1, 0.5, "USD")
    assert progress_words(Progress(9, totals, 8.0, 10.0)) == "4 of 9, 1 failed, 0.5000 USD, about 10 s left"
    assert "paused" in progress_words(Progress(9, totals, 8.0, 10.0, paused=True))
    assert progress_words(Progress(9, totals, 8.0, 600.0)).endswith("about 10 min left")
    assert progress_words(Progress(9, totals, 8.0, 9000.0)).endswith("about 2.5 h left")
    assert progress_words(Progress(4, totals, 8.0, 0.0)).endswith("writing tables and report…")


def test_how_a_run_ended() -> None:
    """What is done, what failed and what is left."""
    assert end_words(Result(Path(), 2, Totals(2, 0), {})) == ("2 of 2 cases are done.", Level.GOOD)
    assert end_words(Result(Path(), 1, Totals(1, 1), {})) == (
        "1 of 1 case is done, 1 of them failed.",
        Level.WARNING,
    )
    text, level = end_words(Result(Path(), 5, Totals(2, 0), {}))
    assert text == "2 of 5 cases are done. Start goes on with the rest."
    assert level is Level.WARNING


def _told(module: ModuleType) -> list[str]:
    """The texts in a module, without its docstrings."""
    tree = ast.parse(inspect.getsource(module))
    docstrings = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    texts = [one for one in ast.walk(tree) if isinstance(one, ast.Constant) and id(one) not in docstrings]
    return [one.value for one in texts if isinstance(one.value, str)]


def test_nobody_in_the_window_is_told_to_type_options() -> None:
    """What the engine says for the command line is said in buttons."""
    typed = [text for module in (journal, processes, resuming, run, remote) for text in _told(module)]
    typed = [text for text in typed if re.search("--[a-z]", text)]
    assert len(typed) > 4
    for step in typed:
        assert "--" not in in_window(OutputError("Something is wrong.", step)), step

"""Training as a process of its own, killed half way without a warning."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import torch

from tests.training.folders import write_folder
from tests.training.parents import write_parent

_CODE = """
import os, signal, sys
from pathlib import Path
from omniview.inference.card import read_card
from omniview.training.finetune import finetune
from omniview.training.finetune_wish import Wish
import omniview.training.finetune as module

module.CHECKPOINT_S = 0.0
card, folder, out, die_at = sys.argv[1:]
seen = 0

def report(stand):
    global seen
    seen += stand.loss is not None
    if seen == int(die_at):
        os.kill(os.getpid(), signal.SIGKILL)

wish = Wish("all", steps=10)
outcome = finetune(read_card(Path(card)), [Path(folder)], Path(out), wish=wish, report=report)
print(__import__("json").dumps([[p.name, p.before, p.after] for p in outcome.gain.pairs]))
"""


def test_a_killed_and_resumed_fine_tuning_ends_as_if_it_had_never_been(tmp_path: Path) -> None:
    """SIGKILL in the midst of the second fold; the same command then gives the very Dice of each mask."""
    parent = write_parent(tmp_path, steps=3)
    folder = write_folder(tmp_path / "own", {"train": 6})

    def run(out: str, die_at: int) -> subprocess.CompletedProcess[str]:
        card = parent.folder / "discs.toml"
        command = [sys.executable, "-c", _CODE, str(card), str(folder), str(tmp_path / out), str(die_at)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    whole = run("whole", -1)
    assert whole.returncode == 0, whole.stderr
    killed = run("killed", 15)
    assert killed.returncode == -signal.SIGKILL
    parts = tmp_path / "killed" / "discs-own.parts"
    second = torch.load(parts / "2.checkpoint", weights_only=True)
    assert 0 < second["step"] < 10
    resumed = run("killed", -1)
    assert resumed.returncode == 0, resumed.stderr
    pairs = [json.loads(one.stdout) for one in (whole, resumed)]
    for (name, before, after), (again, b, a) in zip(*pairs, strict=True):
        assert (name, before) == (again, b)
        assert abs(after - a) < 0.01
    assert pairs[0] == pairs[1]  # in fact to the bit

"""What a person allows to be spent or asked holds for a whole batch: `omniview score` against a loopback."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pytest

from omniview.core.phantom import endoscopy
from omniview.omnimodel.audit import verify
from tests.networks import write_specialist
from tests.omnimodel.forms import boxed
from tests.omnimodel.loopback import Loopback, answer
from tests.test_cli import omniview

Rows: TypeAlias = dict[tuple[str, str], dict[str, str]]

COUNT = 12
PAID = (300 * 0.5 + 250 * 3.0) / 1e6  # the loopback's usage at the price of gemini-3-flash-preview
KEY = "AIzaCANARY-key_0123456789abcdefghijklm"


@pytest.fixture
def folder(tmp_path: Path, own_home: Path) -> Path:
    """Twelve endoscopic phantoms, no two alike, with their exact masks; and a small specialist."""
    write_specialist(own_home / "models", "own", input={"geometry": "stretch", "size": [64, 64]})
    for kind in ("images", "masks"):
        (tmp_path / "set" / kind).mkdir(parents=True)
    for seed in range(COUNT):
        image, truth = endoscopy(seed, (96, 128))
        cv2.imwrite(str(tmp_path / "set" / "images" / f"{seed:02}.png"), image.rgb8()[..., ::-1])
        cv2.imwrite(str(tmp_path / "set" / "masks" / f"{seed:02}.png"), truth.mask[0] * np.uint8(255))
    return tmp_path / "set"


@pytest.fixture
def server() -> Iterator[Loopback]:
    """Answers every question with one disc, and says what that took."""
    with Loopback([answer(json.dumps([boxed()]), tokens=(300, 200, 50))]) as server:
        yield server


def _score(server: Loopback, folder: Path, out: str, *options: str) -> tuple[Rows, int, str]:
    """Rows by image and model, how many requests came in, and what was said on stderr."""
    before = len(server.requests)
    done = omniview(
        *("score", folder, "--out", folder / out, "--task", "polyp", "--omnimodel", "gemini"),
        *("--answers", "1", *options),
        GEMINI_API_KEY=KEY,
        GOOGLE_GEMINI_BASE_URL=server.url,
    )
    assert done.returncode == 0, done.stderr
    with (folder / out / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["image"], row["model"]): row for row in csv.DictReader(file)}
    return rows, len(server.requests) - before, " ".join(done.stderr.split())


def _of(rows: Rows, model: str) -> list[dict[str, str]]:
    return [row for (_, name), row in rows.items() if name == model]


def test_the_cap_holds_for_all_sittings(server: Loopback, folder: Path) -> None:
    """A run that is resumed goes on with the money that it has left."""
    first_rows, first, _ = _score(server, folder, "out", "--budget", "0.01", "--limit", "4")
    assert first == len(_of(first_rows, "omnimodel")) == 4
    rows, later, _ = _score(server, folder, "out", "--budget", "0.01", "--resume=anyway")
    assert {row["status"] for row in _of(rows, "omnimodel")} == {"ok", "not asked"}
    assert (first + later) * PAID <= 0.01


def test_whoever_was_never_asked_is_not_scored(server: Loopback, folder: Path) -> None:
    """Offline, a cloud has no Dice of 0: it has none, as its rows say."""
    rows, requests, said = _score(server, folder, "out", "--offline", "--limit", "3")
    assert requests == 0
    assert {row["status"] for row in _of(rows, "omnimodel")} == {"not asked"}
    summary = json.loads((folder / "out" / "summary.json").read_text("utf-8"))
    omnimodel = summary["models"]["omnimodel"]
    assert (omnimodel["not_asked"], omnimodel["failed"], omnimodel["metrics"]["dice"]["n"]) == (3, 0, 0)
    assert "omnimodel: mean Dice" not in said


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_batch_stops_asking_at_its_cap(server: Loopback, folder: Path, own_home: Path, jobs: str) -> None:
    """The first cases are asked about until 0.01 is spent, the rest are "not asked"; nothing has failed."""
    rows, requests, said = _score(server, folder, "out", "--budget", "0.01", "--jobs", jobs)
    omnimodel = _of(rows, "omnimodel")
    asked = [row for row in omnimodel if row["status"] == "ok"]
    left_out = [row for row in omnimodel if row["status"] == "not asked"]
    assert len(asked) + len(left_out) == COUNT
    assert asked
    assert left_out
    assert len(asked) == requests
    assert asked[0] is omnimodel[0]
    spent = sum(float(row["cost"]) for row in asked)
    assert spent == pytest.approx(len(asked) * PAID)
    assert spent <= 0.01
    assert spent >= 0.006, "a cap is there to be used"
    assert all("of 0.01 USD are spent" in row["reason"] for row in left_out)
    for model in ("specialist", "fused"):
        assert {row["status"] for row in _of(rows, model)} == {"ok"}
    assert "At most 0.01 USD for 12 cases at gemini-3-flash-preview, 1 answer each" in said
    audit = [json.loads(line) for line in (own_home / "audit.jsonl").read_text("utf-8").splitlines()]
    assert verify(own_home / "audit.jsonl") == 2 * requests
    assert sum(record.get("cost", 0.0) for record in audit) == pytest.approx(spent)
    assert {record["because"] for record in audit if record["event"] == "sent"} == {
        "every case is asked about"
    }


def test_a_long_answer_cannot_pass_the_cap_either(server: Loopback, folder: Path) -> None:
    """The provider is told how long an answer may be, so that even the first one stays within the cap."""
    _, requests, _ = _score(server, folder, "out", "--budget", "0.01", "--limit", "1")
    assert requests == 1
    (request,) = server.requests
    longest = request.body["generationConfig"]["maxOutputTokens"]
    assert 2048 <= longest < 0.01 / 3e-6


def test_nothing_is_paid_for_twice(server: Loopback, folder: Path) -> None:
    """A second run finds its answers on disk: no request, no cost, the same masks' scores; then forgotten."""
    first, requests, _ = _score(server, folder, "first")
    assert requests == COUNT
    second, requests, _ = _score(server, folder, "second", "--budget", "0")
    assert requests == 0
    for (image, model), row in first.items():
        assert second[image, model]["dice"] == row["dice"]
    assert {float(row["cost"]) for row in _of(second, "omnimodel")} == {0.0}
    shown = omniview("cache", "info")
    assert shown.stdout.startswith(f"{COUNT} answers")
    assert omniview("cache", "clear").stdout.startswith(f"{COUNT} answers")
    assert omniview("cache", "info").stdout.startswith("0 answers")


def test_an_answer_that_is_of_no_use_is_paid_for_too(folder: Path) -> None:
    """The row has failed, and says what it cost."""
    with Loopback([answer("I am not sure what you mean.", tokens=(300, 200, 50))]) as server:
        rows, requests, _ = _score(server, folder, "out", "--limit", "1")
    (row,) = _of(rows, "omnimodel")
    assert requests == 1
    assert row["status"] == "failed"
    assert float(row["cost"]) == pytest.approx(PAID)
    assert row["currency"] == "USD"


def test_only_the_most_doubtful_cases_are_asked_about(server: Loopback, folder: Path) -> None:
    """A share is kept, and those that are asked about have the lowest predicted quality of all."""
    rows, requests, said = _score(server, folder, "out", "--ask", "share:0.25")
    asked = {row["image"] for row in _of(rows, "omnimodel") if row["status"] == "ok"}
    quality = {row["image"]: float(row["quality"]) for row in _of(rows, "specialist")}
    assert len(asked) == requests == 3
    assert asked == set(sorted(quality, key=lambda image: quality[image])[:3])
    left_out = [row for row in _of(rows, "omnimodel") if row["image"] not in asked]
    assert {row["status"] for row in left_out} == {"not asked"}
    assert all("is not below" in row["reason"] for row in left_out)
    assert "for 3 cases" in said


def test_never_asks_never(server: Loopback, folder: Path) -> None:
    """No request, no failed case, and nothing about money."""
    rows, requests, said = _score(server, folder, "out", "--ask", "never")
    assert requests == 0
    assert {row["status"] for row in _of(rows, "omnimodel")} == {"not asked"}
    assert "At most" not in said


def test_a_model_without_a_price_is_not_asked_under_a_cap(
    server: Loopback, folder: Path, own_home: Path
) -> None:
    """It says so before, and in every row; a price of one's own mends it."""
    (own_home / "settings.toml").write_text('[gemini]\nmodel = "gemini-of-tomorrow"\n')
    rows, requests, said = _score(server, folder, "out", "--budget", "1", "--limit", "2")
    assert requests == 0
    assert {row["status"] for row in _of(rows, "omnimodel")} == {"not asked"}
    assert "has no price in prices.toml" in said
    (own_home / "prices.toml").write_text(
        'schema = 1\n[[model]]\nmatch = ["gemini-of-*"]\nin = 0.1\nout = 0.1\nas_of = 2026-11-22\n'
    )
    rows, requests, said = _score(server, folder, "again", "--budget", "1", "--limit", "2")
    assert requests == 2
    assert "2026-11-22" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("segment", "x.png", "--ask", "share:0.2"), "needs a whole folder"),
        (("segment", "x.png", "--ask", "often"), "when to ask"),
    ],
)
def test_a_wrong_rule_is_refused(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """With exit status 2, before anything is read."""
    done = omniview(*arguments, "--out", tmp_path)
    assert done.returncode == 2
    assert said in done.stderr

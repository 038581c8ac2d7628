"""The command line does what it says, with exit status 0, 1 or 2, data on stdout and messages on stderr.

Each command runs as a person would start it: a child process, with small real networks in the user's own
model folder, which win over those that ship.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.core.metrics import CONVENTIONS, METRICS
from tests.networks import write_specialist

NOT_THERE = "http://127.0.0.1:9"  # discard: nothing listens


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """An image with a bright square."""
    pixels = np.full((48, 64, 3), 30, np.uint8)
    pixels[10:30, 20:50] = 220
    path = tmp_path / "größe.png"
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


@pytest.fixture
def own_model(own_home: Path) -> Path:
    """A brightness network for polyps in the user's model folder."""
    tile = {"geometry": "tile", "size": [32, 32], "overlap": 8}
    return write_specialist(own_home / "models", "own", input=tile)


def omniview(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a child process in which every warning is an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "omniview", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "300", "PYTHONIOENCODING": "utf-8", **environment},
    )


def read_mask(path: Path) -> np.ndarray:
    """The PNG as it is."""
    return np.asarray(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED))


def test_segment_writes_masks_of_the_images_own_size(picture: Path, own_model: Path, tmp_path: Path) -> None:
    """Masks are 0/255, lie where the image is bright, and the JSON names the model that ran."""
    out = tmp_path / "out"
    done = omniview("segment", picture, "--out", out, "--task", "polyp", "--omnimodel", "none")
    assert (done.returncode, done.stdout) == (0, "")
    mask = read_mask(out / "größe.fused.png")
    assert mask.shape == (48, 64)
    assert (mask[11:29, 21:49] == 255).all()
    assert (mask[:8] == 0).all()
    assert not (out / "größe.omnimodel.png").exists()
    record = json.loads((out / "größe.json").read_text("utf-8"))
    assert record["models"]["specialist"]["provenance"]["model_id"] == "own"
    assert record["failures"] == []


def test_one_bad_image_does_not_stop_the_others(picture: Path, own_model: Path, tmp_path: Path) -> None:
    """The bad one is named on stderr and the exit status is 1."""
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"nothing")
    out = tmp_path / "out"
    done = omniview("segment", bad, picture, "--out", out, "--task", "polyp", "--omnimodel", "none")
    assert done.returncode == 1
    assert "bad.png" in done.stderr
    assert (out / "größe.fused.png").exists()


@pytest.mark.parametrize(
    ("environment", "arguments", "kind"),
    [
        ({}, (), "MissingKey"),
        ({"GEMINI_API_KEY": "k" * 39}, (), "NotAllowed"),
        ({"GEMINI_API_KEY": "k" * 39, "GOOGLE_GEMINI_BASE_URL": NOT_THERE}, ("--offline",), "NotAllowed"),
        ({"GEMINI_API_KEY": "k" * 39, "GOOGLE_GEMINI_BASE_URL": NOT_THERE}, (), "Unreachable"),
    ],
    ids=["no key", "no consent", "offline", "nobody listens"],
)
def test_without_the_cloud_the_fused_mask_is_the_specialists(
    picture: Path,
    own_model: Path,
    tmp_path: Path,
    environment: dict[str, str],
    arguments: tuple[str, ...],
    kind: str,
) -> None:
    """No key, no consent, offline, nobody there: the same mask, and a reason in the JSON and on stderr."""
    out = tmp_path / "out"
    environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", **environment}
    done = omniview(
        "segment",
        picture,
        "--out",
        out,
        "--task",
        "polyp",
        "--omnimodel",
        "gemini",
        *arguments,
        **environment,
    )
    assert done.returncode == 0
    np.testing.assert_array_equal(read_mask(out / "größe.fused.png"), read_mask(out / "größe.specialist.png"))
    (failure,) = json.loads((out / "größe.json").read_text("utf-8"))["failures"]
    assert failure["kind"] == kind
    assert failure["reason"]
    assert failure["next_step"]
    assert failure["reason"] in " ".join(done.stderr.split())
    assert "kkkk" not in done.stderr + done.stdout


def test_score_writes_a_table_and_a_summary(own_model: Path, tmp_path: Path) -> None:
    """One row a case and model; --limit takes the first ones."""
    for kind in ("images", "masks"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for index in range(5):
            pixels = np.zeros((32, 32), np.uint8)
            pixels[5 : 10 + index, 5:20] = 255
            cv2.imwrite(str(tmp_path / "set" / kind / f"{index}.png"), pixels)
    out = tmp_path / "out"
    arguments = ("--out", out, "--task", "polyp", "--omnimodel", "none", "--limit", "3")
    done = omniview("score", tmp_path / "set", *arguments)
    assert done.returncode == 0, done.stderr
    with (out / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["specialist", "fused"] * 3
    assert all(float(row["dice"]) > 0.9 for row in rows)
    assert json.loads((out / "summary.json").read_text("utf-8"))["models"]["fused"]["scored"] == 3


def test_metrics_are_json_on_stdout(tmp_path: Path) -> None:
    """Two masks a pixel apart: overlap by hand, distance in mm where a spacing is given."""
    for name, shift in (("a", 0), ("b", 1)):
        mask = np.zeros((20, 30), np.uint8)
        mask[5:15, 5 + shift : 15 + shift] = 255
        cv2.imwrite(str(tmp_path / f"{name}.png"), mask)
    done = omniview("metrics", tmp_path / "a.png", tmp_path / "b.png", "--spacing", "2,0.5")
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert values["dice"] == pytest.approx(0.9)
    assert values["distance_unit"] == "mm"
    assert values["hd"] == pytest.approx(0.5)


def test_metrics_of_a_grey_map_come_with_their_meaning(tmp_path: Path) -> None:
    """A probability map is scored whole; definitions, conventions and differences on demand; JSON always."""
    grey = np.zeros((20, 30), np.uint8)
    grey[5:15, 5:15] = 200
    grey[0, 0] = 100
    truth, blank = np.zeros_like(grey), np.zeros_like(grey)
    truth[5:15, 5:14] = 255
    region = np.full_like(grey, 255)
    region[0] = 0
    for name, values in (("grey", grey), ("truth", truth), ("blank", blank), ("region", region)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), values)
    paths = [tmp_path / f"{name}.png" for name in ("grey", "truth")]
    done = omniview("metrics", *paths, "--explain", "--all", "--region", tmp_path / "region.png")
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert "probability map" in done.stderr
    assert set(METRICS) <= set(values)
    assert values["mae"] == pytest.approx((90 * 55 + 10 * 200) / 255 / (19 * 30))
    assert values["dice"] == pytest.approx(180 / 190)
    assert set(values["definitions"]) == set(METRICS)
    assert set(values["conventions"]) == set(CONVENTIONS)
    assert {d["metric"] for d in values["differences"]} >= {"mae", "brier", "ece"}
    done = omniview("metrics", tmp_path / "blank.png", paths[1], "--convention", "monai")
    values = json.loads(done.stdout)
    assert (values["hd"], values["hd95"]) == (None, None)
    assert values["not_finite"] == {
        "hd": "inf",
        "hd95": "nan",
        "assd": "inf",
        "precision": "nan",
        "mcc": "nan",
    }


def test_numbered_objects_are_compared_one_by_one(tmp_path: Path) -> None:
    """Two label images give object scores too."""
    labels = np.zeros((30, 30), np.uint16)
    for number, (row, column) in enumerate(((2, 2), (2, 15), (15, 2), (15, 15)), start=1):
        labels[row : row + 8, column : column + 8] = number
    cv2.imwrite(str(tmp_path / "truth.png"), labels)
    labels[labels == 4] = 0
    cv2.imwrite(str(tmp_path / "found.png"), labels)
    done = omniview("metrics", tmp_path / "found.png", tmp_path / "truth.png", "--explain")
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert values["objects"]["instance_recall_50"] == 0.75
    assert values["objects"]["count_error"] == 1.0
    assert "panoptic_quality" in values["definitions"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("metrics", "absent.png", "absent.png"), "absent.png"),
        (("metrics", "absent.png", "absent.png", "--spacing", "one"), "--spacing"),
        (("metrics", "absent.png", "absent.png", "--spacing", "inf,1"), "--spacing"),
        (("metrics", "absent.png", "absent.png", "--convention", "home-made"), "--convention"),
        (("segment", "x.png", "--out", "o", "--task", "wart"), "wart"),
        (("segment", "x.png", "--out", "o", "--omnimodel", "oracle"), "omnimodel"),
        (("score", "absent-folder", "--out", "o"), "absent-folder"),
        (("segment", "x.png"), "--out"),
    ],
)
def test_bad_usage_is_status_2_with_a_message(
    tmp_path: Path, arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong is named on stderr; nothing is on stdout; there is no traceback."""
    monkeypatch.chdir(tmp_path)
    done = omniview(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_models_are_listed_and_verified(own_model: Path) -> None:
    """A changed weights file is found."""
    assert "own" in omniview("models", "list").stdout
    assert omniview("models", "verify").returncode == 0
    own_model.with_suffix(".onnx").write_bytes(b"changed")
    done = omniview("models", "verify")
    assert done.returncode == 1
    assert "own.onnx" in done.stderr


def test_version_and_help() -> None:
    """Both answer at once; help lists the commands."""
    assert omniview("--version").stdout.startswith("omniview ")
    text = omniview("--help").stdout
    assert all(command in text for command in ("open", "segment", "score", "metrics", "doctor"))


@pytest.mark.parametrize(
    "arguments", [["--truth", "a.png"], ["--masks", "out"], ["a.png", "--sample", "fundus"]]
)
def test_open_refuses_options_that_would_be_ignored(arguments: list[str], tmp_path: Path) -> None:
    """An option without what it belongs to is bad usage, not silence."""
    done = omniview("open", *arguments, "--offline")
    assert done.returncode == 2
    assert "--" in done.stderr


def test_messages_are_not_wrapped(tmp_path: Path) -> None:
    """A message stays one line in a narrow terminal or a file, so that a path in it can be copied."""
    done = omniview("segment", tmp_path / "gone.png", "--out", tmp_path / "out", COLUMNS="30")
    assert done.returncode == 1
    assert "gone.png does not exist. Check the path." in done.stderr

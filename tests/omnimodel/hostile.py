"""Answers made to hurt: ten megabytes each of what costs a decoder most."""

from __future__ import annotations

import base64
import json
import random
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from tests.omnimodel.forms import boxed, disc, entry, png64

__all__ = ["HOSTILE"]

MB10 = 10_000_000


def _fill(piece: str, start: str = "", end: str = "") -> str:
    return start + piece * ((MB10 - len(start) - len(end)) // len(piece)) + end


@lru_cache(maxsize=4)
def _black_png(width: int, height: int) -> str:
    """A PNG that unpacks to `width` x `height` pixels out of a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = zlib.compress(bytes(height * (width + 1)), 9)
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _many(count: int, make: Callable[[int], object]) -> str:
    return json.dumps([make(i) for i in range(count)])[:MB10]


def _zigzag(points: int, step: int = 0) -> list[list[int]]:
    """From top to bottom and back with every point: each edge crosses every row."""
    return [[(i + step) % 1000, 1000 * (i % 2)] for i in range(points)]


def _noise_png(seed: int, side: int) -> str:
    grey = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    return png64(grey)


def _nested(depth: int) -> str:
    return '{"a":' * depth + "[]" + "}" * depth


def _shuffled() -> str:
    rng = random.Random(0)
    return "".join(rng.choices('[]{}":,\\0123456789.eE+-truefalsn \n<seg_>', k=MB10))


HOSTILE: Mapping[str, Callable[[], str]] = {
    # structure
    "opening brackets": lambda: _fill("["),
    "opening braces": lambda: _fill("{"),
    "brackets in pairs": lambda: _fill("[]"),
    "braces in pairs": lambda: _fill("{}"),
    "half objects": lambda: _fill('[{"a":'),
    "empty lists": lambda: _fill("[],["),
    "empty objects": lambda: _fill("{},", "["),
    "lists in lists in lists": lambda: _fill("[" * 900 + "]" * 900 + ","),
    "objects in objects": lambda: _fill(_nested(900) + "\n"),
    "closed and deep": lambda: "[" * 5_000_000 + "]" * 5_000_000,
    "keys": lambda: _fill('"k": 1,', "{"),
    "different keys": lambda: "{" + ",".join(f'"{i}":{i}' for i in range(700_000)),
    "one key of ten megabytes": lambda: '{"' + "k" * MB10 + '": 1}',
    "out of step": lambda: _fill('{"a{""a{a"'),
    "commas": lambda: _fill(",", "["),
    "trailing commas": lambda: _fill('{"a":1,,},'),
    "colons": lambda: _fill("{:"),
    "broken objects": lambda: _fill('{"mask": [1,2,}'),
    "broken objects, long": lambda: _fill('{"mask": "' + "A" * 30_000 + '",,}'),
    "Python's quotes": lambda: _fill("{'mask': None, 'box_2d': True},"),
    "quotes": lambda: _fill('"'),
    "strings": lambda: _fill('"ab",', "["),
    "backslashes": lambda: _fill("\\", '{"'),
    "unicode escapes": lambda: _fill("\\u0000", '{"mask": "'),
    "surrogates": lambda: _fill("\ud800"),
    "surrogates in a key": lambda: _fill("\udfff\ud800", '[{"') + '":1}]',
    "escaped surrogates": lambda: _fill("\\ud800", '{"mask": "') + '"}',
    "NULs": lambda: _fill("\0"),
    "blanks": lambda: _fill(" "),
    "blanks in a list": lambda: _fill(" ", "[") + "]",
    "lines": lambda: _fill("\n"),
    "shuffled punctuation": _shuffled,
    "fences": lambda: _fill("```json\n"),
    "prose": lambda: _fill("I see a polyp at [200, 300]. "),
    # numbers
    "digits": lambda: _fill("9"),
    "digits in a list": lambda: _fill("9", "["),
    "a number of ten megabytes in a box": lambda: _fill("9", '[{"box_2d": [') + "]}]",
    "numbers of 4000 digits": lambda: _fill("9" * 4000 + ",", '[{"mask": ['),
    "numbers of 5000 digits": lambda: _fill("9" * 5000 + ",", '[{"mask": ['),
    "whole numbers of 4000 digits": lambda: "[" + ",".join(["9" * 4000] * 480) + "]",
    "fractions": lambda: _fill("1.5,", "["),
    "fractions of 4000 digits": lambda: _fill("0." + "1" * 4000 + ",", '[{"mask": ['),
    "exponents": lambda: _fill("1e999999,", '[{"mask": ['),
    "exponents of a thousand digits": lambda: _fill("1e" + "9" * 1000 + ",", "["),
    "pairs": lambda: _fill("[1,2]"),
    "pairs in a list": lambda: _fill("[1,2],", "["),
    "NaN": lambda: _fill("NaN,", "["),
    "true": lambda: _fill("true,", "["),
    # masks
    "base64": lambda: _fill("A", '[{"mask": "'),
    "base64, ended": lambda: _fill("A", '[{"box_2d": [0,0,9,9], "mask": "') + '"}]',
    "base64, 1.9 MB, ended": lambda: '[{"box_2d": [0,0,9,9], "mask": "' + "A" * 1_900_000 + '"}]',
    "base64 of blanks": lambda: '[{"box_2d": [0,0,9,9], "mask": "' + " " * 1_900_000 + '"}]',
    "seg tokens": lambda: _fill("<seg_1>"),
    "seg tokens in masks": lambda: _fill(json.dumps(entry("<seg_1>")) + ",", "["),
    "repeated objects": lambda: _fill(json.dumps(boxed()) + ",", "["),
    "repeated objects, whole": lambda: json.dumps([boxed()] * 1200),
    "different boxes": lambda: _many(9000, lambda i: boxed(box=(i % 900, i % 890, 999, 1000))),
    "boxes without masks": lambda: _many(12_000, lambda i: entry(None, (i % 900, 0, 1000, 1000))),
    "large PNG, often": lambda: _many(600, lambda i: entry(_black_png(2048, 2048), (0, 0, 1000 - i, 999))),
    "one PNG of 2048x2048": lambda: json.dumps([entry(_black_png(2048, 2048), (0, 0, 1000, 1000))]),
    "a long narrow PNG": lambda: _many(9, lambda i: entry(_black_png(4_000_000, 1), (0, 0, 1000 - i, 999))),
    "noise PNG, often": lambda: _many(150, lambda i: entry(_noise_png(i, 200), (0, 0, 1000, 1000))),
    "one noise PNG of 1.9 MB": lambda: json.dumps([entry(_noise_png(0, 1180), (0, 0, 1000, 1000))]),
    "small PNG in the whole image": lambda: _many(
        2000, lambda i: entry(png64(disc(8)), (0, 0, 1000, 1000 - i % 900))
    ),
    "zigzag": lambda: json.dumps([entry(_zigzag(8000), None)]),
    "zigzags": lambda: _many(40, lambda i: entry(_zigzag(4000, i), None)),
    "many triangles": lambda: _many(
        15_000, lambda i: entry([[0, 0], [1000, i % 1000], [i % 997, 1000]], None)
    ),
    "small triangles": lambda: _many(
        15_000, lambda i: entry([[i % 990, 0], [i % 990 + 9, 3], [i % 990, 9]], None)
    ),
    "polygons of many parts": lambda: _many(
        30, lambda i: entry([[[j % 900, i], [j % 900 + 90, i], [j % 900, 900]] for j in range(800)], None)
    ),
    "points named x and y": lambda: json.dumps(
        [entry([{"x": j % 999, "y": j * j % 999} for j in range(8000)], None)]
    ),
    "too many points": lambda: json.dumps([entry([[j % 999, j % 7] for j in range(900_000)], None)]),
    "a flat outline": lambda: json.dumps([entry([j * j % 999 for j in range(500_000)], None)]),
    "grid of a million": lambda: json.dumps([entry([[1, 0] * 500] * 900, (0, 0, 1000, 1000))]),
    "grid of booleans": lambda: json.dumps([entry([[True] * 600] * 500, (0, 0, 1000, 1000))]),
    "grids": lambda: _many(90, lambda i: entry([[1, 0, 1] * 20] * 60, (0, 0, 1000, 1000 - i))),
    "ragged grid": lambda: json.dumps([entry([[1] * (j % 50 + 3) for j in range(30_000)])]),
    "lists as masks": lambda: _many(9000, lambda i: entry([[[[[i]]]]])),
    "objects as masks": lambda: _many(9000, lambda i: entry({"data": {"data": {"data": i}}})),
    "labels": lambda: _many(9000, lambda i: {"label": "polyp " * 20, "box_2d": [i, 0, 9, 9]}),
    "a bare list of points": lambda: json.dumps([[i * i % 1000, i % 1000] for i in range(90_000)]),
}
"""By name, what makes the text: built only when it is wanted."""

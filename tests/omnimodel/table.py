"""A row of a conformance table: what a server does, how that must end, and the playing of it."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from omniview.core.image import Image
from omniview.core.prediction import Prediction
from omniview.core.task import TASKS
from omniview.errors import OmnimodelError
from omniview.omnimodel.asking import CloudSegmenter
from omniview.omnimodel.audit import verify
from tests.omnimodel.loopback import Loopback, Request, Step

__all__ = ["Row", "Segment", "play"]

Segment: TypeAlias = Callable[..., CloudSegmenter]


@dataclass(frozen=True)
class Row:
    """What the server does, and how that must end.

    Attributes:
        name: unique in its table.
        script: one step for each request in turn, the last one for all that follow.
        error: what asking ends with, or None if there is a mask.
        says: part of the message, or of the notes.
        requests: how many arrive.
        settings: other than the provider's own.
        empty: the mask is empty, because the answer says so.
        calls: how many calls the requests belong to, by the audit.
        departures: how often the pixels left, by the audit, where that is not the number of requests.
        scheme: how the server is asked, which speaks plain HTTP whatever it is.
    """

    name: str
    script: list[Step]
    error: type[OmnimodelError] | None = None
    says: str = ""
    requests: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    empty: bool = False
    calls: int = 1
    departures: int | None = None
    scheme: str = "http"


async def play(
    row: Row,
    segmenter: Segment,
    image: Image,
    home: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> list[Request]:
    """Check outcome, number of requests, audit, and that no key and no pixels are anywhere; what was sent."""
    caplog.set_level(logging.DEBUG)
    with Loopback(row.script) as server:
        omnimodel = segmenter(server.url.replace("http", row.scheme, 1), **row.settings)
        outcome: Prediction | OmnimodelError
        try:
            outcome = await omnimodel.segment(image, TASKS["polyp"])
        except OmnimodelError as error:
            outcome = error
        finally:
            await omnimodel.close()
        requests = server.requests
    assert len(requests) == row.requests
    for request in requests:
        assert "CANARY" not in json.dumps(request.body)

    if isinstance(outcome, Prediction):
        assert row.error is None
        assert outcome.mask.any() == (not row.empty)
        assert row.says in " ".join(outcome.provenance.notes)
        assert row.says != "" or outcome.provenance.notes == ()
        told = repr(outcome.provenance)
    else:
        assert type(outcome) is row.error, outcome
        assert row.says in outcome.message
        assert outcome.next_step
        told = "".join(traceback.format_exception(outcome)) + repr(outcome) + repr(outcome.__context__)
    departures = row.requests if row.departures is None else row.departures
    audit = (home / "audit.jsonl").read_text("utf-8") if departures else ""
    assert verify(home / "audit.jsonl") == departures + row.calls
    records = [json.loads(line) for line in audit.splitlines()]
    assert sum(record.get("times_sent", 0) for record in records) == departures
    terminal = capfd.readouterr()
    for text in (told, caplog.text, audit, terminal.out, terminal.err):
        assert "CANARY" not in text
        assert "iVBOR" not in text
    return requests

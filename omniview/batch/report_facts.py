"""What ran, as the engine tells it, and how the numbers were made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from omniview.batch.columns import TABLE
from omniview.batch.html import Html, element, join, table
from omniview.batch.summary import DEFINITIONS
from omniview.batch.wording import MAIN

__all__ = ["banners", "facts", "methods"]

_FIRST = (
    "provided_by",
    "version",
    "task",
    "omnimodel",
    "offline",
    "cases",
    "finished",
    "failed",
    "models",
    "weights",
)
_NOT_SHOWN = frozenset(("incomplete", "metrics", "unpaired", "resumed_anyway", "settings"))
_TOLD = 50  # files that could not be paired
_HASHES = re.compile(r"[0-9a-f]{40,}( [0-9a-f]{40,})*")  # of a model in several files: a hash each


def banners(about: Mapping[str, Any]) -> Html:
    """What nobody may overlook: an unfinished run, or one that was resumed although something had changed."""
    parts = []
    if about.get("incomplete"):
        words = (
            f"This run is not finished: {about.get('finished', 'some')} of {about.get('cases', 'all')} cases."
        )
        parts.append(element("p", words + " All numbers are of these alone.", class_="warn", role="note"))
    if changed := about.get("resumed_anyway"):
        what = ", ".join(map(str, changed)) if isinstance(changed, Sequence) else "something"
        words = f"This run was resumed although this had changed: {what}. Its cases were not all made alike."
        parts.append(element("p", words, class_="warn", role="note"))
    return join(parts)


def facts(about: Mapping[str, Any]) -> Html:
    """Versions, models, hashes, counts; settings folded away."""
    names = [name for name in _FIRST if name in about]
    names += sorted(name for name in about if name not in _FIRST and name not in _NOT_SHOWN)
    parts: list[object] = [_listed({name: about[name] for name in names})]
    if settings := about.get("settings"):
        parts.append(element("details", element("summary", "Settings"), _listed(settings)))
    if unpaired := about.get("unpaired"):
        shown = [(one.get("name", ""), one.get("reason", "")) for one in unpaired[:_TOLD]]
        more = f", the first {_TOLD} of {len(unpaired)}" if len(unpaired) > _TOLD else ""
        parts.append(
            table(
                ["File", "Reason"], shown, caption=f"Files that were not paired{more}.", words=2, kind="names"
            )
        )
    return join(parts)


def _listed(values: Mapping[str, Any]) -> Html:
    items: list[Html] = []
    for name, value in values.items():
        shown = _value(value)
        if shown:
            items += [element("dt", name.replace("_", " ")), element("dd", shown)]
    return element("dl", *items, class_="facts") if items else Html("")


def _value(value: Any) -> Html:
    """Any JSON as HTML; nothing for what is not set."""
    if value is None or value == "" or value == {} or value == []:
        return Html("")
    if isinstance(value, bool):
        return Html("yes" if value else "no")
    if isinstance(value, Mapping):
        return _listed(value)
    if isinstance(value, str) and _HASHES.fullmatch(value):
        return element("code", value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if all(not isinstance(one, Mapping) for one in value):
            return join([", ".join(map(str, value))])
        return join(_value(one) for one in value)
    return join([value])


def methods() -> Html:
    """Definitions behind the numbers, and the main metrics' own."""
    said = join(
        part
        for name, words in DEFINITIONS.items()
        for part in (element("dt", name.replace("_", " ")), element("dd", words))
    )
    rows = [[TABLE[name].name, TABLE[name].definition, TABLE[name].source] for name in MAIN]
    head = ["Metric", "Definition", "Source"]
    caption = "Main metrics; the others are defined in columns.json."
    return join([element("dl", said, class_="facts"), table(head, rows, caption=caption, words=3)])

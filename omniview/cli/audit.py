"""`omniview audit`: the record of departures."""

from __future__ import annotations

from omniview.cli.console import say
from omniview.settings import home

__all__ = ["audit_verify"]


def audit_verify() -> None:
    """Check that no record was changed, removed or reordered; say what was paid to whom on which day."""
    from omniview.omnimodel.audit import Audit, paid, verify

    path = Audit(home()).path
    say(f"{verify(path)} records, unbroken: {path}")
    for one in paid(path):
        cost = "cost not known" if one.cost is None else f"{one.cost:.4f} {one.currency}"
        calls = "1 call" if one.calls == 1 else f"{one.calls} calls"
        say(f"{one.day}  {one.endpoint}  {calls}  {cost}")

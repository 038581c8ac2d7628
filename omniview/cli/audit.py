"""`omniview audit`: the record of departures."""

from __future__ import annotations

import typer

from omniview.settings import home

__all__ = ["audit_verify"]


def audit_verify() -> None:
    """Check that no record was changed, removed or reordered."""
    from omniview.omnimodel.audit import Audit, verify

    path = Audit(home()).path
    typer.echo(f"{verify(path)} records, unbroken: {path}")

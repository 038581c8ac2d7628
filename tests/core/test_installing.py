"""The line to type names the Python that runs, in whichever folder it is."""

from __future__ import annotations

import sys

import pytest

from omniview.core.installing import install_line


@pytest.mark.parametrize(
    ("python", "typed"), [("apps/python", "apps/python"), ("my apps/python", '"my apps/python"')]
)
def test_the_line_names_this_very_python(monkeypatch: pytest.MonkeyPatch, python: str, typed: str) -> None:
    """A folder with a space in its name is quoted, and so are the brackets, which shells would expand."""
    monkeypatch.setattr(sys, "executable", python)
    assert install_line("omniview[ocr]") == f'{typed} -m pip install "omniview[ocr]"'

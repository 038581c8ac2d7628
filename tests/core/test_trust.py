"""The numbers of a calibrated pair are checked, and what its margin promises is said in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from omniview.core.trust import Margin, margin_sentence


@pytest.mark.parametrize(
    "changes",
    [{"outer": 0.0}, {"outer": 0.6}, {"inner": 0.4}, {"inner": 1.0}, {"alpha": 0.0}, {"alpha": 1.0}],
)
def test_a_margin_names_the_field_that_breaks_a_rule(changes: dict[str, Any]) -> None:
    """Contours that would cross the mask, and shares that promise nothing, are refused."""
    with pytest.raises(ValueError, match=f"Margin.{next(iter(changes))}"):
        Margin(**{"outer": 0.2, "inner": 0.8, **changes})


def test_the_sentence_speaks_of_the_average() -> None:
    """Nothing is promised for a single image."""
    words = margin_sentence(Margin(0.2, 0.8, 0.1))
    assert words.startswith("On average over images like these, at most 10 % of the lesion lies outside")

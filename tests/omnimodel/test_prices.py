"""A price comes from a dated table that a person can put newer ones on top of; none is guessed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.errors import SettingsError
from omniview.omnimodel.prices import PriceTable
from omniview.settings import Settings

OWN = """
schema = 1
[[model]]
match = ["gemini-test", "llava*"]
in = 2.0
out = 10.0
as_of = 2026-11-22
[[model]]
match = ["gemini-old"]
in = 1.0
out = 1.0
as_of = 2026-01-01
until = 2026-06-30
[[model]]
match = ["gemini-old"]
in = 4.0
out = 4.0
as_of = 2026-01-01
"""


@pytest.fixture
def table(tmp_path: Path) -> PriceTable:
    """A person's own prices on top of those that ship."""
    (tmp_path / "prices.toml").write_text(OWN, "utf-8")
    return PriceTable.load(tmp_path)


def test_a_call_costs_its_tokens(table: PriceTable) -> None:
    """Per million: 300 in at 2 dollars and 250 out at 10."""
    assert table.cost("gemini-test", 300, 250) == pytest.approx((300 * 2 + 250 * 10) / 1e6)
    assert table.cost("models/Gemini-Test", 1, 0) == pytest.approx(2e-6)
    assert table.cost("llava:13b", 0, 1) == pytest.approx(1e-5)


def test_an_unknown_model_has_no_price(table: PriceTable) -> None:
    """Nothing is guessed from a similar name."""
    assert table.find("gemini-3-flash-image-preview") is None
    assert table.cost("gemini-tes", 1, 1) is None
    assert table.estimate("gemini-tes", "?", None, 1) is None
    assert table.affordable("gemini-tes", "?", None, 1.0) is None


def test_the_models_that_are_chosen_by_default_have_a_price(tmp_path: Path) -> None:
    """Whoever sets a cap and changes nothing else is not refused."""
    table = PriceTable.load(tmp_path)
    for model in (Settings().gemini.model, Settings().openai.model):
        price = table.find(model)
        assert price is not None
        assert price.as_of > date(2025, 1, 1)


def test_a_price_that_was_announced_to_end_ends(tmp_path: Path, table: PriceTable) -> None:
    """After its last day the next entry counts."""
    entries = table._entries
    for today, expected in ((date(2026, 6, 30), 1e-6), (date(2026, 7, 1), 4e-6)):
        price = PriceTable(entries, today).find("gemini-old")
        assert price is not None
        assert price.per_token_in == pytest.approx(expected)


@given(
    st.text(max_size=200),
    st.one_of(st.none(), st.tuples(st.integers(1, 1024), st.integers(1, 1024))),
    st.integers(0, 65536),
)
def test_an_estimate_is_never_below_the_cost(question: str, size: tuple[int, int] | None, out: int) -> None:
    """As many tokens as bytes, a whole picture and the longest answer cost no more; it can be inverted."""
    table = PriceTable.load(Path("nowhere"))
    model = "gemini-3-flash-preview"
    most = table.estimate(model, question, size, out)
    real = table.cost(model, len(question.encode()) + (0 if size is None else 1120), out)
    assert most is not None
    assert real is not None
    assert most >= real
    assert table.affordable(model, question, size, most) == out


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("schema = 2", "schema"),
        ("schema = 1\n[[model]]\nmatch = ['a']\nin = -1\nout = 1\nas_of = 2026-01-01", "model.0.in"),
        ("schema = 1\n[[model]]\nmatch = ['a']\nin = 1\nout = 1", "as_of"),
        ("schema = 1\n[[model]]\nmatch = ['a']\nin = inf\nout = 1\nas_of = 2026-01-01", "model.0.in"),
        ("schema = ", "cannot be read"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, text: str, named: str) -> None:
    """The message names the entry that breaks a rule, and the file."""
    (tmp_path / "prices.toml").write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=named) as caught:
        PriceTable.load(tmp_path)
    assert "prices.toml" in caught.value.message
    assert caught.value.next_step

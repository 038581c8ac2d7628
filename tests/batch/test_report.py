"""A report is one file: nothing is loaded, all is said, and it can be read without eyes or colour."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from omniview.batch.findings import find
from omniview.batch.gather import Gatherer
from omniview.batch.html import Html, element, table
from omniview.batch.report import report_html
from omniview.batch.report_cases import ENDS, MOST
from omniview.batch.rows import FAILED, UNREADABLE
from omniview.batch.summary import DISCLAIMER
from omniview.batch.tables import latex, markdown
from tests.batch.conftest import CASES, NORMALS, PhantomRun
from tests.batch.made import gathered_of, record_of, row_of

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Reads a page, and notes what does not fit."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags[tag] += 1
        self.attributes.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of a picture that is closed at once."""
        self.tags[tag] += 1
        self.attributes.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Must close what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the words."""
        self.words.append(data)


@pytest.fixture(scope="module")
def text(phantom_run: PhantomRun) -> str:
    """The report of the run over phantoms."""
    return (phantom_run.out / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    """The same, parsed."""
    return Page(text)


def test_nothing_is_loaded_from_elsewhere(page: Page, text: str) -> None:
    """Every source is inside the file, every link leads to a place in it, and the policy forbids the rest."""
    ids = {attributes["id"] for _, attributes in page.attributes if "id" in attributes}
    for tag, attributes in page.attributes:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert "srcset" not in attributes
        if "src" in attributes:
            assert attributes["src"].startswith("data:image/jpeg;base64,")
        for name in ("href", "xlink:href"):
            if name in attributes:
                assert attributes[name].removeprefix("#") in ids
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|import\(", text)
    assert set(re.findall(r"https?://[^\"'<> ]+", text)) <= {"http://www.w3.org/2000/svg"}
    policy = next(
        a["content"] for _, a in page.attributes if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy


def test_page_is_well_formed_and_ids_are_unique(page: Page) -> None:
    """Every element is closed where it belongs; no two have one id."""
    assert page.open == []
    ids = Counter(attributes["id"] for _, attributes in page.attributes if "id" in attributes)
    assert max(ids.values()) == 1


def test_it_can_be_read_without_eyes(page: Page) -> None:
    """Language, one main heading, names of pictures and figures, and heads of columns and rows."""
    assert ("html", {"lang": "en"}) in page.attributes
    assert page.tags["h1"] == 1
    for tag, attributes in page.attributes:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-labelledby"]
        if tag == "th":
            assert attributes["scope"] in ("col", "row")


def test_it_says_what_nobody_may_overlook(page: Page, phantom_run: PhantomRun) -> None:
    """Not a medical device; n; what ran, with hashes; failures; definitions."""
    words = " ".join(page.words)
    assert DISCLAIMER in words
    assert f"{CASES + NORMALS + 1} cases" in words
    assert "torn" in words
    assert "Regression to the mean" in words
    models = phantom_run.about["models"]
    for facts in models["specialist"]:
        assert facts["weights_sha256"] in words
        assert facts["provider"] in words


def test_it_prints(text: str) -> None:
    """There are rules for A4 paper."""
    assert "@page { size: A4" in text
    assert "@media print" in text


def test_warnings_stand_on_top() -> None:
    """An unfinished run and a run that was resumed against advice say so before any number."""
    found = find(gathered_of({"fused": [0.5] * 3}))
    about = {"incomplete": True, "finished": 3, "cases": 9, "resumed_anyway": ["weights"]}
    words = report_html(found, about)
    assert words.index("3 of 9 cases") < words.index("<main>")
    assert words.index("had changed: weights") < words.index("<main>")
    assert 'class="warn"' not in report_html(found, {})


def test_thumbnails_of_the_worst_are_inside() -> None:
    """The cases with the lowest Dice are shown, the very worst first, those without a mask before all."""
    gatherer = Gatherer()
    for case in range(30):
        status = FAILED if case == 17 else "ok"
        rows = [row_of(f"c{case:02d}", "fused", 0.3 + case / 100, status)]
        gatherer.add(record_of(f"c{case:02d}", rows, thumbnail=b"jpeg"))
    gathered = gatherer.finish()
    assert [picture.name for picture in gathered.worst][:3] == ["c17", "c00", "c01"]
    assert len(gathered.worst) == 12
    assert report_html(find(gathered), {}).count("data:image/jpeg") == 12


def test_only_real_losses_and_gains_of_fusion_are_shown() -> None:
    """A change of Dice by more than 0.02 is worth a picture, the largest first; less is not."""
    gatherer = Gatherer()
    for name, fused in (("tiny", 0.49), ("lost", 0.4), ("ruined", 0.1), ("won", 0.9)):
        rows = [row_of(name, "specialist", 0.5), row_of(name, "fused", fused)]
        gatherer.add(record_of(name, rows, thumbnail=b"jpeg"))
    gathered = gatherer.finish()
    assert [picture.name for picture in gathered.harmed] == ["ruined", "lost"]
    assert [picture.name for picture in gathered.helped] == ["won"]


def test_one_case_is_told_as_one() -> None:
    """A single case has no interval, which is said instead of left open, and is not called cases."""
    words = " ".join(Page(report_html(find(gathered_of({"specialist": [0.5], "fused": [0.6]})), {})).words)
    assert "1 cases" not in words
    assert words.count("no interval") == 3
    assert "interval ," not in words


def test_rows_without_a_score_are_counted_as_they_are_listed() -> None:
    """Of a case with two readers, each of whom a model failed against, there are two such rows."""
    gatherer = Gatherer()
    rows = [row_of("two", "fused", None, FAILED, reader, reason="gone") for reader in ("ann", "bob")]
    gatherer.add(record_of("two", rows))
    gatherer.add(record_of("one", [row_of("one", "fused", None, UNREADABLE, reason="torn")]))
    gatherer.add(record_of("good", [row_of("good", "fused", 0.5, truth="ann")]))
    page = Page(report_html(find(gatherer.finish()), {}))
    assert "Why there is no score (3 rows)." in page.words
    assert (page.words.count("gone"), page.words.count("torn")) == (2, 1)


def test_of_many_cases_those_with_a_score_are_listed() -> None:
    """Where few of very many have one, these are listed, and nobody is told of best and worst."""
    gatherer = Gatherer()
    for case in range(MOST + 1):
        status = "ok" if case < 20 else UNREADABLE
        gatherer.add(record_of(f"c{case}", [row_of(f"c{case}", "fused", 0.5, status)]))
    text = report_html(find(gatherer.finish()), {})
    assert "Only the 20 with a score of 2,001 are listed" in text


def test_every_distance_has_a_unit() -> None:
    """In the heading; where there are two units, beside each number."""
    cells = {}
    for name, units in (("same", ("mm", "mm")), ("mixed", ("mm", "px"))):
        gathered = gathered_of({"fused": [0.5, 0.6]}, hd95=[4.0, 7.0], distance_unit=units)
        cells[name] = Page(report_html(find(gathered), {})).words
    assert {"4.00", "7.00", "HD95, mm: fused"} <= set(cells["same"])
    assert {"4.00 mm", "7.00 px"} <= set(cells["mixed"])


def test_hashes_stand_in_code() -> None:
    """Those of a model in several files too; what is not set takes no line."""
    text = report_html(
        find(gathered_of({"fused": [0.5] * 2})), {"weights": {"one": f"{'a' * 64} {'b' * 64}"}}
    )
    assert f"<code>{'a' * 64} {'b' * 64}</code>" in text
    assert "budget" not in report_html(
        find(gathered_of({"fused": [0.5]})), {"settings": {"budget": {"daily": None}}}
    )


def test_of_very_many_cases_both_ends_are_listed() -> None:
    """Above two thousand cases the worst and best five hundred are in the table, and it says so."""
    found = find(gathered_of({"fused": [k / (MOST + 100) for k in range(MOST + 100)]}))
    parsed = Page(report_html(found, {}))
    words = " ".join(parsed.words)
    assert f"{ENDS} worst and the {ENDS} best of 2,100" in words
    assert "case00000" in words
    assert f"case{MOST + 99:05d}" in words
    assert "case01000" not in words


def test_markup_is_escaped() -> None:
    """Words and attributes cannot become elements; what is HTML stays."""
    assert element("p", "<b>", title='"x') == '<p title="&quot;x">&lt;b&gt;</p>'
    assert element("p", Html("<b></b>")) == "<p><b></b></p>"
    assert "&lt;i&gt;" in table(["<i>"], [["a"]])


def test_tables_for_a_paper() -> None:
    """LaTeX with booktabs and Markdown hold the same numbers, and no character that breaks them."""
    gathered = gathered_of({"specialist": [0.5, 0.7] * 10, "fused": [0.6, 0.8] * 10})
    found = find(gathered)
    tex, marked = latex(found), markdown(found)
    assert "booktabs" in tex
    assert tex.count(r"\resizebox") == tex.count(r"\end{tabular}}") == 3  # none is wider than the text
    assert tex.count(r"\toprule") == tex.count(r"\bottomrule") == tex.count(r"\begin{table}") == 3
    assert "Dice & 0.600 [" in tex
    assert "| Dice | 0.600 [" in marked
    body = tex.split("\n", 1)[1]
    assert not re.search(r"(?<!\\)[%#_]", re.sub(r"\\label\{[^}]*\}", "", body))
    assert "\N{MINUS SIGN}" not in tex
    widths = {line.count("|") for line in marked.split("\n\n")[1].splitlines()}
    assert len(widths) == 1


def test_tables_say_what_ran() -> None:
    """Version, model, hash and provider, in comments of LaTeX, and below the tables of Markdown."""
    found = find(gathered_of({"fused": [0.5, 0.6]}))
    ran = {"model": "net_a\n%b", "provider": "CPU", "weights_sha256": "ab" * 32}
    about = {"provided_by": "OmniView 9", "models": {"specialist": [ran]}}
    tex, marked = latex(found, about), markdown(found, about)
    top = tex[: tex.index("\\begin{table}")].strip().splitlines()
    assert all(line.startswith("% ") for line in top)
    assert any("OmniView 9" in line for line in top)
    assert f"% specialist: net_a %b, provider CPU, weights_sha256 {'ab' * 32}" in top
    assert marked.endswith(f"- specialist: net\\_a %b, provider CPU, weights\\_sha256 {'ab' * 32}\n")
    assert latex(found).count("%") == tex.count("%") - 3


def test_latex_survives_any_name() -> None:
    """Special characters of a model's name are set as they are read."""
    tex = latex(find(gathered_of({"a_b%&{}\\~^#$": [0.5, 0.6]})))
    assert r"a\_b\%\&\{\}\textbackslash{}\textasciitilde{}\textasciicircum{}\#\$" in tex

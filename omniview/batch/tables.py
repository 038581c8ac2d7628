"""Tables for a paper: LaTeX (booktabs) and Markdown out of the same cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omniview.batch.findings import HARM, Findings, Group
from omniview.batch.statistics import REPLICATES, Spread
from omniview.batch.wording import DASH, MAIN, between, p_value, signed, title_of, value_of

__all__ = ["latex", "markdown"]

_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
        "\N{MINUS SIGN}": r"$-$",
        "\N{EN DASH}": "--",
        "\n": " ",
    }
)
_NO_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{"
"""Shrinks what is wider than the text, and nothing else."""
_MARKDOWN = str.maketrans(
    {"\\": r"\\", "|": r"\|", "<": "&lt;", ">": "&gt;", "*": r"\*", "_": r"\_", "`": r"\`", "\n": " "}
)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table in words; its first columns are names, the others numbers."""

    label: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1


def latex(findings: Findings, about: Mapping[str, Any] | None = None) -> str:
    r"""Tables for `\usepackage{booktabs,graphicx}`; numbers are set as text, whatever the names hold.

    Args:
        findings: of the run.
        about: what ran, as summary.json has it; told in comments.
    """
    said = (r"needs \usepackage{booktabs,graphicx}", *_origin(about or {}))
    comments = "".join(f"% {line}\n" for line in said)
    return f"{comments}\n" + "\n".join(_latex(one) for one in _tables(findings))


def markdown(findings: Findings, about: Mapping[str, Any] | None = None) -> str:
    """The same tables for a README or a notebook, and below them what ran."""
    tables = "\n".join(_markdown(one) for one in _tables(findings))
    origin = "".join(f"- {line.translate(_MARKDOWN)}\n" for line in _origin(about or {}))
    return f"{tables}\n{origin}" if origin else tables


def _origin(about: Mapping[str, Any]) -> Iterator[str]:
    """Version, models with hashes and providers, a line each: tables leave the folder that tells it all."""
    if made_by := about.get("provided_by"):
        yield f"{made_by}; settings and all else that ran: summary.json of this run"
    for role, ran in about.get("models", {}).items():
        for one in ran:
            facts = (f"{name} {value}" for name, value in one.items() if name != "model")
            yield " ".join(f"{role}: {one.get('model', '')}, {', '.join(facts)}".split())


def _tables(findings: Findings) -> list[_Table]:
    found = [_results(group, len(findings.groups) > 1) for group in findings.groups]
    if findings.comparisons:
        found.append(_comparisons(findings))
    if findings.cohorts:
        found.append(_cohorts(findings))
    return found


def _results(group: Group, several: bool) -> _Table:
    models = group.models.values()
    metrics = [m for m in MAIN if any(m in model.metrics for model in models)]
    rows = [
        [title_of(metric, group.unit), *(_cell(model.metrics.get(metric), metric) for model in models)]
        for metric in metrics
    ]
    rows += [
        ["n", *(str(model.scored + model.failed) for model in models)],
        ["of which without a mask", *(str(model.failed) for model in models)],
        ["of which true negatives", *(str(model.true_negatives) for model in models)],
    ]
    where = f" Cases: {group.name}." if several else ""
    caption = (
        f"Mean with 95 % confidence interval (BCa bootstrap over cases, {REPLICATES} samples).{where} A case "
        "without a mask counts as the worst value."
    )
    return _Table(f"results-{group.name}", caption, ["", *group.models], rows)


def _cell(spread: Spread | None, metric: str) -> str:
    return f"{value_of(spread, metric)} {between(spread, metric)}".strip()


def _comparisons(findings: Findings) -> _Table:
    several = len(findings.groups) > 1
    unit = {group.name: group.unit for group in findings.groups}
    rows = []
    for one in findings.comparisons:
        low, high = one.difference.low, one.difference.high
        ends = (
            "" if low is None or high is None else f" [{signed(low, one.metric)}, {signed(high, one.metric)}]"
        )
        rows.append(
            [
                f"{one.b} against {one.a}" + (f", {one.group}" if several else ""),
                title_of(one.metric, unit[one.group]),
                str(one.difference.n),
                signed(one.difference.mean, one.metric) + ends,
                p_value(one.difference.p),
                p_value(one.holm),
                DASH if one.harmed is None else f"{one.harmed:.1%}",
            ]
        )
    caption = (
        "Paired comparisons: mean difference with 95 % confidence interval, Wilcoxon signed-rank test, "
        f"adjusted after Holm over {len(rows)} comparisons. Harmed: pairs that lose more than {HARM:g} Dice."
    )
    head = ["", "Metric", "n", "Difference", "p", "p (Holm)", "Harmed"]
    return _Table("comparisons", caption, head, rows, names=2)


def _cohorts(findings: Findings) -> _Table:
    cohorts = findings.cohorts
    models = list(cohorts[0].dice)
    rows = [
        [
            f"{one.end.capitalize()}, {one.way.short}",
            str(next(iter(one.dice.values())).n),
            *(_cell(one.dice[m], "dice") for m in models),
            DASH if one.equal is None else f"{one.equal:.3f}",
        ]
        for one in cohorts
    ]
    caption = (
        "Mean Dice with 95 % confidence interval in the hardest and easiest tenth. Where a model's own Dice "
        "chose the cases, regression to the mean favours the other: the last column is what an equally good "
        "model would be expected to reach there."
    )
    return _Table("cohorts", caption, ["Cohort", "n", *models, "Equal model"], rows)


def _latex(one: _Table) -> str:
    head = " & ".join(_tex(cell) for cell in one.head)
    lines = "\n".join("  " + " & ".join(_tex(cell) for cell in row) + r" \\" for row in one.rows)
    columns = "l" * one.names + "r" * (len(one.head) - one.names)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering\small",
            f"  \\caption{{{_tex(one.caption)}}}",
            f"  \\label{{tab:{''.join(c for c in one.label if c.isalnum() or c == '-')}}}",
            f"  {_NO_WIDER}\\begin{{tabular}}{{{columns}}}",
            r"  \toprule",
            f"  {head} \\\\",
            r"  \midrule",
            lines,
            r"  \bottomrule",
            r"  \end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _tex(words: str) -> str:
    # a row that begins with a bracket would be taken for the option of the line before
    text = words.translate(_TEX)
    return "{}" + text if text.startswith("[") else text


def _markdown(one: _Table) -> str:
    head, *rows = (
        f"| {' | '.join(cell.translate(_MARKDOWN) for cell in row)} |" for row in (one.head, *one.rows)
    )
    rule = f"|{'---|' * one.names}{'---:|' * (len(one.head) - one.names)}"
    return "\n".join([one.caption.translate(_MARKDOWN), "", head, rule, *rows, ""])

"""Tables for a paper: LaTeX (booktabs) and Markdown out of the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
_MARKDOWN = str.maketrans(
    {"\\": r"\\", "|": r"\|", "<": "&lt;", ">": "&gt;", "*": r"\*", "_": r"\_", "`": r"\`", "\n": " "}
)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table in words; its first column heads the rows."""

    label: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def latex(findings: Findings) -> str:
    r"""Tables for `\usepackage{booktabs}`; numbers are set as text, whatever the names hold."""
    return "% needs \\usepackage{booktabs}\n\n" + "\n".join(_latex(one) for one in _tables(findings))


def markdown(findings: Findings) -> str:
    """The same tables for a README or a notebook."""
    return "\n".join(_markdown(one) for one in _tables(findings))


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
    return _Table("comparisons", caption, ["", "Metric", "n", "Difference", "p", "p (Holm)", "Harmed"], rows)


def _cohorts(findings: Findings) -> _Table:
    cohorts = findings.cohorts
    models = list(cohorts[0].dice)
    rows = [
        [
            f"{one.end.capitalize()}, {one.way.title}",
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
    columns = "l" + "r" * (len(one.head) - 1)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering\small",
            f"  \\caption{{{_tex(one.caption)}}}",
            f"  \\label{{tab:{''.join(c for c in one.label if c.isalnum() or c == '-')}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            r"  \toprule",
            f"  {head} \\\\",
            r"  \midrule",
            lines,
            r"  \bottomrule",
            r"  \end{tabular}",
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
    rule = f"|---|{'---:|' * (len(one.head) - 1)}"
    return "\n".join([one.caption.translate(_MARKDOWN), "", head, rule, *rows, ""])

"""The tables of a study as Markdown, CSV and LaTeX, from one source; CSV in full precision."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veritrain.record import write_text
from veritrain.study.forecast import counted, told_forecast
from veritrain.study.ledger import Ledger
from veritrain.study.plan import Study

DASH = "-"
ABOUT_A_CELL = ("arm", "configuration", "seed", "stage", "status", "exit_code", "steps", "stop_reason", "seconds",
                "parameters", "verdict", "version", "recipe", "data")  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
LATEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
         "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
         "|": r"\textbar{}"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as people read them; ``caption`` says what the numbers are."""

    title: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_tables(study: Study, ledger: Ledger, summary: Mapping[str, Any], out: Path) -> list[Path]:
    """Write ``tables.md``, ``tables.tex``, ``arms.csv``, ``comparisons.csv`` and ``cells.csv`` into ``out``."""
    tables = (claims_table(summary), arms_table(summary))
    files = {
        "tables.md": page(summary, tables),
        "tables.tex": "% needs \\usepackage{booktabs}\n" + "\n".join(latex(table) for table in tables),
        "arms.csv": csv_text(arm_rows(summary)),
        "comparisons.csv": csv_text(summary["claims"]),
        "cells.csv": csv_text(list(cell_rows(study, ledger))),
    }
    for name, text in files.items():
        write_text(out / name, text)
    return [out / name for name in files]


# --- what is shown ------------------------------------------------------------------------------------------------


def claims_table(summary: Mapping[str, Any]) -> Table:
    """One row a claim, the primary one first."""
    plan = summary["plan"]
    level = f"{100 * (1 - plan['alpha']):g} %"
    family = "Holm" if plan["family"] == "holm" else "max-T"
    rows = [
        (
            f"{claim['a']} against {claim['b']}",
            claim["role"],
            _metric(claim) + (", lower is better" if claim["direction"] == "lower" else ""),
            str(claim["n"]),
            _number(claim["mean_a"]),
            _number(claim["mean_b"]),
            _interval(claim["gain"], claim["low"], claim["high"], sign=True),
            _p(claim["p"]),
            DASH if claim["role"] == "primary" else _p(claim["p_family"]),
            claim["word"] + (f" ({claim['why']})" if claim["why"] else ""),
        )
        for claim in summary["claims"]
    ]
    return Table(
        title="Comparisons",
        caption=f"Pairs of equal seed, n of them. Gain: mean over seeds with {level} t-interval, positive where the "
        "first is better. p: two-sided sign-flip test (exact up to 20 pairs); the descriptive claims are one family, "
        f"corrected by {family}. Improves and worse need both the interval and p; equivalent within d is two one-sided "
        "t-tests." + _made(summary),
        header=("claim", "role", "metric", "n", "first", "second", "gain", "p", "p in family", "word"),
        rows=tuple(rows),
    )


def sentence_of(claim: Mapping[str, Any]) -> str:
    """A claim in one sentence that says no more than its word."""
    a, b, word = claim["a"], claim["b"], claim["word"]
    said = {
        "improves": f"{a} improves on {b}",
        "worse": f"{a} is worse than {b}",
        "not shown": f"it is not shown that {a} is better or worse than {b}",
        "open": f"{a} against {b} is open",
    }.get(word, f"{a} is {word.replace('within', f'to {b} within')}")
    why = f" ({claim['why']})" if claim["why"] else ""
    numbers = f"gain {_interval(claim['gain'], claim['low'], claim['high'], sign=True)}"
    p = "" if claim["p"] is None else f", p {_p(claim['p'])}"
    told = f": {numbers}{p}, {counted(claim['n'], 'seed')}" if claim["n"] else ""
    return f"{claim['role'].capitalize()} claim: {said} in {claim['metric']} on {claim['split']}{why}{told}."


def arms_table(summary: Mapping[str, Any]) -> Table:
    """One row an arm, then chance and the best trivial baseline."""
    arms = summary["arms"]
    scores = arms[0]["scores"]
    groups = [one["groups"] for one in next((arm["scores"] for arm in arms if arm["n"]), []) if one["groups"]]
    rows = [
        (
            arm["arm"],
            _configuration(arm),
            f"{arm['n']}" + (f" ({arm['diverged']} diverged)" if arm["diverged"] else ""),
            *(_interval(one["mean"], one["low"], one["high"]) for one in arm["scores"]),
        )
        for arm in arms
    ]
    for title, key in (("chance", "chance"), ("best trivial baseline", "baseline")):
        facts = [next((arm["scores"][i][key] for arm in arms if arm["scores"][i][key] is not None), None)
                 for i in range(len(scores))]  # fmt: skip
        rows.append((title, "", "", *(_number(fact) for fact in facts)))
    tested = f" One fixed test split of {min(groups)} groups." if groups else ""
    return Table(
        title="Arms",
        caption="Mean over n seeds with its 95 % t-interval: what other seeds would change, not what other data would."
        + tested
        + _made(summary),
        header=("arm", "configuration", "n", *(_metric(one) for one in scores)),
        rows=tuple(rows),
    )


def _configuration(arm: Mapping[str, Any]) -> str:
    if arm["configuration"] is None:
        return f"not chosen yet (of {arm['tried']})"
    return f"{arm['configuration']} (best of {arm['tried']})" if arm["tried"] > 1 else DASH


def _metric(of: Mapping[str, Any]) -> str:
    return str(of["metric"]) + (" on validation" if of["split"] == "val" else "")


def _made(summary: Mapping[str, Any]) -> str:
    return " Made data." if summary["made_data"] else ""


def _number(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return DASH
    text = f"{value:+.3f}" if abs(value) < 100 else f"{value:+.4g}"
    return text if sign else text.removeprefix("+")


def _interval(value: float | None, low: float | None, high: float | None, *, sign: bool = False) -> str:
    if value is None or low is None or high is None:
        return _number(value, sign=sign)
    return f"{_number(value, sign=sign)} [{_number(low, sign=sign)}, {_number(high, sign=sign)}]"


def _p(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:.3f}" if value >= 0.0005 else f"{value:.1g}"


# --- Markdown -----------------------------------------------------------------------------------------------------


def page(summary: Mapping[str, Any], tables: Sequence[Table]) -> str:
    """Tables, what to know about them, cells that failed, and the plan."""
    parts = [f"# Study {markdown_escaped(summary['study'])}", markdown_escaped(sentence_of(summary["claims"][0])),
             *(markdown(table) for table in tables)]  # fmt: skip
    if summary["notes"]:
        parts.append("## What to know\n\n" + "\n".join(f"- {markdown_escaped(note)}" for note in summary["notes"]))
    if summary["failed"]:
        failed = [f"- {markdown_escaped(one['cell'])}: exit code {one['exit_code']}\n\n{_indented(one['error'])}"
                  for one in summary["failed"]]  # fmt: skip
        parts.append("## Cells that failed\n\n" + "\n\n".join(failed))
    tries = [line for arm in summary["arms"] if arm["tried"] > 1 for line in _tried(arm)]
    if tries:
        parts.append("## Configurations tried, by their mean on validation\n\n" + "\n".join(tries))
    parts.append("## The plan\n\n" + _indented(told_forecast(summary["plan"])))
    return "\n\n".join(parts) + "\n"


def _tried(arm: Mapping[str, Any]) -> list[str]:
    if not arm["tries"]:
        return [f"- {markdown_escaped(arm['arm'])}: not all tried yet"]
    each = ", ".join(f"{name} {_number(score)}" for name, score in arm["tries"].items())
    return [f"- {markdown_escaped(arm['arm'])}: {markdown_escaped(each)}"]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def markdown(table: Table) -> str:
    """A heading, the table, its caption."""
    lines = ["| " + " | ".join(map(markdown_escaped, row)) + " |" for row in (table.header, *table.rows)]
    lines.insert(1, "|" + "---|" * len(table.header))
    return f"## {table.title}\n\n" + "\n".join(lines) + f"\n\n{markdown_escaped(table.caption)}"


def markdown_escaped(text: str) -> str:
    """As itself inside a Markdown cell: one line, no markup, no HTML."""
    return re.sub(r"([\\`*_|<>\[\]~&])", r"\\\1", " ".join(text.split()))


# --- LaTeX --------------------------------------------------------------------------------------------------------


def latex(table: Table) -> str:
    """A ``table`` environment with booktabs rules; every cell is escaped."""
    rows = [" & ".join(map(latex_escaped, row)) + r" \\" for row in table.rows]
    head = " & ".join(map(latex_escaped, table.header)) + r" \\"
    columns = "l" * 2 + "r" * (len(table.header) - 2)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_escaped(table.caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def latex_escaped(text: str) -> str:
    """As itself in LaTeX text: one line, no command, no bracket that a row's end could take for its argument."""
    escaped = "".join(LATEX.get(sign, sign) for sign in " ".join(text.split()))
    return "{[}" + escaped[1:] if escaped.startswith("[") else escaped


# --- CSV ----------------------------------------------------------------------------------------------------------


def arm_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row an arm and metric."""
    about = ("arm", "configuration", "tried", "planned", "diverged", "parameters")
    kept = ("metric", "split", "n", "mean", "low", "high", "chance", "baseline", "groups")
    return [
        {**{key: arm[key] for key in about}, **{key: one[key] for key in kept}}
        for arm in summary["arms"]
        for one in arm["scores"]
    ]


def cell_rows(study: Study, ledger: Ledger) -> Iterator[dict[str, Any]]:
    """One row a cell and metric on test, failed cells among them, tidy and in full precision."""
    for cell in (*study.selection_cells(), *study.final_cells(ledger.choose(study))):
        entry = ledger.entry(cell)
        if entry is None:
            continue
        about = {key: entry.get(key) for key in ABOUT_A_CELL}
        scores: Mapping[str, Any] = entry.get("metrics", {"test": {"": {}}})
        for split, metrics in scores.items():
            for name, one in metrics.items():
                low, high = one.get("ci95") or (None, None)
                facts = {key: one.get(key) for key in ("n", "groups", "chance", "baseline")}
                yield {**about, "metric": name, "split": split, "value": one.get("value"),
                       "ci95_low": low, "ci95_high": high, **facts}  # fmt: skip


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as CSV; a text that a spreadsheet would take for a formula is quoted with an apostrophe."""
    if not rows:
        return ""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _plain(value) for key, value in row.items()} for row in rows)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value

"""The tables: numbers that can be traced back, and text that is only text in Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re

import pytest

from study.studies import DIVERGED, TUNED, TWO_ARMS, filled, loaded
from veritrain.study.ledger import Ledger
from veritrain.study.summary import summarise
from veritrain.study.tables import (
    arms_table,
    claims_table,
    csv_text,
    latex,
    latex_escaped,
    markdown,
    markdown_escaped,
    sentence_of,
    write_tables,
)

A = [0.74, 0.73, 0.76, 0.77, 0.72, 0.75]
B = [0.70, 0.71, 0.72, 0.70, 0.69, 0.71]
NASTY = "a_b & 50 % $x$ #1 {c} ~d^ <e> |f| \\input{/etc/passwd}\n* `g` [h](i)"


@pytest.fixture
def study(tmp_path):
    return loaded(tmp_path, metrics=["point_ap"])


@pytest.fixture
def ledger(study, tmp_path):
    return filled(study, tmp_path, {"attention": A, "concat": B})


@pytest.fixture
def summary(study, ledger):
    return summarise(study, ledger)


def test_the_comparison_as_people_read_it(summary):
    table = claims_table(summary)
    assert dict(zip(table.header, table.rows[0], strict=True)) == {
        "claim": "attention against concat", "role": "primary", "metric": "point_ap", "n": "6", "first": "0.745",
        "second": "0.705", "gain": "+0.040 [+0.022, +0.058]", "p": "0.031", "p in family": "-", "word": "improves",
    }  # fmt: skip
    assert "95 % t-interval" in table.caption and table.caption.endswith("Made data.")


def test_the_arms_with_chance_and_the_best_trivial_baseline_below(summary):
    table = arms_table(summary)
    assert [row[0] for row in table.rows] == ["attention", "concat", "chance", "best trivial baseline"]
    assert table.rows[0] == ("attention", "-", "6", "0.745 [0.725, 0.765]")
    assert (table.rows[2][-1], table.rows[3][-1]) == ("0.100", "0.200") and "12 groups" in table.caption


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "improves",
            "Primary claim: a improves on b in point_ap on test: gain +0.040 [+0.022, +0.058], p 0.031, 6 seeds.",
        ),
        ("worse", "a is worse than b"),
        ("not shown", "it is not shown that a is better or worse than b"),
        ("equivalent within 0.1", "a is equivalent to b within 0.1"),
        ("open", "a against b is open"),
    ],
)
def test_a_claim_in_one_sentence(summary, word, said):
    assert said in sentence_of({**summary["claims"][0], "a": "a", "b": "b", "word": word})


def test_files_hold_the_same_numbers_in_full_precision(study, ledger, summary, tmp_path):
    names = [path.name for path in write_tables(study, ledger, summary, tmp_path / "t")]
    assert names == ["tables.md", "tables.tex", "arms.csv", "comparisons.csv", "cells.csv"]
    rows = {name: [*csv.DictReader((tmp_path / "t" / name).open(newline=""))] for name in names if name.endswith("csv")}
    (claim,) = rows["comparisons.csv"]
    assert float(claim["low"]) == summary["claims"][0]["low"] and claim["word"] == "improves"
    assert [float(row["mean"]) for row in rows["arms.csv"]] == [
        arm["scores"][0]["mean"] for arm in summary["arms"]
    ]  # fmt: skip
    cells = [row for row in rows["cells.csv"] if row["split"] == "test"]
    assert {(row["arm"], float(row["value"])) for row in cells} == {
        *(("attention", a) for a in A),
        *(("concat", b) for b in B),
    }
    assert {row["data"] for row in cells} == {"d" * 64} and len(cells) == 12
    text = (tmp_path / "t" / "tables.md").read_text()
    assert "## The plan" in text and "seeds: 6 needed" in text and sentence_of(summary["claims"][0])[:30] in text


def test_failed_cells_and_tries_stand_in_the_page(tmp_path):
    study = loaded(tmp_path, TUNED)
    ledger = Ledger(tmp_path)
    for cell in study.selection_cells():
        ledger.put(cell, {**DIVERGED, "error": "NonFiniteError:\n<b>loss</b>"})
    write_tables(study, ledger, summarise(study, ledger), tmp_path)
    text = (tmp_path / "tables.md").read_text()
    assert "- attention (rate 0.03), seed 0: exit code 4\n\n    NonFiniteError:\n    <b>loss</b>" in text
    assert "- attention: rate 0.03 -, rate 0.01 -, rate 0.02 -" in text and "not chosen yet (of 3)" in text
    statuses = [row["status"] for row in csv.DictReader((tmp_path / "cells.csv").open(newline=""))]
    assert statuses == ["failed"] * 6, "failed cells are counted, not dropped"


# --- text that is only text ---------------------------------------------------------------------------------------


def test_latex_text_has_no_command_of_its_own():
    known = r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}|\\[{}$&#%_]"
    rest = re.sub(known, "", latex_escaped(NASTY))
    assert not set(rest) & set("\\{}$&#%_~^<>|\n") and "input" in rest
    assert latex_escaped("[+1, +2]") == "{[}+1, +2]", "a bracket after a row's end would be its argument"


def test_markdown_text_has_no_markup_of_its_own():
    escaped = markdown_escaped(NASTY)
    assert "\n" not in escaped and not re.findall(r"(?<!\\)[`*_|<>\[\]~&]", escaped)


def test_a_table_keeps_its_shape_whatever_an_arm_is_called(summary):
    summary = {**summary, "claims": [{**summary["claims"][0], "a": NASTY, "why": NASTY}]}
    table = claims_table(summary)
    lines = markdown(table).splitlines()
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")]
    assert cells == [len(table.header) + 1] * 3
    text = latex(table)
    (row,) = [line for line in text.splitlines() if "against" in line]
    assert len(re.findall(r"(?<!\\)&", row)) == len(table.header) - 1 and row.endswith(r" \\")
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "@x", "-2"])
def test_no_spreadsheet_takes_a_text_for_a_formula(text):
    row = next(csv.DictReader(io.StringIO(csv_text([{"a": text, "b": -0.5}]))))
    assert row == {"a": f"'{text}", "b": "-0.5"}


def test_csv_quotes_what_it_must():
    rows = [{"a": 'x, "y"\nz', "b": None}, {"a": "中文", "b": 0.1}]
    assert [*csv.DictReader(io.StringIO(csv_text(rows), newline=""))] == [
        {"a": 'x, "y"\nz', "b": ""}, {"a": "中文", "b": "0.1"}]  # fmt: skip
    assert csv_text([]) == ""


def test_lower_is_better_and_validation_are_said(tmp_path):
    study = loaded(tmp_path, primary={**TWO_ARMS["primary"], "direction": "lower", "split": "val"})
    table = claims_table(summarise(study, filled(study, tmp_path, {"attention": A, "concat": B})))
    assert table.rows[0][2] == "point_ap on validation, lower is better"

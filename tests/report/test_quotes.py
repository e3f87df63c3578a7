from __future__ import annotations

from veritrain.report.quotes import MOST_CHARACTERS, Quotes


def test_lines_are_quoted_and_named_from_the_folder(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("one\n  two <b>\n" + "x" * 999 + "\n", encoding="utf-8")
    quotes = Quotes(tmp_path)
    cite = {"file": str(log), "line": 2}
    assert quotes.name(cite) == "train.log:2" and quotes.text(cite) == "two <b>"
    assert len(quotes.text({"file": str(log), "line": 3})) == MOST_CHARACTERS + 4
    assert quotes.name({"file": str(log), "line": None}) == "train.log"


def test_what_cannot_be_quoted_is_only_named(tmp_path):
    quotes = Quotes(tmp_path)
    (tmp_path / "record.jsonl").write_text("{}\n{}\n")
    for cite in (
        {"file": str(tmp_path / "record.jsonl"), "line": 1},
        {"file": str(tmp_path / "gone.log"), "line": 1},
        {"file": str(tmp_path / "record.jsonl"), "line": 99},
        {"file": str(tmp_path), "line": 1},
    ):
        assert quotes.text(cite) == ""
    assert quotes.name({"file": "elsewhere/a.csv", "line": 4}) == "elsewhere/a.csv:4"

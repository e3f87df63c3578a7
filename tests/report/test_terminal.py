from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from veritrain.report.terminal import plain, print_verdict


def printed(verdict, **options) -> str:
    held = io.StringIO()
    print_verdict(verdict, Console(file=held, **options))
    return held.getvalue()


def sample(tmp_path: Path, **changes):
    log = tmp_path / "train.log"
    log.write_text("epoch 1 loss 0.1\n\x1b[31mepoch 2 loss -0.2\x1b[0m [bold]x[/bold]\n", encoding="utf-8")
    failing = {"id": "L2", "check": "loss_possible", "subject": "loss", "status": "fail", "on_fail": "refutes"}
    failing |= {"sentence": "A cross-entropy is below zero [red]", "value": -0.2, "bound": 0.0}
    failing |= {"evidence": [{"file": str(log), "line": 2}], "to_settle": "log the unreduced loss"}
    passing = {**failing, "check": "rows_complete", "status": "pass", "sentence": "a very long sentence " * 20}
    verdict = {
        "verdict": "refuted",
        "sentence": "REFUTED: A cross-entropy is below zero.",
        "path": str(log),
        "claims": [],
        "findings": [passing, failing],
        "not_run": [{"id": "T1", "check": "beats_trivial", "reason": "needs data"}, {"id": "T2", "check": "b_b"}],
    }
    return {**verdict, **changes}


def test_it_says_the_word_the_reason_the_line_and_what_settles_it(tmp_path):
    text = printed(sample(tmp_path))
    assert "REFUTED  A cross-entropy is below zero." in text
    assert "L2 loss_possible failed: A cross-entropy is below zero [red] (-0.200 / 0.000)" in text
    assert "train.log:2  " in text and "epoch 2 loss -0.2" in text
    assert "-> log the unreduced loss" in text
    assert "1 passed: rows_complete" in text and "a very long sentence" not in text
    assert "  2 did not run (--json names all)\n" in text


def test_of_the_idle_checks_only_those_that_matter_are_named(tmp_path):
    idle = [{"id": f"X{n}", "check": f"idle_{n}", "to_settle": "", "required": False} for n in range(40)]
    idle[7]["to_settle"], idle[9]["required"] = "train again", True
    text = printed(sample(tmp_path, not_run=idle), width=400)
    assert "  40 did not run: idle_7, idle_9 (--json names all)\n" in text
    assert "  2 did not run: idle_7, idle_9\n" in printed(sample(tmp_path, not_run=[idle[7], idle[9]]), width=400)
    assert "did not run" not in printed(sample(tmp_path, not_run=[]))


def test_shown_rests_on_one_run_and_says_the_word_once(tmp_path):
    shown = sample(tmp_path, verdict="shown", sentence="SHOWN (one run): auroc. All ran.", one_run=True, findings=[])
    text = printed(shown, width=200)
    assert "SHOWN (one run)  auroc. All ran." in text and text.count("SHOWN") == 1


def test_a_pipe_gets_whole_plain_lines(tmp_path):
    long = sample(tmp_path, sentence="REFUTED: " + "word " * 60)
    text = printed(long, width=40)
    assert "\x1b" not in text
    assert any(line.count("word") == 60 for line in text.splitlines())


def test_a_terminal_gets_colours_but_no_foreign_control_characters(tmp_path):
    text = printed(sample(tmp_path), force_terminal=True, width=200, color_system="standard")
    assert "\x1b[1;31mREFUTED" in text
    assert "[31mepoch 2 loss -0.2[0m [bold]x[/bold]" in text and "\x1b[31mepoch" not in text
    assert plain("a\x1b[2Jb\r\n\tc\x9b") == "a[2Jb  c"


def test_chinese_words_around_the_same_sentences(tmp_path):
    held = io.StringIO()
    print_verdict(sample(tmp_path), Console(file=held), language="zh")
    assert "已否定" in held.getvalue() and "A cross-entropy is below zero" in held.getvalue()


def test_a_bare_verdict_is_enough():
    assert "NOT SHOWN  nothing held out" in printed({"verdict": "not_shown", "sentence": "NOT SHOWN: nothing held out"})

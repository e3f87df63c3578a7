"""The screen fits every terminal, hides nothing silently and prints no control character of a record."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, Group

from monitor.looks import ALL, CROWDED, DONE, HOSTILE, JOINT, balance, finding, score, task, term, view
from veritrain.monitor.screen import ASCII_BLOCKS, BLOCKS, FOOT, screen_lines, sparkline

SIZES = [(80, 24), (100, 30), (120, 40), (200, 50), (40, 10), (20, 5), (8, 2), (300, 100)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ALL)
def test_it_fills_the_terminal_and_never_more(name, size):
    width, height = size
    lines = screen_lines(ALL[name], width=width, height=height)
    assert len(lines) == height
    assert max(cell_len(line.plain) for line in lines) <= width
    assert not any("\n" in line.plain for line in lines)


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 260), height=st.integers(1, 80), terms=st.integers(0, 12), scores=st.integers(0, 30),
    findings=st.integers(0, 9),
)  # fmt: skip
def test_whatever_there_is_it_fits(width, height, terms, scores, findings):
    crowd = view(
        terms=tuple(term(f"t{n}", length=n * 7) for n in range(terms)),
        scores=tuple(score(f"分数{n}") for n in range(scores)),
        findings=tuple(finding(f"c{n}") for n in range(findings)),
    )
    lines = screen_lines(crowd, width=width, height=height)
    assert len(lines) == height and all(cell_len(line.plain) <= width for line in lines)


@pytest.mark.parametrize("size", SIZES[:4], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_drawn_by_a_real_console_each_line_stays_one_line(name, size):
    width, height = size
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None)
    console.print(Group(*screen_lines(ALL[name], width=width, height=height)), end="")
    drawn = file.getvalue()
    assert drawn.count("\n") in (height - 1, height)
    assert not [char for char in drawn if ord(char) < 32 and char != "\n"] and "\x9b" not in drawn


def test_at_80_by_24_an_ordinary_run_shows_everything_it_has():
    scores = tuple(score(f"{level}_{kind}") for level in ("frame", "point", "pixel") for kind in ("auroc", "ap", "f"))
    text = "\n".join(line.plain for line in screen_lines(view(scores=scores), width=80, height=24))
    for part in ("mine · anomaly", "RUNNING", "epoch 3/8", "step 120/432", "training ends in 1:02:05 (time budget)",
                 "64.8 samples/s", "31% waiting for data", "frame", "x 2", "pixel_f", "chance 0.500",
                 "best 0.800 at epoch 2", "findings so far: none", FOOT):  # fmt: skip
        assert part in text, part
    assert "…" not in text and "more" not in text and "nan" not in text.lower()


@pytest.mark.parametrize("size", [(80, 24), (200, 24)], ids=str)
def test_tasks_stand_below_their_terms_with_weights_norms_and_how_they_pull(size):
    lines = [line.plain for line in screen_lines(JOINT, width=size[0], height=size[1])]
    starts = [
        next(i for i, line in enumerate(lines) if line.startswith(f"  {name}  ")) for name in ("box", "detection")
    ]
    assert starts[0] < starts[1]
    first, second, conflict = (line.split("  ", 1)[1] for line in lines[starts[1] : starts[1] + 3])
    for part in ("0.812", "x 1.25", "norm 3.46", "ratio 1.1"):
        assert part in first
    assert second.startswith("view ") and "x 0.75" in second and BLOCKS[-1] in second
    assert "cosine of detection and view -0.125 (they pull apart)" in conflict
    text = "\n".join(lines)
    assert "tasks (gradnorm, step 120): unweighted loss, weight, gradient norm, loss ratio" in text
    assert "val map_50" in text and "val view_accuracy" in text and "more" not in text


def test_a_run_whose_tasks_are_not_told_apart_shows_nothing_of_them():
    text = "\n".join(line.plain for line in screen_lines(view(), width=200, height=50))
    assert "task" not in text and "cosine" not in text


def test_terms_give_way_to_tasks_and_are_counted():
    crowd = view(
        terms=tuple(term(f"t{n}") for n in range(4)),
        balance=balance(*(task(f"任务{n}") for n in range(12))),
        scores=(),
    )
    for height, of_terms, of_tasks in ((30, 0, 0), (23, 3, 0), (22, 4, 0), (14, 4, 8)):
        shown = [line.plain for line in screen_lines(crowd, width=80, height=height)]
        assert len(shown) == height and sum(line.startswith("  任务") for line in shown) == 12 - of_tasks
        assert sum(line.startswith("  t") for line in shown) == 4 - of_terms
        assert (f"  + {of_terms} more" in shown) == (of_terms > 0)


def test_what_does_not_fit_is_counted():
    text = "\n".join(line.plain for line in screen_lines(CROWDED, width=80, height=24))
    assert text.count("more") >= 2 and "STALLED" in text and "findings so far: 20" in text


def test_the_gravest_finding_comes_first():
    found = (finding("a_note", effect="notes"), finding("a_refutation", effect="refutes", sentence="short"))
    text = "\n".join(line.plain for line in screen_lines(view(findings=found), width=100, height=30))
    assert 0 < text.index("a_refutation") < text.index("a_note")


def test_what_was_not_finite_is_said_in_words_and_undefined_too():
    text = "\n".join(line.plain for line in screen_lines(HOSTILE, width=100, height=30))
    assert "not finite" in text and "undefined" in text and "chance unknown" in text and "nan" not in text


def test_the_verdict_is_shown_once_it_is_there():
    text = "\n".join(line.plain for line in screen_lines(DONE, width=80, height=24))
    assert "FINISHED" in text and "SHOWN" in text and "frame_auroc on test = 0.9" in text and "ETA" not in text


def test_a_wide_terminal_has_losses_beside_scores_and_a_narrow_one_above():
    def row(width):
        lines = [line.plain for line in screen_lines(view(), width=width, height=40)]
        return next(line for line in lines if line.startswith("  frame "))

    assert "frame_auroc" in row(200) and "frame_auroc" not in row(120)


def test_a_sparkline_goes_from_lowest_to_highest():
    assert sparkline([0.0, 1.0], 10) == BLOCKS[0] + BLOCKS[-1]
    assert sparkline([3.0, 3.0, 3.0], 10) == BLOCKS[0] * 3
    assert sparkline([1.0, None, 0.0], 10, ASCII_BLOCKS) == "#!_"
    assert sparkline([None, None], 10) == "!!" and sparkline([], 10) == "" and sparkline([1.0], 0) == ""
    assert len(sparkline([float(n) for n in range(1000)], 30)) == 30

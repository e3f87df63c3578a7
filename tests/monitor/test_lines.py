"""Plain lines: every fact, no control characters."""

from __future__ import annotations

import unicodedata

import pytest

from monitor.looks import ALL, DONE, EMPTY, HOSTILE, JOINT, view
from veritrain.monitor import lines
from veritrain.monitor.state import State


@pytest.mark.parametrize("name", ALL)
def test_no_line_holds_a_control_character_or_a_nan(name):
    looked = ALL[name]
    for line in [*lines.snapshot(looked), lines.progress(looked), lines.state(looked), *lines.verdict(looked)]:
        assert not [char for char in line if unicodedata.category(char) == "Cc"], line
        assert "nan" not in line.lower()


def test_a_snapshot_holds_every_fact():
    text = "\n".join(lines.snapshot(view()))
    for part in ("run mine · anomaly", "folder runs/mine", "state running: training", "epoch 3/8  step 120/432",
                 "training ends in 1:02:05 (time budget)", "2,048 MB", "gradient norm 1.5",
                 "loss point 0.500 unweighted, weight x 2",
                 "val frame_auroc (headline) 0.800 (chance 0.500; best 0.800 at epoch 2)",
                 "point_ap (headline) 0.800 (chance unknown"):  # fmt: skip
        assert part in text, part


def test_nothing_known_is_nothing_claimed():
    assert lines.snapshot(EMPTY) == ["run mine", "folder runs/mine", "state waiting: not begun"]
    assert lines.progress(EMPTY).endswith("ETA unknown (too few steps so far)")


def test_a_progress_line_names_terms_weights_and_the_headline():
    line = lines.progress(view())
    assert line.startswith("epoch 3/8  step 120/432  frame 0.500 (x 2) point 0.500 (x 2) pixel 0.500 (x 2)")
    assert "val frame_auroc 0.800 (chance 0.500, best 0.800 at epoch 2)" in line and "64.8 samples/s" in line


def test_tasks_are_lines_of_their_own_with_weight_norm_ratio_and_cosine():
    text = lines.snapshot(JOINT)
    assert "task detection loss 0.812 unweighted, weight x 1.25, gradient norm 3.46, loss ratio 1.1" in text
    assert "task view loss 0.400 unweighted, weight x 0.75, gradient norm 0.25, loss ratio 0.9" in text
    assert "cosine of detection and view -0.125 (they pull apart)" in text
    assert "tasks measured at step 120 (balance gradnorm)" in text
    assert "  tasks detection 0.812 (x 1.25) view 0.400 (x 0.75) cosine -0.125  " in lines.progress(JOINT)
    assert not any("task" in line for line in [*lines.snapshot(view()), lines.progress(view())])


def test_the_verdict_stands_once_and_its_absence_is_told():
    (line,) = lines.verdict(DONE)
    assert line == "verdict SHOWN: frame_auroc on test = 0.9. All 20 checks passed."
    assert lines.verdict(HOSTILE) == ["verdict REFUTED: [5m all of it"]
    finished = view(state=State(word="finished", text="done"))
    assert lines.verdict(finished) == ["no verdict: veritrain audit RUN judges what there is"]
    assert lines.verdict(view()) == []

"""The last line of a training: what it counts."""

from __future__ import annotations

import pytest

from veritrain.training.progress import FitSummary


def told(**changes) -> str:
    usual = {"epochs_done": 3, "steps": 66, "best_epoch": 4, "best_value": 0.75, "seconds": 41.0}
    rest = {"samples_per_second": 20.0, "stop_reason": "time"}
    return FitSummary(**{**usual, **rest, **changes}).text("frame_auroc")


def test_an_epoch_that_the_time_cut_short_is_told_beside_the_whole_ones():
    assert "; 3 whole epochs and a part of epoch 4, 66 steps in 41 s" in told(begun=True)
    assert told(begun=True).endswith("best frame_auroc 0.75 at epoch 4")


@pytest.mark.parametrize(("done", "words"), [(0, "0 whole epochs,"), (1, "1 whole epoch,"), (4, "4 whole epochs,")])
def test_whole_epochs_are_counted(done, words):
    assert f"; {words} 66 steps" in told(epochs_done=done)

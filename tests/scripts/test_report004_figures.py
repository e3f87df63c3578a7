"""Figures of three batches, computed by hand."""

from __future__ import annotations

import math

import pytest
from scipy import integrate, stats

from scripts.scripts_loaded import script

report = script("report004_figures")
HEAD = "batch,images_in_batch,total_loss,det_loss,cls_loss,w_det,w_cls\n"
ROWS = "0,8,8.2,8,2,1,0.1\n10,8,16.2,6,1,2.5,0.5\n20,8,13.5,5,2,2.5,0.5\n30,2,3,1,1,2,1\n"


def table(tmp_path, rows=ROWS, head=HEAD):
    (tmp_path / "points.csv").write_text(head + rows, encoding="utf-8")
    return report.read(tmp_path / "points.csv")


def test_a_partial_last_batch_is_seen_through(tmp_path):
    rows = {name: (again, says) for name, again, says in report.figures(table(tmp_path))}
    assert rows.keys() == report.PRINTED.keys()
    again, says = rows["detection loss"]
    assert again == "8.0 to 1.0: -87.5%"
    assert "1.0000 to 0.5000 an image, -50.0%" in says, "8 / 8 and 1 / 2"
    assert "to the last whole batch -37.5%" in says and "2 whole batches" in says and "between 5.0 and 6.0" in says


def test_totals_are_compared_at_equal_weights(tmp_path):
    rows = {name: (again, says) for name, again, says in report.figures(table(tmp_path))}
    assert rows["total loss"][0] == "8.2 to 3.0: -63.4%"
    assert "the first batch has 18.0000, and the last whole batch 12.0000: -33.3%" in rows["total loss"][1]
    assert "sum to 3," in rows["detection weight"][1]
    assert rows["classification weight"][0].endswith("+900.0%") and "10.00 times" in rows["classification weight"][1]
    assert rows["ratio of the weights"][0] == "2.0 to 1"
    assert "10 to 1 at the start" in rows["ratio of the weights"][1]


def test_the_noise_level_is_the_expected_softplus():
    expected, _ = integrate.quad(lambda x: math.log1p(math.exp(x)) * stats.norm.pdf(x), -30, 30)
    assert pytest.approx(expected, abs=1e-6) == report.NOISE


@pytest.mark.parametrize(
    ("rows", "head", "said"),
    [
        (ROWS, HEAD.replace("w_cls", "weight"), "missing: w_cls"),
        (ROWS.replace("6,1", "six,1"), HEAD, "line 3"),
        (ROWS.split("\n")[0] + "\n", HEAD, "at least 3 batches, found 1"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, rows, head, said):
    with pytest.raises(SystemExit, match=said):
        table(tmp_path, rows, head)

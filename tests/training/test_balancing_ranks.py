"""Balancers on two ranks: one training, equal to that of one process with the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from veritrain.record import read_run

pytestmark = pytest.mark.slow

TOY = Path(__file__).with_name("balance_toy.py")


def told(command: list[str]) -> list[dict]:
    paths = os.pathsep.join([str(TOY.parent.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("name", ["static", "gradnorm", "pcgrad", "famo", "report004"])
def test_two_ranks_are_one_process(tmp_path, name):
    """Norms are of the gradient over both ranks; labels are missing on one rank and not on the other."""
    ours = ["--balance", name, "--run"]
    ranks = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone", "--", str(TOY)]
    pair = told([sys.executable, *ranks, "--batch", "4", *ours, str(tmp_path / "two")])
    (one,) = told([sys.executable, str(TOY), "--batch", "8", *ours, str(tmp_path / "one")])
    assert len(pair) == 2 and pair[0]["hash"] == pair[1]["hash"]
    assert pair[0]["weights"] == pytest.approx(one["weights"], abs=2e-5)
    lines = [read_run(tmp_path / run).of("balance") for run in ("two", "one")]
    assert len(lines[0]) == len(lines[1]) == 12
    for ours_here, theirs in zip(*lines, strict=True):
        for key in ("grad_norms", "losses", "weights", "loss_ratios"):
            for task, value in theirs[key].items():
                assert ours_here[key][task] == (None if value is None else pytest.approx(value, rel=1e-3)), (key, task)

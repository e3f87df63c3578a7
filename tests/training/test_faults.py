"""Kills, signals and full disks against real processes. Minutes: ``python -m pytest -m slow -s`` on this file."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.toy import Child
from veritrain.record import RunFolder
from veritrain.training.checkpoint import newest, steps, verify

pytestmark = pytest.mark.slow

TOY = Path(__file__).with_name("toy.py")
SLOW_STEPS = ("--workers", "2", "--sample-seconds", "0.01")
LARGE_SAVES = ("--every", "1", "--width", "20000", "--samples", "32", "--epochs", "3")


def run(*arguments: str) -> tuple[int, str]:
    return Child(*arguments).wait()


def fresh(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, str(TOY), *arguments], stdout=subprocess.PIPE, text=True)


def last_stop(folder: RunFolder) -> dict:
    lines = [json.loads(line) for line in folder.record.read_text().splitlines()]
    return [line for line in lines if line["event"] == "stop"][-1]


def test_ten_of_ten_runs_that_are_stopped_by_sigterm_end_with_the_same_weights(tmp_path):
    """Fresh interpreters throughout; random steps, nearly all in the middle of an epoch; 2 workers."""
    chance = random.Random(5)
    process = fresh("--run", str(tmp_path / "whole"), *SLOW_STEPS)
    expected = process.communicate()[0].strip()
    equal = middle = 0
    for trial in range(10):
        folder = RunFolder(tmp_path / f"stopped{trial}")
        process = fresh("--run", str(folder.path), *SLOW_STEPS)
        while not folder.checkpoints.exists():
            time.sleep(0.01)
        time.sleep(chance.uniform(0.15, 1.0))
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
        step = last_stop(folder)["step"]
        middle += step % 12 != 0
        process = fresh("--run", str(folder.path), *SLOW_STEPS, "--resume")
        found = process.communicate()[0].strip()
        assert process.returncode == 0
        equal += found == expected
        print(f"\nSIGTERM {trial + 1}: stopped after step {step} of 48, final hash equal: {found == expected}", end="")
    print(f"\nSIGTERM: {equal} of 10 equal, {middle} of 10 in the middle of an epoch")
    assert equal == 10
    assert middle >= 5


def kill_while_saving(folder: RunFolder, chance: random.Random) -> bool:
    """SIGKILL at a random moment of a random save; whether a half-written checkpoint was left."""
    child = Child("--run", str(folder.path), *LARGE_SAVES)
    while not folder.checkpoints.exists():
        time.sleep(0.001)
    time.sleep(chance.uniform(0.0, 0.8))
    while not any(folder.checkpoints.glob(".part-step*")) and not child.ended():
        time.sleep(0.0005)
    time.sleep(chance.uniform(0.0, 0.04))
    if not child.ended():
        child.kill(signal.SIGKILL)
    code, _ = child.wait()
    assert code in (-signal.SIGKILL, 0)
    return any(folder.checkpoints.glob(".part-step*")) or any(folder.checkpoints.glob(".old-*"))


def test_thirty_of_thirty_runs_killed_while_saving_resume(tmp_path):
    """Half on the disk of the temporary folder, half on another mount."""
    chance = random.Random(9)
    elsewhere = Path("/dev/shm") / f"veritrain-{os.getpid()}"
    expected = run("--run", str(tmp_path / "whole"), *LARGE_SAVES)[1].strip()
    resumed = equal = torn = 0
    for trial in range(30):
        parent = tmp_path if trial % 2 or not elsewhere.parent.is_dir() else elsewhere
        folder = RunFolder(parent / f"killed{trial}")
        torn += kill_while_saving(folder, chance)
        there = newest(folder)
        step = 0 if there is None else there.state["place"]["step"]
        code, output = run("--run", str(folder.path), *LARGE_SAVES, "--resume")
        resumed += code == 0
        equal += output.strip() == expected
        leftovers = [p.name for p in folder.checkpoints.iterdir() if p.name.startswith(".")]
        assert leftovers == []
        print(f"\nSIGKILL {trial + 1} on {parent}: whole up to step {step} of 24, resumed: {code == 0}", end="")
        subprocess.run(["rm", "-rf", str(folder.path)], check=True)
    subprocess.run(["rm", "-rf", str(elsewhere)], check=True)
    print(
        f"\nSIGKILL: {resumed} of 30 resumed, {equal} of 30 ended with equal weights, {torn} left a half-written save"
    )
    assert resumed == equal == 30
    assert torn >= 10


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB that can be enlarged."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True)
    if made.returncode:
        pytest.skip(f"cannot mount a small file system: {made.stderr.decode().strip()}")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk_keeps_the_old_checkpoints_and_the_run_goes_on_when_there_is_room(tmp_path, small_disk):
    model = ("--every", "1", "--width", "600", "--samples", "32")
    expected = run("--run", str(tmp_path / "whole"), *model)[1].strip()
    folder = RunFolder(small_disk / "run")
    code, output = run("--run", str(folder.path), *model)
    assert code == 74
    assert "bytes free" in output and "earlier ones are intact" in output
    assert steps(folder)
    assert [verify(path) for path in steps(folder)] == [None] * len(steps(folder))
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    code, output = run("--run", str(folder.path), *model, "--resume")
    print(f"\nfull disk: exit 74 with {len(steps(folder))} whole checkpoints; after making room exit {code}")
    assert code == 0
    assert output.strip() == expected


def test_a_disk_without_room_is_refused_before_the_first_step(small_disk):
    code, output = run("--run", str(small_disk / "run"), "--width", "4000")
    assert code == 74
    assert "earlier ones are intact" in output
    assert '"term"' not in (small_disk / "run" / "record.jsonl").read_text()


def torchrun(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone", "--", str(TOY)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=240)


def test_two_ranks_train_one_model_and_one_of_them_writes(tmp_path):
    done = torchrun("--run", str(tmp_path / "ddp"), "--accumulate", "2", "--unfreeze")
    assert done.returncode == 0, done.stderr
    hashes = {line.split()[2] for line in done.stdout.splitlines() if line.startswith("rank")}
    assert len(hashes) == 1 and done.stdout.count("rank") == 2
    lines = [json.loads(line) for line in (tmp_path / "ddp" / "record.jsonl").read_text().splitlines()]
    terms = [line for line in lines if line["event"] == "term" and line["name"] == "bce"]
    assert [line["step"] for line in terms] == list(range(1, 4 * 3 + 1))
    assert {line["n"] for line in terms} == {16}


def test_two_ranks_skip_the_same_updates_and_average_the_same_weights(tmp_path):
    """Each rank averages for itself; rank 1 saves nothing, so it prints what it has."""
    folder = RunFolder(tmp_path / "half")
    done = torchrun("--run", str(folder.path), "--precision", "16-mixed", "--loud", "--ema", "0.9", "--print-average")
    assert done.returncode == 0, done.stderr
    for kind in ("rank", "average"):
        lines = [line.split() for line in done.stdout.splitlines() if line.startswith(kind)]
        assert len(lines) == 2 and len({line[2] for line in lines}) == 1, done.stdout
    lines = [json.loads(line) for line in folder.record.read_text().splitlines()]
    steps_skipped = [line["step"] for line in lines if line["event"] == "overflow"]
    assert steps_skipped and steps_skipped == sorted(set(steps_skipped))
    state = newest(folder).state
    assert state["average"]["updates"] == state["place"]["step"] - len(steps_skipped)


def test_two_ranks_stop_and_resume_with_the_same_weights(tmp_path):
    whole = torchrun("--run", str(tmp_path / "whole"), "--epochs", "3")
    half = torchrun("--run", str(tmp_path / "half"), "--epochs", "3", "--every", "2", "--stop-after", "9")
    assert half.returncode != 0
    again = torchrun("--run", str(tmp_path / "half"), "--epochs", "3", "--every", "2", "--resume")
    ranks = [sorted(set(run.stdout.split()) - {"rank", "0", "1"}) for run in (whole, again)]
    assert ranks[0] == ranks[1] and len(ranks[0]) == 1


def test_a_nan_on_one_rank_stops_both_before_the_update(tmp_path):
    done = torchrun("--run", str(tmp_path / "nan"), "--bad", "11")
    assert done.returncode != 0
    assert done.stderr.count("training stopped before the update") == 2
    lines = [json.loads(line) for line in (tmp_path / "nan" / "record.jsonl").read_text().splitlines()]
    found = [line for line in lines if line["event"] == "nonfinite" and line["name"] == "bce"]
    # BatchNorm spreads the NaN over the batch of its rank, and no further.
    assert "toy/11" in [sample["id"] for sample in found[0]["samples"]]
    assert len(found[0]["samples"]) == 4

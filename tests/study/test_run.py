"""The runner against real processes of a fake training: idempotence, failures, signals, kills, locks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from study.studies import FAKE, TUNED, TWO_ARMS, faults, in_a_process, loaded, made, starts, written
from veritrain.errors import ConfigError, DataError, RunInUseError, StorageError, UsageError, VeritrainError
from veritrain.record import RunFolder
from veritrain.study.ledger import Ledger, take_in
from veritrain.study.run import Runner, Workers, held
from veritrain.study.summary import summarise

SHORT = {"seeds": 2}


def until(condition, seconds: float = 120.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def words(claims) -> list[tuple[str, float | None, float | None, str]]:
    return [(claim["word"], claim["gain"], claim["p"], claim["why"]) for claim in claims]


def test_every_cell_is_made_once_and_never_again(tmp_path):
    study, lines = loaded(tmp_path), []
    _, first = made(study, tmp_path / "out", lines=lines)
    assert first["claims"][0]["word"] == "improves" and first["claims"][0]["n"] == 6
    assert set(map(tuple, starts(tmp_path / "out").values())) == {("new",)} and len(starts(tmp_path / "out")) == 12
    assert lines[-1].startswith("[12/12] ") and len(lines) == 12
    again: list[str] = []
    _, second = made(study, tmp_path / "out", lines=again)
    assert words(second["claims"]) == words(first["claims"]) and again == []
    assert len(starts(tmp_path / "out")) == 12


def test_configurations_are_chosen_on_validation_and_run_again_with_fresh_seeds(tmp_path):
    _, summary = made(loaded(tmp_path, TUNED, seeds=2), tmp_path / "out")
    assert {arm["arm"]: arm["configuration"] for arm in summary["arms"]} == {
        "attention": "rate 0.01",
        "concat": "rate 0.01",
    }
    assert {arm["arm"]: arm["seeds"] for arm in summary["arms"]} == {"attention": [1, 2], "concat": [1, 2]}
    assert len(starts(tmp_path / "out")) == 6 + 4


def test_only_the_named_arms_are_made(tmp_path):
    _, summary = made(loaded(tmp_path, **SHORT), tmp_path / "out", only=("concat",))
    assert [arm["n"] for arm in summary["arms"]] == [0, 2] and summary["claims"][0]["word"] == "open"


def test_run_folders_without_a_ledger_are_known(tmp_path):
    study = loaded(tmp_path, **SHORT)
    made(study, tmp_path / "out")
    (tmp_path / "out" / "study.json").unlink()
    ledger = Ledger(tmp_path / "out")
    take_in(study, ledger)
    assert summarise(study, ledger)["claims"][0]["n"] == 2


def test_a_ledger_without_run_folders_knows_its_cells_and_says_so(tmp_path):
    study = loaded(tmp_path, **SHORT)
    _, before = made(study, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "cells")
    lines: list[str] = []
    _, after = made(study, tmp_path / "out", lines=lines)
    assert lines == [] and words(after["claims"]) == words(before["claims"])
    assert "4 of 4 final cells are taken from the ledger: their run folders are gone." in after["notes"]
    assert after["plan"]["cells"]["final"]["ledger"] == 4


def test_another_recipe_where_a_cell_belongs_is_refused(tmp_path):
    study = loaded(tmp_path, **SHORT)
    made(study, tmp_path / "out")
    (tmp_path / "out" / "study.json").unlink()
    recipe = next((tmp_path / "out" / "cells").glob("attention--seed0*/recipe.yaml"))
    recipe.write_text(recipe.read_text().replace('fusion: "attention"', 'fusion: "late"'))
    with pytest.raises(ConfigError, match="another recipe") as caught:
        made(study, tmp_path / "out")
    assert caught.value.expected == "fusion = attention" and caught.value.found == "fusion = late"


# --- failures -----------------------------------------------------------------------------------------------------


def test_a_failed_cell_is_listed_stops_no_other_and_is_tried_again(tmp_path):
    study, lines = loaded(tmp_path, **SHORT), []
    with faults(**{"attention--seed1": {"exit": 70, "say": "VeritrainError: no luck\n  do: try again"}}):
        _, summary = made(study, tmp_path / "out", lines=lines)
    assert [arm["n"] for arm in summary["arms"]] == [1, 2] and summary["claims"][0]["word"] == "open"
    (failed,) = summary["failed"]
    assert failed["cell"] == "attention, seed 1" and "no luck" in failed["error"] and failed["exit_code"] == 70
    assert any("failed with exit code 70" in line and "no luck" in line for line in lines)
    _, mended = made(study, tmp_path / "out")
    assert mended["failed"] == [] and mended["claims"][0]["n"] == 2
    tries = [how for name, how in starts(tmp_path / "out").items() if name.startswith("attention--seed1")]
    assert tries == [["new", "resumed"]]


def test_a_diverged_cell_is_a_result(tmp_path):
    study = loaded(tmp_path, **SHORT)
    with faults(**{"attention--seed1": {"exit": 4, "say": "NonFiniteError: loss"}}):
        made(study, tmp_path / "out")
    _, summary = made(study, tmp_path / "out")
    assert summary["claims"][0]["word"] == "not shown" and "1 run diverged" in summary["claims"][0]["why"]
    assert all(how == ["new"] for how in starts(tmp_path / "out").values()), "it is not made again"


@pytest.mark.parametrize(
    ("fault", "said"),
    [({"silent": True}, "ended without results"), ({"recipe": {"epochs": "9"}}, "another recipe")],
)
def test_success_without_the_asked_results_is_a_failure(tmp_path, fault, said):
    with faults(**{"attention--seed0": fault}):
        _, summary = made(loaded(tmp_path, **SHORT), tmp_path / "out")
    (failed,) = summary["failed"]
    assert said in failed["error"] and failed["cell"] == "attention, seed 0"


def test_the_home_folder_is_not_told(tmp_path):
    with faults(**{"attention--seed0": {"exit": 1, "say": f"no {Path.home()}/data"}}):
        _, summary = made(loaded(tmp_path, **SHORT), tmp_path / "out")
    assert "no ~/data" in summary["failed"][0]["error"]


def test_runs_of_different_data_end_the_study(tmp_path):
    with faults(**{"concat": {"data": "other"}}), pytest.raises(DataError, match="not made on the same data"):
        made(loaded(tmp_path), tmp_path / "out")
    assert len(starts(tmp_path / "out")) <= 4, "it ends at the first pair"
    with pytest.raises(DataError):
        made(loaded(tmp_path), tmp_path / "out")


@pytest.mark.parametrize("changes", [{"metric": "point_au"}, {"split": "val", "metric": ["point_ap", "map"]}])
def test_an_unknown_metric_ends_the_study_at_its_first_cell(tmp_path, changes):
    with pytest.raises(ConfigError, match="no metric") as caught:
        made(loaded(tmp_path, primary={**TWO_ARMS["primary"], **changes}), tmp_path / "out", processes=1)
    assert "point_ap" in caught.value.expected and len(starts(tmp_path / "out")) <= 2


def test_an_unknown_selection_metric_too(tmp_path):
    with pytest.raises(ConfigError, match="no metric 'map' on val"):
        made(loaded(tmp_path, TUNED, selection={"metric": "map"}), tmp_path / "out", processes=1)


# --- the world ----------------------------------------------------------------------------------------------------

WORLD = {"data": {"world": "driving", "scenarios": 12, "size": "64x96"}, "seeds": 1}


def test_a_world_is_made_once(tmp_path):
    study, lines = loaded(tmp_path, **WORLD), []
    made(study, tmp_path / "out", lines=lines)
    data = study.data_in(tmp_path / "out")
    assert json.loads((data / "veritrain_world.json").read_text()) == {"scenarios": "12", "size": "64x96"}
    assert lines[0] == f"made data: {data.name}"
    recipe = next((tmp_path / "out" / "cells").glob("*/recipe.yaml")).read_text()
    assert f'data: "{data}"' in recipe
    made(loaded(tmp_path, **{**WORLD, "seeds": 2}), tmp_path / "out", lines=lines)
    assert sum("made data" in line for line in lines) == 1


def test_half_a_world_is_made_anew(tmp_path):
    study = loaded(tmp_path, **WORLD)
    data = study.data_in(tmp_path / "out")
    half = data.with_name(data.name + ".part")
    half.mkdir(parents=True)
    (half / "rest").touch()
    made(study, tmp_path / "out")
    assert data.is_dir() and not half.exists() and not (data / "rest").exists()


@pytest.mark.parametrize(("code", "kind"), [(64, UsageError), (65, DataError), (74, StorageError), (1, VeritrainError)])
def test_a_world_that_cannot_be_made_ends_the_study(tmp_path, code, kind):
    study, out = loaded(tmp_path, **WORLD), tmp_path / "out"
    with held(out), pytest.raises(kind, match="could not be made") as caught:
        command = (FAKE[0], "-c", f"import sys; print('no room'); sys.exit({code})")
        Runner(study, out, Ledger(out), Workers(command=command), say=print).run()
    assert type(caught.value) is kind and "no room" in caught.value.found


# --- one at a time, signals, kills --------------------------------------------------------------------------------


def test_two_studies_in_one_folder_are_refused(tmp_path):
    with held(tmp_path), pytest.raises(RunInUseError) as caught:
        made(loaded(tmp_path), tmp_path)
    assert caught.value.exit_code == 5


def test_large_files_of_a_study_are_kept_out_of_git(tmp_path):
    with held(tmp_path / "out"):
        assert "cells/" in (tmp_path / "out" / ".gitignore").read_text().split()


def test_a_cell_that_another_process_makes_is_waited_for(tmp_path, monkeypatch):
    import fcntl
    import threading

    monkeypatch.setattr("veritrain.study.run.BUSY_SECONDS", 0.2)
    study, lines = loaded(tmp_path, seeds=1), []
    name = next(study.final_cells({"attention": study.arms[0].configurations[0]})).name
    folder = RunFolder(tmp_path / "out" / "cells" / name)
    folder.path.mkdir(parents=True)
    with folder.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        threading.Timer(1.5, lambda: fcntl.flock(lock, fcntl.LOCK_UN)).start()
        _, summary = made(study, tmp_path / "out", lines=lines)
    assert lines.count("attention, seed 0: another process makes it; waiting") == 1
    assert summary["claims"][0]["n"] == 1 and summary["failed"] == []


def running(out: Path) -> list[int]:
    """Processes of the fake training for this study."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode()
            if str(out) in line and "fake_train" in line and "State:\tZ" not in (entry / "status").read_text():
                found.append(int(entry.name))
        except OSError:
            continue  # it has just ended
    return found


@pytest.fixture
def out(tmp_path):
    """A study's folder, in which no training outlives the test, whatever goes wrong."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("looks at /proc")
    yield tmp_path / "out"
    for process in running(tmp_path / "out"):
        os.kill(process, signal.SIGKILL)


def test_a_killed_study_leaves_no_training_behind_and_goes_on_to_the_same_table(tmp_path, out):
    path = written(tmp_path, **SHORT)
    _, expected = made(loaded(tmp_path, **SHORT), tmp_path / "whole")
    with faults(seconds=600):
        child = in_a_process(path, out)
        until(lambda: len(starts(out)) == 2)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    until(lambda: not running(out))
    with pytest.raises(AssertionError):
        until(lambda: running(out), 0.3)
    _, summary = made(loaded(tmp_path, **SHORT), out)
    assert words(summary["claims"]) == words(expected["claims"]) and summary["failed"] == []
    assert sorted(map(tuple, starts(out).values())) == [("new",), ("new",), ("new", "resumed"), ("new", "resumed")]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_trainings_save_and_end(tmp_path, out, number, code):
    path = written(tmp_path, **SHORT)
    with faults(seconds=600):
        child = in_a_process(path, out)
        until(lambda: len(starts(out)) == 2)
        child.send_signal(number)
        _, error = child.communicate(timeout=120)
    assert child.returncode == code and "the same command goes on" in error and not running(out)
    states = {cell["status"] for cell in Ledger(out).cells.values()}
    assert states == {"interrupted"} and all(cell["seconds"] > 0 for cell in Ledger(out).cells.values())
    _, summary = made(loaded(tmp_path, **SHORT), out)
    assert summary["claims"][0]["n"] == 2
    assert sorted(map(tuple, starts(out).values())) == [("new",), ("new",), ("new", "resumed"), ("new", "resumed")]


def test_a_signal_while_the_world_is_made_ends_that_too(tmp_path, out):
    path = written(tmp_path, **WORLD)
    data = loaded(tmp_path, **WORLD).data_in(out)
    with faults(world_seconds=600):
        child = in_a_process(path, out)
        until(data.with_name(data.name + ".part").exists)
        child.send_signal(signal.SIGTERM)
        _, error = child.communicate(timeout=120)
    assert child.returncode == 143 and "Traceback" not in error and starts(out) == {}
    until(lambda: not running(out))
    assert made(loaded(tmp_path, **WORLD), out)[1]["claims"][0]["n"] == 1


def test_a_second_ctrl_c_kills_what_does_not_end(tmp_path, out):
    path = written(tmp_path, **SHORT)
    with faults(seconds=600, stubborn=True):
        child = in_a_process(path, out)
        until(lambda: len(starts(out)) == 2)
        child.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert child.poll() is None, "it waits for its trainings"
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=120)
    assert child.returncode == 99 and not running(out)
    assert {cell["status"] for cell in Ledger(out).cells.values()} == {"interrupted"}


def test_workers_fill_the_processors_unless_told(tmp_path):
    study, processors = loaded(tmp_path), os.cpu_count() or 1
    assert Workers.of(study) == Workers(threads=1, processes=processors)
    assert Workers.of(study, threads=2 * processors).processes == 1
    assert Workers.of(loaded(tmp_path, threads=3, processes=4)) == Workers(threads=3, processes=4)
    with pytest.raises(UsageError):
        Workers.of(study, threads=0)

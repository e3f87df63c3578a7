"""Bitwise resume from every checkpoint, in processes and in place; what a resumed run may change."""

from __future__ import annotations

import json
import shutil
import signal
import time

import pytest
import torch

from training.toy import Child, ToySet, ToyTask, fit_toy, weights_hash
from veritrain.data.loader import EpochLoader
from veritrain.errors import CheckpointError, Interrupted
from veritrain.record import RecordWriter, RunFolder, read_run
from veritrain.training import checkpoint as checkpoints
from veritrain.training.options import LoopOptions
from veritrain.training.resume import Place, check_same_recipe, recipe_of
from veritrain.training.seeding import seed_everything, seed_step


@pytest.mark.parametrize("chosen", [{}, {"accumulate": 2}, {"optimiser": "sgd", "unfreeze": ((2, "body"),)}])
def test_from_every_checkpoint_of_a_run_the_end_is_bitwise_the_same(tmp_path, chosen):
    """Middle of an epoch, its end, and the last step; 5 samples a batch leave a remainder."""
    chosen |= {"epochs": 3, "batch_size": 5, "checkpoint_every_steps": 1, "keep_checkpoints": 99}
    whole = RunFolder(tmp_path / "whole")
    expected = weights_hash(fit_toy(whole, samples=22, **chosen).model)
    paths = checkpoints.steps(whole)
    assert len(paths) == (12 if "accumulate" not in chosen else 6)
    for path in paths:
        part = RunFolder(tmp_path / f"from-{path.name}")
        part.checkpoints.mkdir(parents=True)
        shutil.copytree(path, part.checkpoints / path.name)
        assert weights_hash(fit_toy(part, samples=22, resume=True, **chosen).model) == expected


def test_data_is_not_replayed(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(Interrupted):
        fit_toy(folder, data=ToySet(48, stop_after=4 * 7), epochs=2)
    data = ToySet(48)
    fit_toy(folder, data=data, epochs=2, resume=True)
    first = [index for epoch, index in data.read if epoch == 1]
    assert len(first) == 5 * 4 and len(data.read) == 5 * 4 + 48


def test_a_process_stopped_by_sigterm_with_workers_goes_on_bitwise(tmp_path):
    slow = ("--workers", "2", "--sample-seconds", "0.01", "--epochs", "2")
    expected = Child("--run", str(tmp_path / "whole"), *slow).wait()
    folder = RunFolder(tmp_path / "stopped")
    child = Child("--run", str(folder.path), *slow)
    while not folder.checkpoints.exists():
        time.sleep(0.01)
    time.sleep(0.3)
    child.kill(signal.SIGTERM)
    code, output = child.wait()
    assert code == 143, output
    assert "run again with --resume" in output
    assert Child("--run", str(folder.path), *slow, "--resume").wait() == expected


def test_a_killed_process_leaves_the_run_free_although_its_workers_live_on(tmp_path):
    folder = RunFolder(tmp_path / "killed")
    child = Child("--run", str(folder.path), "--workers", "2", "--sample-seconds", "0.2")
    while not (folder.record.exists() and folder.checkpoints.exists()):
        time.sleep(0.01)
    time.sleep(0.3)
    child.kill(signal.SIGKILL)
    child.wait()
    RecordWriter(folder).close()


def test_a_lost_worker_ends_the_run_with_a_data_error(tmp_path):
    code, output = Child("--run", str(tmp_path / "run"), "--workers", "1", "--lose-worker-at", "30").wait()
    assert code == 65, output
    assert "a worker died" in output


def test_killed_before_the_first_checkpoint_it_starts_again(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.checkpoints.mkdir(parents=True)
    (folder.checkpoints / ".part-step-00000001").mkdir()
    expected = weights_hash(fit_toy(RunFolder(tmp_path / "whole"), epochs=1).model)
    assert weights_hash(fit_toy(folder, epochs=1, resume=True).model) == expected
    assert read_run(folder.path).of("resume")[0]["unfinished_saves"] == [".part-step-00000001"]


def test_a_damaged_newest_checkpoint_is_told_and_costs_only_its_steps(tmp_path):
    folder = RunFolder(tmp_path / "run")
    expected = weights_hash(fit_toy(folder, epochs=2).model)
    newest = checkpoints.steps(folder)[0]
    (newest / "model.safetensors").write_bytes(b"")
    lines = []
    done = fit_toy(folder, epochs=2, resume=True, lines=lines)
    assert weights_hash(done.model) == expected
    assert any(newest.name in line and "sha256" in line for line in lines)
    assert newest.name in read_run(folder.path).of("note")[0]["text"]
    assert newest.name in folder.train_log.read_text()


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    folder = RunFolder(tmp_path)
    first = fit_toy(folder, epochs=2)
    data = ToySet()
    again = fit_toy(folder, data=data, epochs=2, resume=True)
    assert data.read == []
    assert again.summary.steps == first.summary.steps and again.summary.stop_reason == "epochs"
    assert again.summary.best_value == first.summary.best_value
    assert weights_hash(again.model) == weights_hash(first.model)


def test_more_epochs_extend_a_finished_run_and_the_new_rate_is_recorded(tmp_path):
    folder = RunFolder(tmp_path)
    fit_toy(folder, epochs=2, warmup_steps=0)
    done = fit_toy(folder, epochs=4, warmup_steps=0, resume=True)
    assert done.summary.epochs_done == 4 and done.summary.steps == 48
    (note,) = [note for note in read_run(folder.path).of("note") if note["kind"] == "horizon"]
    assert (note["before"], note["after"]) == (2, 4)
    assert note["learning_rate"] == pytest.approx(0.5e-3)


def test_with_a_constant_rate_extending_equals_training_longer(tmp_path):
    fit_toy(RunFolder(tmp_path / "a"), epochs=1, schedule="constant")
    longer = fit_toy(RunFolder(tmp_path / "a"), epochs=3, schedule="constant", resume=True)
    at_once = fit_toy(RunFolder(tmp_path / "b"), epochs=3, schedule="constant")
    assert weights_hash(longer.model) == weights_hash(at_once.model)


def test_a_changed_recipe_is_refused_by_name_unless_allowed(tmp_path):
    folder = RunFolder(tmp_path)
    fit_toy(folder, epochs=1)
    with pytest.raises(CheckpointError, match=r"loop.learning_rate: 0.001 -> 0.1"):
        fit_toy(folder, epochs=2, learning_rate=0.1, resume=True)
    with pytest.raises(CheckpointError, match=r"loss: None -> focal"):
        fit_toy(folder, epochs=2, recipe={"loss": "focal"}, resume=True)
    with pytest.raises(CheckpointError, match="train_samples: 48 -> 40"):
        fit_toy(folder, epochs=2, samples=40, resume=True)
    fit_toy(folder, epochs=2, learning_rate=0.1, resume=True, allow_changes={"learning_rate"}, workers=1)
    notes = [note["text"] for note in read_run(folder.path).of("note")]
    assert any("loop.learning_rate: 0.001 -> 0.1" in text for text in notes)


def test_a_run_with_checkpoints_is_never_overwritten(tmp_path):
    fit_toy(RunFolder(tmp_path), epochs=1)
    with pytest.raises(CheckpointError, match="has checkpoints already"):
        fit_toy(RunFolder(tmp_path), epochs=1)


def test_other_surroundings_are_noted(tmp_path):
    folder = RunFolder(tmp_path)
    fit_toy(folder, epochs=1)
    path = checkpoints.steps(folder)[0]
    state = json.loads((path / "state.json").read_text())
    state["surroundings"]["threads"] = 99
    (path / "state.json").write_text(json.dumps(state))
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"]["state.json"] = checkpoints.sha256_of(path / "state.json")
    (path / "manifest.json").write_text(json.dumps(manifest))
    fit_toy(folder, epochs=2, resume=True)
    assert "surroundings" in [note["kind"] for note in read_run(folder.path).of("note")]


def test_recipes_compare_lists_and_tuples_alike_and_ignore_what_is_free():
    before = json.loads(json.dumps(recipe_of(LoopOptions(unfreeze=((1, "a"),)), {"x": (1, 2)}, samples=3, world=1)))
    now = recipe_of(LoopOptions(unfreeze=((1, "a"),), epochs=99, workers=3), {"x": [1, 2]}, samples=3, world=1)
    assert check_same_recipe(before, now) == []


def test_an_option_that_the_checkpoint_does_not_know_had_its_default():
    before = recipe_of(LoopOptions(), None, samples=3, world=1)
    del before["loop.nesterov"], before["loop.warmup_momentum"]
    assert check_same_recipe(before, recipe_of(LoopOptions(), None, samples=3, world=1)) == []
    other = LoopOptions(nesterov=True, optimiser="sgd")
    with pytest.raises(CheckpointError, match="nesterov: False -> True"):
        check_same_recipe(before, recipe_of(other, None, samples=3, world=1))


YOLO = {
    "epochs": 3, "optimiser": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "decayed": "weights",
    "schedule": "linear", "warmup_steps": 0, "warmup_epochs": 1.5, "warmup_bias_rate": 0.1, "warmup_momentum": 0.5,
    "ema_decay": 0.99, "ema_ramp": 20.0, "clip_norm": 10.0, "checkpoint_every_steps": 1, "keep_checkpoints": 99,
}  # fmt: skip


def test_yolos_training_goes_on_bit_for_bit_from_within_and_after_its_warm_up(tmp_path):
    whole = RunFolder(tmp_path / "whole")
    expected = weights_hash(fit_toy(whole, **YOLO).model)
    end = checkpoints.newest(whole).weights_sha256
    for step in (5, 12, 17, 25):
        part = RunFolder(tmp_path / f"from-{step}")
        part.checkpoints.mkdir(parents=True)
        (path,) = (path for path in checkpoints.steps(whole) if path.name.endswith(f"{step:08d}"))
        shutil.copytree(path, part.checkpoints / path.name)
        assert weights_hash(fit_toy(part, resume=True, **YOLO).model) == expected
        assert checkpoints.newest(part).weights_sha256 == end, "the average too"


def test_yolos_optimiser_is_plain_pytorchs(tmp_path):
    """Three groups, rates and momentum set by hand before each step, against the loop."""
    chosen = {key: value for key, value in YOLO.items() if not key.startswith("ema") and "checkpoint" not in key}
    done = fit_toy(RunFolder(tmp_path), **chosen)
    seed_everything(3)
    task = ToyTask()
    model = task.model().train()
    scale = model.body[1].weight
    biases = [parameter for name, parameter in model.named_parameters() if name.endswith("bias")]
    others = [parameter for name, parameter in model.named_parameters() if not name.endswith("bias")]
    optimiser = torch.optim.SGD(
        [
            {"params": biases, "weight_decay": 0.0},
            {"params": [scale], "weight_decay": 0.0},
            {"params": [parameter for parameter in others if parameter is not scale]},
        ],
        lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01,
    )  # fmt: skip
    loader, step = EpochLoader(ToySet(48), batch_size=4, seed=0), 0
    for epoch in (1, 2, 3):
        for batch in loader.epoch(epoch):
            optimiser.zero_grad()
            seed_step(0, step, micro=0)
            terms = task.losses(model(batch), batch)
            sum(values.mean() * task.term_weights[name] for name, values in terms.items()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            rate = 0.05 * (1 - 0.99 * (epoch - 1) / 3)
            share = min(step / 18, 1.0)
            for number, group in enumerate(optimiser.param_groups):
                group["lr"] = share * rate + (1 - share) * (0.1 if number == 0 else 0.0)
                group["momentum"] = 0.5 + 0.4 * share
            optimiser.step()
            step += 1
    for (name, one), two in zip(model.named_parameters(), done.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5, msg=name)


def test_the_last_epoch_is_the_one_that_the_newest_step_belongs_to():
    place = Place(epoch=2, batch=3)
    assert place.last_epoch() == 2
    place.next_epoch()
    assert (place.epoch, place.last_epoch(), place.batch) == (3, 2, 0)

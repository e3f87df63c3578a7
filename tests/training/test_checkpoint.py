"""Round trips are bitwise; a damaged checkpoint is named and passed over; a full disk loses nothing."""

from __future__ import annotations

import json
import os

import pytest
import torch
from torch import nn

from training.toy import ToyNet, weights_hash
from veritrain.errors import CheckpointError, StorageError
from veritrain.record import RunFolder
from veritrain.training import checkpoint as checkpoints
from veritrain.training import storage
from veritrain.training.optimise import build_optimiser
from veritrain.training.options import LoopOptions

FILES = ["model.safetensors", "optimiser.safetensors", "state.json", "manifest.json"]


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def trained(optimiser="adamw", steps=2):
    """A network and an optimiser that have made some steps."""
    torch.manual_seed(0)
    model = ToyNet()
    optimiser = build_optimiser(model, LoopOptions(optimiser=optimiser))
    for _ in range(steps):
        step(model, optimiser)
    return model, optimiser


def step(model, optimiser):
    optimiser.zero_grad()
    images = torch.linspace(-1, 1, 2 * 64).reshape(2, 1, 8, 8)
    torch.manual_seed(5)
    model({"image": images})["logit"].square().sum().backward()
    optimiser.step()


def save(folder, number, model=None, optimiser=None, **place):
    if model is None:
        model, optimiser = trained()
    state = {"place": {"step": number, "best_step": None, **place}}
    return checkpoints.save(folder, step=number, model=model, optimiser=optimiser, state=state)


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_going_on_from_a_checkpoint_is_bitwise_the_same(folder, kind):
    model, optimiser = trained(kind)
    found = save(folder, 2, model, optimiser)
    step(model, optimiser)
    other, its_optimiser = trained(kind, steps=0)
    checkpoints.load_weights(found, other)
    checkpoints.load_optimiser(found, its_optimiser)
    step(other, its_optimiser)
    assert weights_hash(other) == weights_hash(model)


def test_bfloat16_and_tied_weights_come_back(folder):
    model = nn.ModuleDict({"a": nn.Linear(3, 3, dtype=torch.bfloat16), "b": nn.Linear(3, 3, dtype=torch.bfloat16)})
    model["b"].weight = model["a"].weight
    found = save(folder, 1, model, build_optimiser(model, LoopOptions()))
    assert all(torch.equal(found.weights()[name], value) for name, value in model.state_dict().items())


def test_nothing_in_a_checkpoint_is_a_pickle(folder):
    path = save(folder, 1).path
    assert {file.name for file in path.iterdir()} == set(FILES)
    for name in ("state.json", "manifest.json"):
        assert isinstance(json.loads((path / name).read_text()), dict)
    for name in ("model.safetensors", "optimiser.safetensors"):
        content = (path / name).read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        assert 8 + length + max(entry["data_offsets"][1] for entry in header.values()) == len(content)


def test_the_newest_is_found_and_last_names_it(folder):
    save(folder, 5)
    save(folder, 12)
    assert checkpoints.newest(folder).state["place"]["step"] == 12
    assert json.loads((folder.checkpoints / "last.json").read_text())["checkpoint"] == "step-00000012"


def test_a_run_without_checkpoints_has_no_newest(folder):
    assert checkpoints.newest(folder) is None


def truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def empty(path):
    os.truncate(path, 0)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def remove(path):
    path.unlink()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [truncate, empty, flip, remove])
def test_a_damaged_checkpoint_is_named_and_the_previous_one_used(folder, file, damage):
    save(folder, 1)
    damage(save(folder, 2).path / file)
    if file == "manifest.json" and damage is truncate:
        damage(folder.checkpoints / "step-00000002" / file)  # the first byte lost is only the last line's end
    passed_over = []
    found = checkpoints.newest(folder, warn=lambda path, reason: passed_over.append((path.name, reason)))
    assert found.path.name == "step-00000001"
    assert [name for name, _ in passed_over] == ["step-00000002"]
    assert file in passed_over[0][1] or (file == "manifest.json" and "does not match" in passed_over[0][1])
    with pytest.raises(CheckpointError, match="does not verify"):
        checkpoints.load_weights(folder.checkpoints / "step-00000002", ToyNet())


def test_if_none_verifies_all_reasons_are_given(folder):
    for number in (1, 2):
        flip(save(folder, number).path / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        checkpoints.newest(folder)
    assert "step-00000001" in str(caught.value) and "step-00000002" in str(caught.value)


def test_saving_a_step_again_replaces_it(folder):
    save(folder, 3, note="old")
    save(folder, 3, note="new")
    assert checkpoints.newest(folder).state["place"]["note"] == "new"
    assert [path.name for path in checkpoints.steps(folder)] == ["step-00000003"]
    assert not list(folder.checkpoints.glob(".*"))


def test_what_a_kill_leaves_behind_is_cleaned(folder):
    path = save(folder, 3).path
    half = folder.checkpoints / ".part-step-00000004"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    path.rename(folder.checkpoints / ".old-step-00000003")  # killed between the two renames
    (folder.checkpoints / "last.json.part").write_text("{")
    assert checkpoints.clean(folder) == [".part-step-00000004"]
    assert checkpoints.newest(folder).path.name == "step-00000003"
    assert sorted(p.name for p in folder.checkpoints.iterdir()) == ["last.json", "step-00000003"]


def test_pruning_keeps_the_newest_and_every_best_that_they_know(folder):
    for number, best in [(1, None), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4)]:
        save(folder, number, best_step=best)
    checkpoints.prune(folder, keep=4)
    assert [int(p.name[-2:]) for p in checkpoints.steps(folder)] == [6, 5, 4, 3, 2]
    checkpoints.prune(folder, keep=2)
    assert [int(p.name[-2:]) for p in checkpoints.steps(folder)] == [6, 5, 4]


def test_best_follows_its_pointer_and_says_when_there_is_none(folder):
    with pytest.raises(CheckpointError, match="no best checkpoint"):
        checkpoints.best(folder)
    save(folder, 1)
    save(folder, 2)
    checkpoints.point_at_best(folder, step=1, epoch=1, metric="ap", value=0.5)
    assert checkpoints.best(folder).path.name == "step-00000001"


def test_weights_of_another_network_are_refused_by_name(folder):
    found = save(folder, 1)
    with pytest.raises(CheckpointError, match="another network") as caught:
        checkpoints.load_weights(found, nn.ModuleDict({"head": nn.Linear(288, 1)}), strict=False)
    assert "head.weight: 1x288 here, 1x144 there" in str(caught.value)
    with pytest.raises(CheckpointError, match=r"body\.0\.bias is unknown to the network"):
        checkpoints.load_weights(found, nn.ModuleDict({"head": nn.Linear(144, 1)}))


def test_weights_load_from_a_plain_file_and_not_from_a_pickle(folder, tmp_path):
    model, optimiser = trained()
    path = save(folder, 1, model, optimiser).path / "model.safetensors"
    other = ToyNet()
    checkpoints.load_weights(path, other)
    assert weights_hash(other) == weights_hash(model)
    torch.save(model.state_dict(), tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoints.load_weights(tmp_path / "foreign.pt", other)


def test_a_failing_write_names_needed_and_free_bytes_and_keeps_the_old_ones(folder, monkeypatch):
    save(folder, 1)

    def full(tensors, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(StorageError) as caught:
        save(folder, 2)
    assert caught.value.exit_code == 74
    assert "bytes free" in str(caught.value) and "No space left" in str(caught.value)
    assert [checkpoints.verify(path) for path in checkpoints.steps(folder)] == [None]
    assert not list(folder.checkpoints.glob(".part*"))


def test_the_estimate_before_the_first_step_is_close_to_what_is_written(folder):
    for kind in ("sgd", "adam", "adamw"):
        model, optimiser = trained(kind, steps=0)
        guess = storage.bytes_needed(model, optimiser)
        step(model, optimiser)
        assert abs(guess - storage.bytes_needed(model, optimiser)) < 200
        written = sum(file.stat().st_size for file in save(folder, 1, model, optimiser).path.iterdir())
        assert written <= guess


def test_too_little_room_is_refused_and_a_tight_disk_is_told(folder, monkeypatch):
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: free)
    with pytest.raises(StorageError, match=r"2,000 bytes free(?s:.)*1,000 bytes free"):
        storage.check_room(folder, needed=2000, keep=2)
    assert "fill up" in storage.check_room(folder, needed=900, keep=2)
    assert storage.check_room(folder, needed=100, keep=2) is None


def test_a_state_that_is_not_a_tensor_is_refused(folder):
    class Odd(ToyNet):
        def get_extra_state(self):
            return {"counter": 1}

    model = Odd()
    with pytest.raises(CheckpointError, match="_extra_state"):
        save(folder, 1, model, build_optimiser(model, LoopOptions()))

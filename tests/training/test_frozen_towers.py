"""A network that freezes towers of its own, trained by the real loop: what is unfrozen trains, the rest never does."""

from __future__ import annotations

import shutil

import pytest
import torch

from tiny_street import tiny_set, tiny_task
from training.toy import fit_toy, weights_hash
from veritrain.experiments.short import short_training
from veritrain.record import RunFolder
from veritrain.training import checkpoint as checkpoints
from veritrain.training.engine import start_engine
from veritrain.training.optimise import freeze
from veritrain.training.options import LoopOptions
from veritrain.training.step import Stepper

PART = "image_encoder.blocks.1"
STAGES = ((2, PART),)


def trained(folder: RunFolder, *, resume: bool = False, epochs: int = 3):
    return fit_toy(
        folder,
        task=tiny_task(freeze="both", modality_dropout=0.5, dropout=0.1),
        data=tiny_set(4, 3),
        validate=lambda model, epoch: {"accuracy": 0.5},
        resume=resume,
        epochs=epochs,
        batch_size=5,
        unfreeze=STAGES,
        checkpoint_every_steps=1,
        keep_checkpoints=99,
    ).model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("frozen") / "whole")
    return folder, trained(folder)


def test_what_is_unfrozen_trains_with_its_batch_statistics_and_nothing_else_does(whole):
    folder, _ = whole
    first, *_, last = [checkpoints.load_file(path / checkpoints.MODEL) for path in reversed(checkpoints.steps(folder))]
    changed = {name for name in first if not torch.equal(first[name], last[name])}
    towers = {name for name in first if name.split(".")[0] in ("image_encoder", "point_encoder")}
    part = {name for name in towers if name.startswith(PART)}
    assert part and changed & towers == part, "weights, running_mean, running_var and the count of batches"
    assert changed - towers


def test_before_its_epoch_it_stays_bit_for_bit(whole):
    folder, _ = whole
    steps = list(reversed(checkpoints.steps(folder)))
    assert len(steps) == 6, "two batches an epoch"
    first, second, third = (checkpoints.load_file(path / checkpoints.MODEL) for path in steps[:3])
    frozen = [name for name in first if name.startswith(PART)]
    assert all(torch.equal(first[name], second[name]) for name in frozen)
    assert not any(torch.equal(second[name], third[name]) for name in frozen if "weight" in name)


def test_resuming_before_and_after_the_unfreezing_is_bitwise_the_same(whole, tmp_path):
    folder, model = whole
    for path in checkpoints.steps(folder)[1::2]:
        part = RunFolder(tmp_path / path.name)
        part.checkpoints.mkdir(parents=True)
        shutil.copytree(path, part.checkpoints / path.name)
        assert weights_hash(trained(part, resume=True)) == weights_hash(model), path.name


def test_a_short_training_unfreezes_too():
    task, options = tiny_task(freeze="image"), LoopOptions(batch_size=6, unfreeze=STAGES)
    torch.manual_seed(options.seed)
    fresh = dict(task.model().named_parameters())
    for steps, moves in ((2, False), (4, True)):
        model = short_training(task, tiny_set(4, 3), options, steps)
        assert all(torch.equal(p, fresh[n]) != moves for n, p in model.named_parameters() if n.startswith(PART))


def test_what_will_train_takes_gradients_when_ranks_agree_on_what_to_exchange():
    """DDP leaves out for good what takes no gradient when it is set up."""
    task, options = tiny_task(freeze="image"), LoopOptions(accelerator="cpu", unfreeze=STAGES)
    model = task.model()
    Stepper(start_engine(options), task, model, options)
    assert {n for n, p in model.image_encoder.named_parameters("image_encoder") if p.requires_grad} == {
        n for n, _ in model.image_encoder.named_parameters("image_encoder") if n.startswith(PART)
    }
    freeze(model, STAGES, 1)
    assert not any(p.requires_grad for p in model.image_encoder.parameters())
    assert not model.image_encoder.blocks[1].first_norm.training

"""A short training: deterministic, of exactly so many steps, and like the true loop in what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tiny_street import batch_of, tiny_set, tiny_task
from training.toy import weights_hash
from veritrain.data.loader import EpochLoader
from veritrain.experiments.short import short_training
from veritrain.training.evaluate import predict_set
from veritrain.training.loop import fit
from veritrain.training.options import LoopOptions
from veritrain.training.progress import Silent

OPTIONS = LoopOptions(batch_size=8, learning_rate=1e-2, clip_norm=5.0, warmup_steps=4, accelerator="cpu")
NETWORK = {"dropout": 0.2, "modality_dropout": 0.5}


def trained(steps: int, *, options=OPTIONS, data=None, **network) -> torch.nn.Module:
    return short_training(tiny_task(**{**NETWORK, **network}), data or tiny_set(augment="flip"), options, steps)


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before():
    first = weights_hash(trained(7))
    torch.manual_seed(99)
    torch.rand(5)
    assert weights_hash(trained(7)) == first


@pytest.mark.parametrize("change", ["seed", "steps", "labels", "rate"])
def test_everything_that_should_matter_does(change):
    first = weights_hash(trained(5))
    other = {
        "seed": lambda: trained(5, options=replace(OPTIONS, seed=1)),
        "steps": lambda: trained(6),
        "labels": lambda: trained(5, data=tiny_set(augment="flip", labels="permuted")),
        "rate": lambda: trained(5, options=replace(OPTIONS, learning_rate=2e-2)),
    }[change]
    assert weights_hash(other()) != first


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_it_takes_exactly_the_steps_it_was_given(steps):
    read = []

    class Counted(type(tiny_set())):
        def sample(self, index, *, epoch, seed):
            read.append((epoch, index))
            return super().sample(index, epoch=epoch, seed=seed)

    data = Counted(tiny_set().frames, tiny_set().views)
    trained(steps, data=data)
    assert len(read) == 8 * steps
    loader = EpochLoader(tiny_set(), batch_size=8, seed=OPTIONS.seed)
    order = [index for epoch in (1, 2, 3) for batch in loader.epoch(epoch) for index in batch["index"].tolist()]
    assert [index for _, index in read] == order[: 8 * steps], "in the order of the true run"


YOLO = {
    "optimiser": "sgd", "nesterov": True, "decayed": "weights", "schedule": "linear", "warmup_bias_rate": 0.1,
    "warmup_momentum": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("chosen", [{}, YOLO])
def test_it_is_the_true_loop_step_by_step(tmp_path, chosen):
    """One epoch of the real loop, on the same schedule, ends in the same weights."""
    from veritrain.record import RecordWriter, RunFolder

    task, data = tiny_task(**NETWORK), tiny_set(augment="flip")
    options = replace(OPTIONS, epochs=2, warmup_steps=1, clip_norm=0.3, **chosen)
    folder = RunFolder(tmp_path / "run")
    torch.manual_seed(options.seed)
    model = task.model()
    with RecordWriter(folder) as writer:
        fit(
            task=task,
            model=model,
            train=data,
            validate=lambda network, epoch: {"score": 1.0},
            select=("score", True),
            options=options,
            writer=writer,
            folder=folder,
            progress=Silent(),
        )
    averaged = replace(options, warmup_epochs=3.0, ema_decay=0.9, ema_ramp=5.0)
    assert weights_hash(short_training(task, data, averaged, 6)) == weights_hash(model)
    short_training(task, data, averaged, 1)


def test_it_learns():
    task, held_out = tiny_task(), tiny_set(6, seed=4)
    model = short_training(task, tiny_set(12), OPTIONS, 40)
    scores = task.score(predict_set(task, model, held_out))
    assert scores["frame_auroc"] > 0.9 and scores["point_ap"] > 0.5
    assert all(torch.isfinite(values).all() for values in model.eval()(batch_of(held_out)).values())


HALF = {"precision": "16-mixed"}


@pytest.mark.parametrize("fusion", ["attention", "concat", "image_only", "points_only"])
@pytest.mark.parametrize("chosen", [{"precision": "bf16-mixed"}, HALF, {"channels_last": True}])
def test_controls_use_the_arithmetic_of_the_run(fusion, chosen):
    """Every fusion trains in it, near the weights of float32 and not equal to them."""
    same = {"dropout": 0.0, "modality_dropout": 0.0, "fusion": fusion}
    options = replace(OPTIONS, optimiser="sgd")
    plain = trained(3, options=options, data=tiny_set(), **same).state_dict()
    other = trained(3, options=replace(options, **chosen), data=tiny_set(), **same).state_dict()
    apart = {name: (plain[name].float() - value.float()).abs().max() for name, value in other.items()}
    assert any(apart.values()), "it is read"
    assert max(apart.values()) < (1e-4 if "channels_last" in chosen else 0.05)
    assert {value.dtype for value in other.values()} <= {torch.float32, torch.int64}
    assert all(value.is_contiguous() for value in other.values())


def test_average_compilation_and_accumulation_are_left_out_of_controls():
    chosen = {"ema_decay": 0.9, "compile": "max-autotune", "accumulate": 3}
    assert weights_hash(trained(3, options=replace(OPTIONS, **chosen))) == weights_hash(trained(3))

"""The moving average: its recurrence, who sees it, and that it comes back bit for bit."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from training.toy import ToyNet, ToyTask, fit_toy, weights_hash
from veritrain.errors import CheckpointError
from veritrain.record import RunFolder, read_run
from veritrain.training import checkpoint as checkpoints
from veritrain.training.average import WeightAverage
from veritrain.training.optimise import build_optimiser
from veritrain.training.options import LoopOptions
from veritrain.training.storage import bytes_needed

EVERY_STEP = {"checkpoint_every_steps": 1, "keep_checkpoints": 99}


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def scalar(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(value)
    return layer


def test_the_recurrence_by_hand():
    """decay 0.2: 1/10, 2/11, then 0.2, since 3/12 is larger."""
    layer = scalar(10.0)
    average = WeightAverage(layer, 0.2)
    expected = [0.1 * 10 + 0.9 * 20]
    expected.append(2 / 11 * expected[-1] + 9 / 11 * 40)
    expected.append(0.2 * expected[-1] + 0.8 * 80)
    for weight, mean in zip((20.0, 40.0, 80.0), expected, strict=True):
        layer.weight.data.fill_(weight)
        average.update(layer)
        assert float(average.model.weight) == pytest.approx(mean, rel=1e-6)
    assert expected[0] == 19.0 and average.updates == 3
    assert layer.weight.item() == 80.0, "the network itself is left alone"


@pytest.mark.parametrize(("updates", "share"), [(0, 0.9), (8, 0.5), (80, 0.1), (10_000, 0.01)])
def test_it_follows_fast_at_first_and_slowly_later(updates, share):
    average = WeightAverage(scalar(0.0), 0.99)
    average.updates = updates
    assert average.share() == pytest.approx(share)


def test_buffers_are_copied_and_sixteen_bit_weights_are_averaged_in_float32():
    model = ToyNet().to(torch.bfloat16)
    model.body[1].num_batches_tracked.fill_(7)
    average = WeightAverage(model, 0.999)
    assert {p.dtype for p in average.model.parameters()} == {torch.float32}
    average.updates = 1_000_000
    with torch.no_grad():
        model.head.bias.fill_(1.0)
        average.model.head.bias.fill_(0.0)
    model.body[1].running_mean.fill_(3.0)
    for _ in range(3):
        average.update(model)
    assert float(average.model.head.bias) == pytest.approx(1 - 0.999**3, rel=1e-4), "0.001 is lost in bfloat16 beside 1"
    assert torch.equal(average.model.body[1].running_mean, torch.full((4,), 3.0))
    assert int(average.model.body[1].num_batches_tracked) == 7
    assert not any(p.requires_grad for p in average.model.parameters()) and not average.model.training


def test_yolos_ramp_by_hand_with_the_statistics_of_batch_normalisation():
    model = ToyNet()
    average = WeightAverage(model, 0.9, ramp=2.0)
    mean, statistic, kept = 0.0, float(model.body[1].running_mean[0]), model.body[0].weight.detach().clone()
    average.model.head.bias.data.fill_(mean)
    for t, value in enumerate((1.0, 2.0, 4.0), 1):
        model.head.bias.data.fill_(value)
        model.body[1].running_mean.fill_(10 * value)
        model.body[1].num_batches_tracked.fill_(t)
        average.update(model)
        decay = 0.9 * (1 - math.exp(-t / 2.0))
        mean, statistic = decay * mean + (1 - decay) * value, decay * statistic + (1 - decay) * 10 * value
        assert float(average.model.head.bias) == pytest.approx(mean, rel=1e-6)
        assert float(average.model.body[1].running_mean[0]) == pytest.approx(statistic, rel=1e-6)
    assert int(average.model.body[1].num_batches_tracked) == 3, "counts are copied"
    assert torch.allclose(average.model.body[0].weight, kept)
    assert 1 - WeightAverage(model, 0.9999, ramp=2000).share() == pytest.approx(0.9999 * (1 - math.exp(-1 / 2000)))
    average = WeightAverage(model, 0.9999, ramp=2000)
    average.updates = 299
    assert 1 - average.share() == pytest.approx(0.139, abs=5e-4)


def test_tied_weights_are_averaged_once():
    model = nn.ModuleDict({"a": scalar(0.0)})
    model["b"] = model["a"]
    average = WeightAverage(model, 0.5)
    model["a"].weight.data.fill_(1.0)
    average.update(model)
    assert average.model["a"] is average.model["b"]
    assert float(average.model["a"].weight) == pytest.approx(0.9)


def test_it_is_that_of_the_weights_after_each_step(folder):
    """Against float64 NumPy over the raw weights of every checkpoint."""
    fit_toy(folder, epochs=2, ema_decay=0.6, **EVERY_STEP)
    torch.manual_seed(0)
    paths = sorted(checkpoints.steps(folder))
    raw = [checkpoints.load_file(path / checkpoints.RAW) for path in paths]
    for name, _ in ToyNet().named_parameters():
        mean = start()[name].double().numpy()
        for t, weights in enumerate(raw):
            decay = min(0.6, (1 + t) / (10 + t))
            mean = decay * mean + (1 - decay) * weights[name].double().numpy()
            np.testing.assert_allclose(checkpoints.read(paths[t]).weights()[name].numpy(), mean, atol=1e-6)
    assert torch.equal(checkpoints.read(paths[-1]).weights()["body.1.running_mean"], raw[-1]["body.1.running_mean"]), (
        "statistics are copied"
    )


def start() -> dict[str, torch.Tensor]:
    from veritrain.training.seeding import seed_everything

    seed_everything(3)
    return {name: p.detach().clone() for name, p in ToyTask().model().named_parameters()}


def test_training_itself_is_the_same_to_the_last_bit(tmp_path):
    plain = fit_toy(RunFolder(tmp_path / "a"), epochs=2)
    averaged = fit_toy(RunFolder(tmp_path / "b"), epochs=2, ema_decay=0.9)
    assert weights_hash(plain.model) == weights_hash(averaged.model)


def test_validation_and_the_best_checkpoint_are_the_average_and_the_record_says_so(folder):
    seen = []

    def validate(model, epoch):
        seen.append((weights_hash(model), model.training))
        return {"accuracy": float(epoch)}

    done = fit_toy(folder, epochs=2, ema_decay=0.9, validate=validate)
    model = ToyNet()
    checkpoints.load_weights(checkpoints.best(folder), model)
    assert weights_hash(model) == seen[-1][0] != weights_hash(done.model)
    assert not any(training for _, training in seen) and seen[0] != seen[1]
    checkpoints.load_raw(checkpoints.best(folder), model)
    assert weights_hash(model) == weights_hash(done.model)
    run = read_run(folder.path)
    (note,) = [line for line in run.of("note") if line["kind"] == "average"]
    assert note["decay"] == 0.9 and "moving average" in note["text"]
    assert {line["weights"] for line in run.of("checkpoint")} == {"average"}


@pytest.mark.parametrize("chosen", [{}, {"precision": "16-mixed", "accumulate": 2}, {"ema_ramp": 5.0}])
def test_from_every_checkpoint_both_ends_are_bitwise_the_same(tmp_path, chosen):
    chosen = {**chosen, **EVERY_STEP, "epochs": 2, "ema_decay": 0.9}
    whole = RunFolder(tmp_path / "whole")
    expected = weights_hash(fit_toy(whole, **chosen).model)
    end = checkpoints.newest(whole)
    for path in checkpoints.steps(whole)[1::3]:
        part = RunFolder(tmp_path / f"from-{path.name}")
        part.checkpoints.mkdir(parents=True)
        shutil.copytree(path, part.checkpoints / path.name)
        assert weights_hash(fit_toy(part, resume=True, **chosen).model) == expected
        again = checkpoints.newest(part)
        assert again.weights_sha256 == end.weights_sha256
        assert again.state["average"] == end.state["average"] == {"updates": end.state["place"]["step"]}


def test_it_can_be_switched_on_and_off_between_two_epochs(tmp_path):
    plain = weights_hash(fit_toy(RunFolder(tmp_path / "plain"), epochs=3, schedule="constant").model)
    on, off = RunFolder(tmp_path / "on"), RunFolder(tmp_path / "off")
    for folder, before, after in ((on, 0.0, 0.9), (off, 0.9, 0.0)):
        fit_toy(folder, epochs=1, schedule="constant", ema_decay=before)
        with pytest.raises(CheckpointError, match="ema_decay"):
            fit_toy(folder, epochs=3, schedule="constant", ema_decay=after, resume=True)
        again = fit_toy(
            folder, epochs=3, schedule="constant", ema_decay=after, resume=True, allow_changes={"ema_decay"}
        )
        assert weights_hash(again.model) == plain
    assert checkpoints.newest(on).state["average"] == {"updates": 24}
    assert "average" not in checkpoints.newest(off).state
    assert not (checkpoints.newest(off).path / checkpoints.RAW).exists()


def test_damaged_raw_weights_are_found_and_room_for_them_is_asked_for(folder):
    fit_toy(folder, epochs=1, ema_decay=0.9)
    path = checkpoints.steps(folder)[0]
    assert checkpoints.verify(path) is None
    (path / checkpoints.RAW).write_bytes(b"")
    assert "raw.safetensors" in checkpoints.verify(path)
    (path / checkpoints.RAW).unlink()
    assert checkpoints.verify(path) == "raw.safetensors is missing"
    model = ToyNet()
    optimiser = build_optimiser(model, LoopOptions())
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    assert bytes_needed(model, optimiser, ToyNet()) - bytes_needed(model, optimiser) == weights

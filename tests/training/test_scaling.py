"""Loss scaling: torch's rules, and a loop in which an overflow is routine and a broken loss is not."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import torch

from training.toy import Loud, ToyNet, ToySet, ToyTask, fit_toy, weights_hash
from veritrain.errors import NonFiniteError
from veritrain.record import RunFolder, read_run
from veritrain.training import checkpoint as checkpoints
from veritrain.training import scaling
from veritrain.training.scaling import MOST_SKIPPED, LossScale


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


@pytest.mark.parametrize("seed", range(3))
def test_it_grows_and_shrinks_as_torch_does(monkeypatch, seed):
    monkeypatch.setattr(scaling, "GROWTH_INTERVAL", 5)
    theirs = torch.amp.GradScaler("cpu", init_scale=scaling.FIRST_SCALE, growth_interval=5)
    ours = LossScale()
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimiser = torch.optim.SGD([parameter], lr=0.0)
    for finite in np.random.default_rng(seed).random(300) < 0.85:
        assert ours.scale == theirs.get_scale()
        theirs.scale(parameter.sum())
        parameter.grad = torch.full((3,), 1.0 if finite else math.inf)
        theirs.step(optimiser)
        theirs.update()
        _ = ours.updated() if finite else ours.overflowed()
    assert ours.scale != scaling.FIRST_SCALE


def test_dividing_by_the_scale_loses_no_bit_and_hides_no_infinity():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    parameters = [torch.nn.Parameter(torch.zeros(1000)), torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(values)]
    scale = LossScale(scale=2.0**13)
    parameters[0].grad, parameters[1].grad = values * scale.scale, torch.tensor([math.inf, math.nan])
    scale.unscale(parameters)
    assert torch.equal(parameters[0].grad, values) and parameters[2].grad is None
    assert math.isinf(parameters[1].grad[0]) and math.isnan(parameters[1].grad[1])
    scale.unscale([])


def test_twenty_in_a_row_are_routine_and_one_good_update_begins_the_count_anew():
    scale = LossScale()
    assert all(scale.overflowed() for _ in range(MOST_SKIPPED))
    assert scale.scale == 1 / 16
    assert not scale.overflowed()
    scale.updated()
    assert scale.overflowed() and scale.skipped == 1
    other = LossScale()
    other.restore(scale.state())
    assert other == scale


HALF = {"precision": "16-mixed", "optimiser": "sgd", "learning_rate": 1e-4, "grad_every_steps": 1}


def test_an_overflow_skips_the_update_halves_the_scale_and_is_recorded(folder):
    done = fit_toy(folder, epochs=1, task=Loud(), checkpoint_every_steps=1, keep_checkpoints=99, **HALF)
    run = read_run(folder.path)
    events = run.of("overflow")
    assert len(events) == done.summary.overflows >= 3
    assert [line["step"] for line in events] == list(range(1, len(events) + 1))
    assert [line["scale"] for line in events] == [65536.0 / 2**i for i in range(len(events))]
    assert all(line["next_scale"] == line["scale"] / 2 for line in events)
    assert not run.of("nonfinite") and run.of("stop")[-1]["reason"] == "epochs"
    assert f"{len(events)} steps made no update" in folder.train_log.read_text()
    grads = [line["step"] for line in run.of("grad")]
    assert grads == list(range(len(events) + 1, 13)), "no norm where there was none"
    assert [line["step"] for line in run.of("term")] == list(range(1, 13)), "a skipped step is a step"
    saved = {path.name: checkpoints.read(path) for path in checkpoints.steps(folder)}
    names = [name for name, _ in ToyNet().named_parameters()]
    first, skipped, made = (saved[f"step-{step:08d}"].weights() for step in (1, len(events), len(events) + 1))
    assert all(torch.equal(first[name], skipped[name]) for name in names)
    assert not all(torch.equal(made[name], skipped[name]) for name in names)
    assert saved["step-00000012"].state["loss_scale"] == {
        "scale": events[-1]["next_scale"], "good": 12 - len(events), "skipped": 0,
    }  # fmt: skip


def test_the_schedule_and_the_data_go_on_as_if_the_update_had_been_made(tmp_path):
    half, plain = RunFolder(tmp_path / "half"), RunFolder(tmp_path / "plain")
    read = []
    for folder, chosen in ((half, HALF), (plain, {**HALF, "precision": "32-true"})):
        data = ToySet()
        fit_toy(folder, epochs=2, task=Loud(), data=data, **chosen)
        read.append(data.read)
    assert read[0] == read[1]
    rates = [{line["step"]: line["learning_rate"] for line in read_run(f.path).of("grad")} for f in (half, plain)]
    assert len(rates[0]) < len(rates[1]) == 24
    assert rates[0].items() <= rates[1].items()


def test_the_gradient_that_is_used_is_the_unscaled_one(tmp_path):
    """Up to half precision, the norms are those of float32."""
    norms = []
    for precision in ("32-true", "16-mixed"):
        folder = RunFolder(tmp_path / precision)
        fit_toy(folder, epochs=1, task=Quiet(), **{**HALF, "precision": precision})
        norms.append([line["value"] for line in read_run(folder.path).of("grad")])
    assert norms[1] == pytest.approx(norms[0], rel=2e-2) and norms[0] != norms[1]


class Quiet(Loud):
    """Nothing overflows, but without a scale its gradients would vanish: 4e-9 is below float16's least, 6e-8."""

    term_weights = {"bce": 1e-8}  # noqa: RUF012


@pytest.mark.parametrize("accumulate", [1, 2])
def test_from_every_checkpoint_the_end_is_bitwise_the_same(tmp_path, monkeypatch, accumulate):
    """The scale climbs every second update and overflows again and again."""
    monkeypatch.setattr(scaling, "GROWTH_INTERVAL", 2)
    chosen = {**HALF, "epochs": 2, "checkpoint_every_steps": 1, "keep_checkpoints": 99, "accumulate": accumulate}
    whole = RunFolder(tmp_path / "whole")
    done = fit_toy(whole, task=Loud(), **chosen)
    assert done.summary.overflows > 4 * (3 - accumulate)
    paths = checkpoints.steps(whole)
    for path in paths[:: 3 - accumulate]:
        part = RunFolder(tmp_path / f"from-{path.name}")
        part.checkpoints.mkdir(parents=True)
        shutil.copytree(path, part.checkpoints / path.name)
        again = fit_toy(part, task=Loud(), resume=True, **chosen)
        assert weights_hash(again.model) == weights_hash(done.model)
        assert again.summary.overflows == done.summary.overflows
        assert checkpoints.newest(part).state["loss_scale"] == checkpoints.newest(whole).state["loss_scale"]


def test_steps_done_again_after_a_resume_are_counted_once(folder):
    done = fit_toy(folder, epochs=1, task=Loud(), checkpoint_every_steps=2, keep_checkpoints=99, **HALF)
    for path in checkpoints.steps(folder)[:-1]:
        shutil.rmtree(path)
    fit_toy(folder, epochs=1, task=Loud(), checkpoint_every_steps=2, keep_checkpoints=99, resume=True, **HALF)
    assert len(read_run(folder.path).of("overflow")) == done.summary.overflows


def test_a_loss_that_is_not_finite_still_stops_and_names_the_samples(folder):
    class NoSpread(ToyTask):
        def model(self):
            model = super().model()
            model.body[1] = torch.nn.Identity()
            return model

    with pytest.raises(NonFiniteError, match="toy/17") as caught:
        fit_toy(folder, data=ToySet(bad=17), epochs=2, task=NoSpread(), precision="16-mixed")
    assert "toy/16" not in str(caught.value) and "in a row" not in str(caught.value)
    run = read_run(folder.path)
    assert run.of("stop")[-1]["reason"] == "nonfinite" and not run.of("overflow")


class Steep(ToyTask):
    """A finite loss whose gradient is infinite at any scale."""

    term_weights = {"bce": 1.0}  # noqa: RUF012

    def losses(self, output, batch):
        return {"bce": (output["logit"] * 0.0).abs().sqrt()}


def test_more_than_twenty_overflows_in_a_row_stop_the_run_with_its_weights_as_they_were(folder):
    with pytest.raises(NonFiniteError, match="21 updates in a row overflowed"):
        fit_toy(folder, epochs=2, task=Steep(), checkpoint_every_steps=1, **HALF)
    run = read_run(folder.path)
    assert [line["step"] for line in run.of("overflow")] == list(range(1, 21))
    assert {line["step"] for line in run.of("nonfinite")} == {21}
    weights = checkpoints.newest(folder).weights()
    torch.manual_seed(0)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_the_network_really_computes_in_float16_on_a_cpu(folder):
    """Fabric by itself would take bfloat16 here."""
    seen = []

    class Watching(ToyTask):
        def model(self):
            model = super().model()
            model.head.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
            return model

    done = fit_toy(folder, epochs=1, task=Watching(), precision="16-mixed", validate=lambda m, e: {"accuracy": 0.5})
    assert set(seen) == {torch.float16} and len(seen) == 12
    assert {parameter.dtype for parameter in done.model.parameters()} == {torch.float32}

"""Tasks in the loop: what is measured, recorded and refused, and that nothing else of a step changes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from training.balance_toy import (
    PairNet,
    PairSet,
    PairTask,
    Ungrouped,
    fit_pair,
    frozen_stepper,
    stepper_of,
)
from training.toy import fit_toy, weights_hash
from veritrain import catalog
from veritrain.data.loader import epoch_batches
from veritrain.errors import CheckpointError, ConfigError, MissingExtraError, NonFiniteError, UnconnectedTaskError
from veritrain.losses.options import BalanceOptions
from veritrain.losses.report004 import noise_instead_of
from veritrain.record import RunFolder, read_run
from veritrain.training import checkpoint as checkpoints
from veritrain.training.balancing import TaskBalance, groups_of
from veritrain.training.options import LoopOptions
from veritrain.training.scaling import LossScale

ROWS = ("upgrad", "pcgrad", "mgda", "imtl_g", "aligned_mtl")
MOVING = ("gradnorm", "uncertainty", "dwa", "famo")


def balance(name="gradnorm", **chosen):
    steps = {} if name == "report004" else {"initial_steps": 2}
    return BalanceOptions(balance=name, **{**steps, **chosen})


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def events(folder):
    return read_run(folder.path).of("balance")


def flat(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# ---- what is recorded


def test_declared_tasks_are_measured_without_changing_a_bit_of_static_training(tmp_path):
    folders = [RunFolder(tmp_path / name) for name in "ab"]
    _, measured = fit_pair(folders[0], grad_every_steps=1)
    _, plain = fit_pair(folders[1], task=Ungrouped(), grad_every_steps=1)
    assert weights_hash(measured) == weights_hash(plain)
    assert len(events(folders[0])) == 24 and not events(folders[1])
    losses = [[line["value"] for line in read_run(f.path).of("metric") if line["name"] == "loss"] for f in folders]
    assert losses[0] == losses[1]


def test_terms_without_declared_tasks_are_left_alone(folder):
    fit_toy(folder, epochs=1, grad_every_steps=1)
    assert not events(folder) and "balance" not in checkpoints.newest(folder).state


def test_the_event_holds_what_autograd_says(folder):
    """Step 1 of the loop, again by hand."""
    fit_pair(folder, epochs=1, grad_every_steps=100)
    (line,) = events(folder)
    task = PairTask()
    torch.manual_seed(0)
    first = {row["name"]: row["value"] for row in read_run(folder.path).of("term") if row["step"] == 1}
    assert line["losses"] == pytest.approx({"boxes": first["near"] + 0.1 * first["size"], "views": 0.5 * first["view"]})
    _, model = stepper_of()
    weight = model.trunk[2].weight
    batch = PairSet().batch(epoch_batches(48, batch_size=4, seed=0, epoch=1)[0])
    terms = task.losses(model(batch), batch)
    totals = [terms["near"].mean() + 0.1 * terms["size"].mean(), 0.5 * terms["view"].mean()]
    boxes, views = (torch.autograd.grad(total, weight, retain_graph=True)[0].double().flatten() for total in totals)
    assert line["grad_norms"] == pytest.approx({"boxes": float(boxes.norm()), "views": float(views.norm())}, rel=1e-5)
    cosine = float(boxes @ views / boxes.norm() / views.norm())
    assert line["cosines"] == pytest.approx({"boxes|views": cosine}, rel=1e-4)
    assert line["weights"] == {"boxes": 1.0, "views": 1.0} and line["weights_sum_to"] is None
    assert (line["step"], line["name"], line["measured_at"], line["unconnected"]) == (
        1,
        "static",
        "shared_parameters",
        [],
    )
    assert line["loss_ratios"] == {"boxes": None, "views": None}, "L(0) is not known yet"


def test_it_is_recorded_at_step_1_and_every_so_many_steps(folder):
    fit_pair(folder, balance=balance(), grad_every_steps=5)
    lines = events(folder)
    assert [line["step"] for line in lines] == [1, 5, 10, 15, 20]
    assert all(sum(line["weights"].values()) == pytest.approx(2.0, abs=1e-6) for line in lines)
    assert all(sum(line["loss_ratios"].values()) == pytest.approx(2.0) for line in lines[1:])
    assert len({line["weights"]["boxes"] for line in lines}) == 5, "the weights move"


def test_terms_stay_unweighted_beside_the_weight_of_their_step_and_totals_keep_theirs(folder):
    fit_pair(folder, balance=balance(), grad_every_steps=1, epochs=1)
    run = read_run(folder.path)
    weights = {line["step"]: line["weights"] for line in run.of("balance")}
    terms = run.of("term")
    for line in terms:
        task, own = {"near": ("boxes", 1.0), "size": ("boxes", 0.1), "view": ("views", 0.5)}[line["name"]]
        assert line["weight"] == pytest.approx(own * weights[line["step"]][task], rel=1e-12)
    values = {(line["step"], line["name"]): line["value"] for line in terms}
    totals = [values[s, "near"] + 0.1 * values[s, "size"] + 0.5 * values[s, "view"] for s in weights]
    (loss,) = [line["value"] for line in run.of("metric") if line["name"] == "loss"]
    assert loss == pytest.approx(np.mean(totals)), "a total under moving weights compares with nothing"


def test_static_weights_are_used_as_they_are(tmp_path):
    class Weighted(Ungrouped):
        term_weights = {"near": 3.0, "size": 0.1 * 3.0, "view": 0.5}  # noqa: RUF012

    _, chosen = fit_pair(RunFolder(tmp_path / "a"), balance=BalanceOptions(weights={"boxes": 3.0}))
    _, terms = fit_pair(RunFolder(tmp_path / "b"), task=Weighted())
    assert torch.equal(flat(chosen), flat(terms))
    line = events(RunFolder(tmp_path / "a"))[-1]
    assert line["weights"] == {"boxes": 3.0, "views": 1.0}


# ---- a step


def test_the_update_of_the_weights_leaves_the_networks_gradients_alone():
    """Bit for bit those of static weights of the same values, before and after the weights moved."""
    batch = PairSet().batch(range(8))
    grads = []
    for chosen in (balance(initial_steps=1), BalanceOptions()):
        stepper, model = stepper_of(balance=chosen)
        before = stepper.balance.balancer.weights()
        stepper.make([batch], step=0, batch=0, rate=1e-30)
        grads.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
        moved = stepper.balance.balancer.weights() != before
        assert moved is (chosen.balance == "gradnorm")
    assert torch.equal(*grads)


@pytest.mark.parametrize("name", ["gradnorm", "pcgrad", "upgrad"])
def test_accumulation_equals_one_large_batch(tmp_path, name):
    """Losses, norms and what comes of them are those of the whole step; here and there a label is missing."""
    chosen = {
        "balance": balance(name),
        "data": PairSet(every=5),
        "optimiser": "sgd",
        "learning_rate": 0.1,
        "grad_every_steps": 1,
    }
    folders = [RunFolder(tmp_path / part) for part in "ab"]
    _, large = fit_pair(folders[0], batch_size=12, **chosen)
    _, small = fit_pair(folders[1], batch_size=4, accumulate=3, **chosen)
    assert torch.allclose(flat(large), flat(small), atol=1e-5)
    for one, other in zip(events(folders[0]), events(folders[1]), strict=True):
        assert other["grad_norms"] == pytest.approx(one["grad_norms"], rel=1e-4)
        assert other["weights"] == pytest.approx(one["weights"], rel=1e-3)


@pytest.mark.parametrize("name", ["gradnorm", "pcgrad", "report004"])
def test_a_scaled_loss_gives_unscaled_norms_and_the_same_weights(name):
    """The scale is a power of two, so that nothing is lost in float32."""
    found = []
    for scale in (None, LossScale(scale=2.0**16)):
        stepper, model = stepper_of(PairTask(loud=3.0), balance=balance(name))
        stepper.scale = scale
        batches = [PairSet().batch(range(start, start + 8)) for start in (0, 8, 16, 24, 32)]
        numbers = [stepper.make([batch], step=k, batch=k, rate=0.1) for k, batch in enumerate(batches)]
        found.append((flat(model), [one.task_norms for one in numbers], stepper.balance.balancer.weights()))
    assert torch.equal(found[0][0], found[1][0]) and found[0][2] == found[1][2]
    assert found[0][1] == found[1][1] and found[0][1][0]["views"] > 0


def test_half_precision_measures_what_full_does(tmp_path):
    lines = []
    for precision in ("32-true", "16-mixed"):
        folder = RunFolder(tmp_path / precision)
        fit_pair(folder, balance=balance(), precision=precision, epochs=1, learning_rate=1e-6)
        lines.append(events(folder)[0])
    assert lines[1]["grad_norms"] == pytest.approx(lines[0]["grad_norms"], rel=2e-2)
    assert lines[1]["grad_norms"] != lines[0]["grad_norms"]


def test_an_overflow_moves_no_weight_and_records_no_norm(folder):
    class Loud(PairTask):
        term_weights = {"near": 2.0**10, "size": 0.1, "view": 0.5}  # noqa: RUF012

    fit_pair(folder, task=Loud(), balance=balance(), precision="16-mixed", grad_every_steps=1, learning_rate=1e-5)
    run = read_run(folder.path)
    skipped = {line["step"] for line in run.of("overflow")}
    measured = [line["step"] for line in run.of("balance")]
    assert skipped and not skipped & set(measured) and len(skipped) + len(measured) == 24
    assert run.of("balance")[0]["weights"] == {"boxes": 1.0, "views": 1.0}
    assert not run.of("nonfinite")


def test_pcgrad_is_torchjds_own_backward_pass():
    """Independent of ours: TorchJD differentiates the network itself."""
    autojac = pytest.importorskip("torchjd.autojac")
    aggregation = pytest.importorskip("torchjd.aggregation")
    batch, task = PairSet().batch(range(8)), PairTask(loud=-4.0)
    stepper, model = stepper_of(task, balance=balance("pcgrad"))
    _, other = stepper_of(task)
    stepper.make([batch], step=0, batch=0, rate=1e-30)
    features = torch.tanh(other.trunk(batch["x"]))
    output = {"box": other.box(features), "view": other.view(other.loud * features)}
    terms = task.losses(output, batch)
    losses = [terms["near"].mean() + 0.1 * terms["size"].mean(), 0.5 * terms["view"].mean()]
    autojac.mtl_backward(losses, features=features, parallel_chunk_size=1)
    autojac.jac_to_grad(other.trunk.parameters(), aggregation.PCGrad())
    assert min(stepper.balance.used().values()) != pytest.approx(0.1), "the tasks conflict here"
    for (name, ours), theirs in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-5), name


def test_famo_looks_at_the_same_samples_after_the_update_and_changes_nothing_else(folder):
    seen = []

    class Watching(PairTask):
        def losses(self, output, batch):
            seen.append((torch.is_grad_enabled(), batch["index"].tolist()))
            return super().losses(output, batch)

    fit_pair(folder, task=Watching(), balance=balance("famo"), epochs=1)
    assert [grad for grad, _ in seen] == [True, False] * 12
    assert all(before[1] == after[1] for before, after in zip(seen[::2], seen[1::2], strict=True))


def test_statistics_of_batches_move_once_a_step_with_famo(tmp_path):
    class Normed(PairTask):
        def model(self):
            model = super().model()
            model.trunk[1] = torch.nn.BatchNorm1d(16)
            return model

    _, model = fit_pair(RunFolder(tmp_path / "a"), task=Normed(), balance=balance("famo"), epochs=1)
    assert int(model.trunk[1].num_batches_tracked) == 12


@pytest.mark.parametrize("name", sorted(catalog.BALANCERS))
def test_every_balancer_trains_in_the_loop(tmp_path, name):
    folder = RunFolder(tmp_path / name)
    try:
        summary, model = fit_pair(
            folder, balance=balance(name), clip_norm=1.0, ema_decay=0.9, grad_every_steps=12, batch_size=8, epochs=4
        )
    except MissingExtraError as error:
        pytest.skip(str(error.found))
    assert summary.stop_reason == "epochs" and torch.isfinite(flat(model)).all()
    line = events(folder)[-1]
    assert line["name"] == name and line["step"] == 24 and None not in line["weights"].values()
    totals = [line["value"] for line in read_run(folder.path).of("metric") if line["name"] == "loss"]
    assert totals[-1] < totals[0]


# ---- resume


@pytest.mark.parametrize(
    "chosen",
    [balance(), *map(balance, (*MOVING[1:], "pcgrad", "report004"))],
    ids=lambda chosen: f"{chosen.balance}-{chosen.weight_optimiser}",
)
def test_a_run_stopped_in_mid_epoch_goes_on_bitwise(tmp_path, chosen):
    saved = {"checkpoint_every_steps": 7, "keep_checkpoints": 99, "epochs": 3, "balance": chosen}
    whole = RunFolder(tmp_path / "whole")
    _, model = fit_pair(whole, **saved)
    for step in (7, 28):
        part = RunFolder(tmp_path / f"from-{step}")
        part.checkpoints.mkdir(parents=True)
        shutil.copytree(whole.checkpoints / f"step-{step:08d}", part.checkpoints / f"step-{step:08d}")
        _, again = fit_pair(part, resume=True, **saved)
        assert weights_hash(again) == weights_hash(model)
        states = [checkpoints.newest(one).state["balance"] for one in (whole, part)]
        assert states[0] == states[1] and states[0]["name"] == chosen.balance


def test_another_balancer_or_another_option_of_it_is_refused_on_resume(tmp_path):
    folder = RunFolder(tmp_path / "run")
    fit_pair(folder, epochs=1, balance=balance())
    for other, words in ((balance("dwa"), "balance.balance"), (balance(alpha=0.5), "balance.alpha")):
        with pytest.raises(CheckpointError, match=words):
            fit_pair(folder, epochs=1, balance=other, resume=True)


# ---- tasks that move nothing


class Detached(PairTask):
    """The view's head reads features that were detached."""

    def model(self):
        model = super().model()
        forward = model.forward

        def without_path(batch):
            features = torch.tanh(model.trunk(batch["x"])).detach()
            return {**forward(batch), "view": model.view(features)}

        model.forward = without_path
        return model


class Zeroed(PairTask):
    """The view's head begins with weights of 0: there is a path, and nothing comes back along it."""

    def model(self):
        model = super().model()
        torch.nn.init.zeros_(model.view.weight)
        return model


@pytest.mark.parametrize(("task", "found"), [(Detached(), "no path"), (Zeroed(), "exactly 0")])
@pytest.mark.parametrize("chosen", [BalanceOptions(), balance(), balance("pcgrad")], ids=lambda one: one.balance)
def test_an_unconnected_task_stops_the_run_before_its_first_update_by_name(folder, chosen, task, found):
    untrained = flat(stepper_of(task)[1])
    models = []
    with pytest.raises(UnconnectedTaskError, match="before the update of step 1: the loss of task 'views'") as caught:
        fit_pair(folder, task=task, balance=chosen, spoil=models.append)
    assert found in str(caught.value) and caught.value.exit_code == 64
    assert torch.equal(flat(models[0]), untrained)
    run = read_run(folder.path)
    (line,) = run.of("balance")
    assert line["grad_norms"]["views"] == 0 and line["grad_norms"]["boxes"] > 0
    assert line["unconnected"] == (["views"] if found == "no path" else [])
    assert line["cosines"] == {"boxes|views": None}
    stop = run.of("stop")[-1]
    assert (stop["reason"], stop["tasks"], stop["step"]) == ("unconnected", ["views"], 1)
    assert "'views'" in folder.train_log.read_text()


def test_noise_for_logits_stops_the_run_too(folder):
    with pytest.raises(UnconnectedTaskError, match="'views'"):
        fit_pair(folder, balance=balance(), spoil=lambda model: noise_instead_of(model, "view"))


def test_a_task_whose_first_labels_come_later_is_checked_when_they_do(folder):
    class Late(Detached):
        def term_counts(self, batch):
            return {"view": batch["index"] == batches[3][0]}

    batches = epoch_batches(48, batch_size=4, seed=0, epoch=1)
    with pytest.raises(UnconnectedTaskError, match="step 4: the loss of task 'views'"):
        fit_pair(folder, task=Late(), grad_every_steps=100)
    lines = events(folder)
    assert [line["step"] for line in lines] == [1, 2, 3, 4], "it is watched until then"
    assert lines[0]["grad_norms"]["views"] is None and lines[0]["losses"]["views"] is None


def test_one_declared_task_is_checked_at_step_1_alone(folder):
    class One(PairTask):
        term_groups = {"all": ("near", "size", "view")}  # noqa: RUF012

    fit_pair(folder, task=One(), grad_every_steps=1, epochs=1)
    assert [line["step"] for line in events(folder)] == [1] and events(folder)[0]["cosines"] == {}


def test_two_networks_that_share_nothing_are_checked_at_all_their_parameters(folder):
    class Apart(PairTask):
        def model(self):
            model = super().model()
            model.shared_parameters = lambda: []
            return model

    fit_pair(folder, task=Apart(), grad_every_steps=1, epochs=1)
    (line,) = events(folder)
    assert line["measured_at"] == "parameters" and min(line["grad_norms"].values()) > 0


def test_a_frozen_shared_layer_is_measured_when_it_trains(folder):
    fit_pair(folder, unfreeze=((2, "trunk"),), grad_every_steps=4)
    assert [line["step"] for line in events(folder)] == [13, 16, 20, 24]


def test_report_004_goes_on_and_its_record_tells(folder):
    fit_pair(
        folder,
        balance=balance("report004"),
        data=PairSet(50),
        batch_size=8,
        drop_remainder=False,
        epochs=4,
        spoil=lambda model: noise_instead_of(model, "view"),
    )
    lines = events(folder)
    assert {line["grad_norms"]["views"] for line in lines} == {0.0}
    assert {tuple(line["unconnected"]) for line in lines} == {("views",)}
    assert sum(lines[0]["weights"].values()) == pytest.approx(1.01)
    assert sum(lines[-1]["weights"].values()) == pytest.approx(4.0)
    assert {line["n"] for line in read_run(folder.path).of("term")} == {8, 2}, "a partial last batch of two"


# ---- what is refused


class NoShared(PairTask):
    def model(self):
        model = super().model()
        model.shared_parameters = lambda: []
        return model


class Strange(PairTask):
    def model(self):
        model = super().model()
        model.shared_parameters = lambda: [torch.nn.Parameter(torch.zeros(3))]
        return model


class OneGroup(PairTask):
    term_groups = {"all": ("near", "size", "view")}  # noqa: RUF012


@pytest.mark.parametrize(
    ("task", "chosen", "words"),
    [
        (NoShared(), {}, "needs parameters that the tasks share"),
        (Strange(), {}, "no parameters of the network"),
        (OneGroup(), {}, "needs tasks to balance"),
        (PairTask(), {"unfreeze": ((2, "trunk"),)}, "frozen in the first epoch"),
        (PairTask(), {"compile": "reduce-overhead"}, "compile reduce-overhead does not allow"),
        (PairTask(), {"balance": balance("pcgrad"), "compile": "max-autotune"}, "compile max-autotune does not allow"),
        (PairTask(), {"balance": balance("famo"), "accumulate": 2}, "not known before its last micro-batch"),
        (PairTask(), {"balance": balance(weights={"view": 2.0})}, "no task 'view'"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_computed(folder, task, chosen, words):
    with pytest.raises(ConfigError, match=words):
        fit_pair(folder, task=task, **{"balance": balance(), **chosen})
    assert not read_run(folder.path).of("term")


def with_groups(groups):
    task = PairTask()
    task.term_groups = groups
    return task


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"a": ("near", "size"), "b": ("views",)}, "did you mean 'view'"),
        ({"a": ("near",), "b": ("view",)}, "exactly one task"),
        ({"a": ("near", "size", "view"), "b": ("view",)}, "exactly one task"),
    ],
)
def test_groups_that_do_not_fit_the_terms_are_refused(groups, words):
    with pytest.raises(ConfigError, match=words):
        groups_of(with_groups(groups))


def test_a_declared_task_without_any_term_is_refused_by_name(folder):
    class Silent(PairTask):
        def losses(self, output, batch):
            terms = super().losses(output, batch)
            del terms["view"]
            return terms

        def term_counts(self, batch):
            return {}

    with pytest.raises(ConfigError, match="task 'views' has no loss"):
        fit_pair(folder, task=Silent())


def test_a_gradient_of_one_task_that_is_not_finite_stops_the_run_and_names_the_task(folder):
    class Steep(PairTask):
        def losses(self, output, batch):
            terms = super().losses(output, batch)
            return {**terms, "view": (output["view"].sum(1) * 0.0).abs().sqrt()}

    with pytest.raises(NonFiniteError, match="grad_norm of views"):
        fit_pair(folder, task=Steep(), balance=balance())
    assert not events(folder)


def test_a_run_that_cannot_be_measured_says_so():
    def note(task, compiled):
        return TaskBalance(task, PairNet(), BalanceOptions(), LoopOptions(compile=compiled)).note()

    assert "reduce-overhead" in note(PairTask(), "reduce-overhead") and "not checked" in note(
        PairTask(), "max-autotune"
    )
    assert note(PairTask(), "default") == note(Ungrouped(), "reduce-overhead") == ""


def test_frozen_steps_move_nothing():
    """The toy of the property tests is what it says it is."""
    _, step = frozen_stepper(balance=balance(alpha=0.0))
    before = [step().task_norms for _ in range(3)]
    assert before[0] == pytest.approx(before[2], rel=1e-6)


def test_the_state_of_a_checkpoint_is_json(folder):
    fit_pair(folder, balance=balance("famo"))
    text = (checkpoints.newest(folder).path / "state.json").read_text()
    assert json.loads(text)["balance"]["name"] == "famo"

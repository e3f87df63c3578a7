"""The loop's other promises: what is recorded, selected, refused and told; signals; accumulation; ends."""

from __future__ import annotations

import io
import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from training.toy import Child, ToySet, ToyTask, fit_toy, weights_hash
from veritrain.errors import ConfigError, Interrupted, NonFiniteError, StorageError
from veritrain.record import RunFolder, read_run
from veritrain.training import checkpoint as checkpoints
from veritrain.training.progress import PlainProgress, TerminalProgress, progress_for
from veritrain.training.seeding import seed_everything
from veritrain.training.storage import check_room


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def scripted(*values):
    """A validation that returns these scores, an epoch each."""
    left = list(values)
    return lambda model, epoch: {"accuracy": left.pop(0)}


# ---- what is recorded


def test_terms_are_recorded_unweighted_beside_their_weights(folder):
    fit_toy(folder, epochs=2)
    run = read_run(folder.path)
    terms = [line for line in run.of("term") if line["name"] == "size"]
    assert [line["step"] for line in terms] == list(range(1, 25))
    assert {(line["weight"], line["n"], line["split"]) for line in terms} == {(0.01, 4, "train")}
    bce = {line["step"]: line["value"] for line in run.of("term") if line["name"] == "bce"}
    size = {line["step"]: line["value"] for line in terms}
    losses = [line for line in run.of("metric") if line["name"] == "loss"]
    for epoch, line in enumerate(losses):
        steps = range(1 + 12 * epoch, 13 + 12 * epoch)
        assert line["value"] == pytest.approx(np.mean([bce[s] + 0.01 * size[s] for s in steps]), rel=1e-9)
        assert (line["epoch"], line["n"]) == (epoch + 1, 48)


class Known(ToyTask):
    """One term is always 3."""

    term_weights = {"bce": 1.0, "known": 0.5}  # noqa: RUF012

    def losses(self, output, batch):
        bce = super().losses(output, batch)["bce"]
        return {"bce": bce * 0, "known": bce * 0 + 3.0}


def test_a_known_term_is_recorded_as_it_is_and_enters_the_total_with_its_weight(folder):
    fit_toy(folder, epochs=1, task=Known())
    run = read_run(folder.path)
    assert {(line["value"], line["weight"]) for line in run.of("term") if line["name"] == "known"} == {(3.0, 0.5)}
    assert next(line["value"] for line in run.of("metric") if line["name"] == "loss") == 1.5


class Drawing(ToyTask):
    """Remembers a random number of each forward pass."""

    def __init__(self):
        super().__init__()
        self.draws = []

    def losses(self, output, batch):
        self.draws.append(float(torch.rand(())))
        return super().losses(output, batch)


def test_every_forward_pass_draws_other_numbers_and_a_second_run_the_same(tmp_path):
    tasks = [Drawing(), Drawing()]
    for number, task in enumerate(tasks):
        torch.rand(number + 1)
        fit_toy(RunFolder(tmp_path / str(number)), epochs=2, task=task, accumulate=2)
    assert len(set(tasks[0].draws)) == 24
    assert tasks[0].draws == tasks[1].draws


def test_validation_draws_the_same_numbers_whenever_it_runs(folder):
    """Also after a resume that trained nothing before it."""
    draws = []

    def validate(model, epoch):
        draws.append(float(torch.rand(())))
        if len(draws) == 1:
            raise ZeroDivisionError
        return {"accuracy": 0.0}

    with pytest.raises(ZeroDivisionError):
        fit_toy(folder, epochs=1, validate=validate)
    fit_toy(folder, epochs=1, validate=validate, resume=True)
    assert draws[0] == draws[1]


def test_the_first_loss_is_that_of_the_untrained_network(folder):
    """Computed here from the task's own definition, dropout off."""
    done = fit_toy(folder, epochs=1, task=Plain())
    torch.manual_seed(0)
    assert done.summary.steps == 12
    first = read_run(folder.path).of("term")[0]
    assert first["value"] == pytest.approx(np.log(2), abs=1e-6)


class Plain(ToyTask):
    """Starts from zero logits, so the first loss is log 2."""

    term_weights = {"bce": 1.0}  # noqa: RUF012

    def model(self):
        model = super().model()
        torch.nn.init.zeros_(model.head.weight)
        torch.nn.init.zeros_(model.head.bias)
        return model

    def losses(self, output, batch):
        return {"bce": super().losses(output, batch)["bce"]}


def test_looks_checkpoints_and_the_stop_are_recorded(folder):
    done = fit_toy(folder, epochs=3, about={"classes": ["a", "b"]})
    run = read_run(folder.path)
    assert [(line["split"], line["purpose"], line["epoch"]) for line in run.of("look")] == [
        ("val", "selection", epoch) for epoch in (1, 2, 3)
    ]
    newest = checkpoints.newest(folder)
    last = run.of("checkpoint")[-1]
    assert (folder.path / last["file"]).is_dir()
    assert last["sha256"] == newest.weights_sha256
    assert newest.state["about"] == {"classes": ["a", "b"]}
    assert run.of("stop")[-1]["reason"] == "epochs" == done.summary.stop_reason
    assert {line["split"] for line in run.of("metric") if line["name"] == "accuracy"} == {"val"}


def test_throughput_and_waiting_for_data_are_recorded_once_an_epoch(folder):
    done = fit_toy(folder, epochs=2)
    lines = read_run(folder.path).of("throughput")
    assert [line["epoch"] for line in lines] == [1, 2] and done.summary.steps == lines[-1]["step"]
    for line in lines:
        assert line["samples"] == 48 and line["samples_per_s"] == pytest.approx(48 / line["seconds"], rel=1e-3)
        assert 0 < line["data_wait_share"] < 1 and line["step_s_median"] > 0


def test_the_gradient_norm_is_recorded_every_so_often(folder):
    fit_toy(folder, epochs=1, grad_every_steps=5)
    grads = read_run(folder.path).of("grad")
    assert [line["step"] for line in grads] == [5, 10]
    assert all(line["value"] > 0 and line["learning_rate"] > 0 for line in grads)


# ---- terms without a label, accumulation


class HalfLabelled(Plain):
    """Only even samples have a label."""

    def losses(self, output, batch):
        return {"bce": super().losses(output, batch)["bce"] * (batch["index"] % 2 == 0)}

    def term_counts(self, batch):
        return {"bce": batch["index"] % 2 == 0}


def test_a_term_is_averaged_over_the_samples_that_have_its_label(folder):
    fit_toy(folder, epochs=1, task=HalfLabelled())
    terms = read_run(folder.path).of("term")
    assert sum(line["n"] for line in terms) == 24
    assert next(line["value"] for line in terms if line["n"]) == pytest.approx(np.log(2), abs=1e-6)
    assert all(line["value"] is None for line in terms if line["n"] == 0)


class WithoutStatistics(HalfLabelled):
    def model(self):
        model = super().model()
        model.body = torch.nn.Sequential(model.body[0], torch.nn.ReLU())
        torch.nn.init.normal_(model.head.weight, std=0.1)
        return model


@pytest.mark.parametrize(
    ("chosen", "close"),
    [
        ({}, 1e-6),
        ({"precision": "bf16-mixed"}, 0.6 * 2**-8),
        ({"precision": "16-mixed"}, 0.6 * 2**-11),
        ({"channels_last": True}, 1e-6),
        ({"ema_decay": 0.9}, 1e-6),
    ],
)
def test_accumulation_equals_one_large_batch(tmp_path, chosen, close):
    """In 16 bits each micro-batch's gradient is rounded before they are added: weights that move by 0.6 differ by
    less than the type's relative rounding of that."""
    chosen = {"epochs": 2, "task": WithoutStatistics(), "optimiser": "sgd", "learning_rate": 0.1, **chosen}
    folders = [RunFolder(tmp_path / name) for name in "ab"]
    large = fit_toy(folders[0], batch_size=12, **chosen)
    small = fit_toy(folders[1], batch_size=4, accumulate=3, **chosen)
    assert large.summary.steps == small.summary.steps == 8
    assert large.summary.overflows == small.summary.overflows == 0
    before = torch.cat([p.flatten() for p in start_of(WithoutStatistics())])
    one, other = (torch.cat([p.detach().flatten() for p in done.model.parameters()]) for done in (large, small))
    assert torch.allclose(one, other, atol=close)
    assert (one - before).abs().max() > 100 * close, "and it went somewhere"
    one, other = (checkpoints.newest(folder).weights() for folder in folders)
    assert all(torch.allclose(one[name], other[name], atol=close) for name in one)


def start_of(task):
    seed_everything(3)
    return [p.detach().clone() for p in task.model().parameters()]


class Scalar(ToyTask):
    def losses(self, output, batch):
        return {"bce": super().losses(output, batch)["bce"].mean()}


class Unweighted(ToyTask):
    term_weights = {"bce": 1.0}  # noqa: RUF012


@pytest.mark.parametrize(("task", "words"), [(Scalar(), "not per sample"), (Unweighted(), "'size' has no weight")])
def test_terms_that_do_not_fit_are_refused_by_name(folder, task, words):
    with pytest.raises(ConfigError, match=words):
        fit_toy(folder, epochs=1, task=task)


# ---- selection


def test_the_best_epoch_is_kept_though_newer_checkpoints_come(folder):
    done = fit_toy(folder, epochs=6, validate=scripted(0.5, 0.9, 0.9, None, float("nan"), 0.1))
    assert (done.summary.best_epoch, done.summary.best_value) == (2, 0.9)
    best = checkpoints.best(folder)
    assert best.path.name == "step-00000024"
    assert [path.name for path in checkpoints.steps(folder)] == ["step-00000072", "step-00000060", "step-00000024"]


def test_lower_can_be_better(folder):
    assert fit_toy(folder, epochs=3, validate=scripted(0.5, 0.2, 0.4), higher=False).summary.best_epoch == 2


def test_a_score_that_is_never_defined_selects_nothing(folder):
    done = fit_toy(folder, epochs=1, validate=scripted(None))
    assert done.summary.best_epoch is None
    assert "never defined" in folder.train_log.read_text()


def test_selecting_by_an_unknown_score_is_refused(folder):
    with pytest.raises(ConfigError, match="did you mean 'acuracy'"):
        fit_toy(folder, epochs=1, validate=lambda model, epoch: {"acuracy": 1.0})


def test_validation_sees_evaluation_mode_and_no_gradients(folder):
    seen = []

    def validate(model, epoch):
        seen.append((model.training, torch.is_grad_enabled(), epoch))
        return {"accuracy": 0.0}

    fit_toy(folder, epochs=2, validate=validate)
    assert seen == [(False, False, 1), (False, False, 2)]


def test_validation_that_draws_random_numbers_does_not_change_training(tmp_path):
    def validate(model, epoch):
        torch.rand(epoch * 7)
        return {"accuracy": 0.0}

    plain = fit_toy(RunFolder(tmp_path / "a"), epochs=2)
    drawing = fit_toy(RunFolder(tmp_path / "b"), epochs=2, validate=validate)
    assert weights_hash(plain.model) == weights_hash(drawing.model)


def test_an_error_in_validation_loses_no_training(folder):
    def broken(model, epoch):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit_toy(folder, epochs=1, validate=broken)
    data = ToySet()
    done = fit_toy(folder, epochs=1, data=data, resume=True)
    assert data.read == [] and done.summary.epochs_done == 1


# ---- ends


def test_epochs_between_validations_are_trained_saved_and_not_scored(tmp_path):
    folder = RunFolder(tmp_path / "a")
    done = fit_toy(folder, epochs=7, validate_every=3, validate=scripted(0.5, 0.9, 0.7))
    run = read_run(folder.path)
    scored = [line["epoch"] for line in run.of("metric") if line["split"] == "val"]
    assert scored == [3, 6, 7] and (done.summary.best_epoch, done.summary.best_value) == (6, 0.9)
    losses = [line["epoch"] for line in run.of("metric") if line["split"] == "train" and line["name"] == "loss"]
    assert losses == [1, 2, 3, 4, 5, 6, 7] and len(run.of("checkpoint")) == 7
    every = fit_toy(RunFolder(tmp_path / "b"), epochs=7)
    assert weights_hash(every.model) == weights_hash(done.model), "what is not scored is trained all the same"


def test_patience_and_the_time_budget_stop_with_their_reason(tmp_path):
    done = fit_toy(RunFolder(tmp_path / "a"), epochs=9, patience=2, validate=scripted(0.5, 0.9, 0.8, 0.7, 0.95))
    assert (done.summary.stop_reason, done.summary.epochs_done, done.summary.best_epoch) == ("patience", 4, 2)
    folder = RunFolder(tmp_path / "b")
    done = fit_toy(folder, data=ToySet(seconds=0.02), epochs=9, max_seconds=0.5)
    assert done.summary.stop_reason == "time" and done.summary.epochs_done == 0
    assert read_run(folder.path).of("look"), "a run that ran out of time is still scored"
    done = fit_toy(folder, epochs=2, resume=True)
    assert (done.summary.stop_reason, done.summary.epochs_done) == ("epochs", 2)


@pytest.fixture
def clock(monkeypatch):
    """The loop's own clock: nothing but what sleeps takes time, however busy the machine is."""
    now = [100.0]
    monkeypatch.setattr("veritrain.training.loop.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_the_time_budget_leaves_room_for_a_last_validation_like_the_one_before_it(tmp_path, clock):
    def slow(model, epoch):
        time.sleep(0.8)
        return {"accuracy": 0.5}

    done = fit_toy(RunFolder(tmp_path), data=ToySet(seconds=0.02), epochs=9, max_seconds=4.6, validate=slow)
    assert (done.summary.stop_reason, done.summary.epochs_done) == ("time", 2)
    assert done.summary.seconds == pytest.approx(4.64), "two epochs of 1.76 s, two batches of 0.16 s, a validation"


def test_a_last_validation_that_was_quicker_than_foreseen_is_not_made_twice(tmp_path, clock):
    left = [0.8, 0.8, 0.5]

    def slow(model, epoch):
        time.sleep(left.pop(0))
        return {"accuracy": 0.5}

    done = fit_toy(RunFolder(tmp_path), data=ToySet(seconds=0.02), epochs=9, max_seconds=4.6, validate=slow)
    assert (done.summary.stop_reason, left) == ("time", [])


def test_a_nan_stops_before_the_update_and_names_the_samples(folder):
    with pytest.raises(NonFiniteError) as caught:
        fit_toy(folder, data=ToySet(bad=17), epochs=2, task=NoSpread(), checkpoint_every_steps=1)
    assert caught.value.exit_code == 4
    assert "toy/17" in str(caught.value) and "toy/16" not in str(caught.value)
    run = read_run(folder.path)
    (line,) = [line for line in run.of("nonfinite") if line["name"] == "bce"]
    assert [(sample["id"], sample["index"]) for sample in line["samples"]] == [("toy/17", 17)]
    assert line["samples"][0]["batch"] == (line["step"] - 1) % 12
    assert run.of("stop")[-1]["reason"] == "nonfinite"
    weights = checkpoints.newest(folder).weights()
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert checkpoints.newest(folder).state["place"]["step"] == line["step"] - 1


class NoSpread(ToyTask):
    """Without BatchNorm a NaN stays in its sample."""

    def model(self):
        model = super().model()
        model.body[1] = torch.nn.Identity()
        return model


class Steep(Plain):
    """A finite loss whose gradient is not: the square root at zero."""

    def losses(self, output, batch):
        return {"bce": (output["logit"] * 0.0).abs().sqrt()}


def test_a_gradient_that_is_not_finite_stops_too_and_the_weights_stay(folder):
    task = Steep()
    torch.manual_seed(0)
    with pytest.raises(NonFiniteError, match="grad_norm") as caught:
        fit_toy(folder, epochs=1, task=task)
    assert str(caught.value).count("toy/") == 4


def test_clipping_bounds_the_update(tmp_path):
    options = {"epochs": 1, "optimiser": "sgd", "learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.0}
    moved = []
    for limit in (None, 1e-3):
        before = ToyTaskStart().state
        done = fit_toy(RunFolder(tmp_path / str(limit)), samples=4, clip_norm=limit, warmup_steps=0, **options)
        moved.append(
            sum(float((a.detach() - b).square().sum()) for a, b in zip(done.model.parameters(), before, strict=True))
        )
    assert moved[1] ** 0.5 == pytest.approx(1e-3, rel=1e-2)
    assert moved[0] > 100 * moved[1]


class ToyTaskStart:
    """The parameters that ``fit_toy`` starts from."""

    def __init__(self):
        from veritrain.training.seeding import seed_everything

        seed_everything(3)
        self.state = [p.detach().clone() for p in ToyTask().model().parameters()]


def test_bfloat16_trains_and_resumes(folder):
    fit_toy(folder, epochs=1, precision="bf16-mixed")
    assert fit_toy(folder, epochs=2, precision="bf16-mixed", resume=True).summary.epochs_done == 2


# ---- signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_the_step_saves_and_says_so(folder, number, code):
    before = signal.getsignal(number)

    class Sends(ToySet):
        def sample(self, index, *, epoch, seed):
            if len(self.read) == 4 * 6 + 1:
                os.kill(os.getpid(), number)
            return super().sample(index, epoch=epoch, seed=seed)

    with pytest.raises(Interrupted) as caught:
        fit_toy(folder, data=Sends(), epochs=2)
    assert caught.value.exit_code == code
    assert checkpoints.newest(folder).state["place"]["step"] == 7
    run = read_run(folder.path)
    name = signal.Signals(number).name
    assert run.of("signal")[0]["name"] == name and run.of("stop")[0]["reason"] == name
    assert signal.getsignal(number) == before


def test_a_signal_during_validation_ends_it_at_once_and_loses_nothing(folder):
    def validate(model, epoch):
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("validation went on")

    with pytest.raises(Interrupted):
        fit_toy(folder, epochs=2, validate=validate)
    assert checkpoints.newest(folder).state["place"]["step"] == 12
    done = fit_toy(folder, epochs=2, resume=True)
    assert weights_hash(done.model) == weights_hash(fit_toy(RunFolder(folder.path.parent / "whole"), epochs=2).model)
    assert [line["epoch"] for line in read_run(folder.path).of("look")] == [1, 2]


def test_a_signal_during_a_save_lets_it_finish_and_a_second_sigint_does_not(folder, monkeypatch):
    real = checkpoints.save_file
    signals = [signal.SIGTERM]

    def save_file(tensors, path):
        for number in signals:
            os.kill(os.getpid(), number)
        real(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", save_file)
    with pytest.raises(Interrupted):
        fit_toy(folder, epochs=2, checkpoint_every_steps=3)
    assert [checkpoints.verify(path) for path in checkpoints.steps(folder)] == [None, None]
    signals[:] = [signal.SIGINT, signal.SIGINT]
    with pytest.raises(KeyboardInterrupt):
        fit_toy(folder, epochs=2, checkpoint_every_steps=3, resume=True)
    assert [checkpoints.verify(path) for path in checkpoints.steps(folder)] == [None, None]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_whole_process_group_is_one_orderly_end(tmp_path, number, code):
    """As from a keyboard or a scheduler: the workers get it too."""
    folder = RunFolder(tmp_path / "run")
    child = Child("--run", str(folder.path), "--workers", "2", "--sample-seconds", "0.02", "--group", "yes")
    while not folder.checkpoints.exists():
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(child.pid, number)
    found, output = child.wait()
    assert found == code, output
    assert "Traceback" not in output
    assert checkpoints.newest(folder) is not None


# ---- room


def test_a_full_disk_while_training_is_a_storage_error(folder, monkeypatch):
    real, calls = checkpoints.save_file, []

    def save_file(tensors, path):
        calls.append(path)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", save_file)
    with pytest.raises(StorageError):
        fit_toy(folder, epochs=2, checkpoint_every_steps=3)
    assert [checkpoints.verify(path) for path in checkpoints.steps(folder)] == [None, None]


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(folder):
    folder.path.mkdir()
    folder.checkpoints.write_text("a file where the folder should be")
    with pytest.raises(StorageError):
        check_room(folder, needed=1, keep=2)


# ---- progress


def test_plain_progress_is_one_line_an_epoch_without_control_characters(folder):
    lines = []
    fit_toy(folder, epochs=3, lines=lines)
    assert [line.split()[1] for line in lines[:3]] == ["1/3", "2/3", "3/3"]
    assert all("ETA" in line and "samples/s" in line and line.isprintable() for line in lines[:3])
    assert "all epochs done" in lines[3] and "best accuracy" in lines[3] and "s per epoch" in lines[3]
    logged = folder.train_log.read_text()
    assert all(line in logged for line in lines[:4])


def test_a_terminal_gets_a_bar_with_eta_and_a_pipe_does_not():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    shown = progress_for(stream)
    assert isinstance(shown, TerminalProgress)
    shown.start(total_steps=10, done_steps=5)
    shown.step(6, 0.25)
    shown.epoch("epoch 1/2 [x] done")
    shown.end("finished")
    text = stream.getvalue()
    assert "ETA" in text and "epoch 1/2 [x] done" in text and text.rstrip().endswith("finished")
    pipe = io.StringIO()
    plain = progress_for(pipe)
    assert isinstance(plain, PlainProgress)
    plain.start(total_steps=10, done_steps=5)
    plain.step(6, 0.25)
    plain.epoch("epoch 1/2")
    plain.end("")
    assert pipe.getvalue() == "epoch 1/2\n"


# ---- every option is read


@pytest.mark.parametrize(
    "chosen",
    [
        {"batch_size": 6},
        {"accumulate": 2},
        {"optimiser": "sgd"},
        {"decayed": "weights"},
        {"schedule": "linear"},
        {"schedule": "linear", "final_rate": 0.5},
        {"warmup_epochs": 1.0},
        {"warmup_bias_rate": 0.1},
        {"warmup_momentum": 0.5},
        {"learning_rate": 0.01},
        {"weight_decay": 0.9},
        {"momentum": 0.5},
        {"schedule": "constant"},
        {"schedule": "step", "step_every": 1},
        {"schedule": "step", "step_every": 1, "step_factor": 0.5},
        {"warmup_steps": 7},
        {"clip_norm": 0.01},
        {"precision": "bf16-mixed"},
        {"precision": "16-mixed"},
        {"drop_remainder": False},
        {"seed": 1},
        {"unfreeze": ((2, "body"),)},
    ],
)
def test_each_option_changes_the_weights(tmp_path, chosen):
    base = {"epochs": 2, "samples": 46}
    plain = weights_hash(fit_toy(RunFolder(tmp_path / "plain"), **base).model)
    changed = weights_hash(fit_toy(RunFolder(tmp_path / "changed"), **base, **chosen).model)
    assert changed != plain

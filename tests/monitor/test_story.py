"""What lines say: terms, scores, steps, pace; segments after a resume."""

from __future__ import annotations

import pytest

from monitor.writing import epochs, start, step, told, validate
from veritrain.monitor.story import Story, utc_seconds
from veritrain.record import RecordWriter, RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def timed(*steps, epoch=1):
    """A story of steps done at these seconds."""
    story = Story()
    story.feed({"event": "start", "t_mono": 0.0, "step": None, "epoch": None})
    for number, at in enumerate(steps, start=1):
        line = {"event": "term", "name": "a", "value": 1.0, "weight": 1.0, "n": 8, "t_mono": at}
        story.feed({**line, "step": number, "epoch": epoch})
        story.feed({**line, "name": "b", "step": number, "epoch": epoch})
    return story


def test_terms_stay_unweighted_beside_their_weights(folder):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6, 0.7))
    story = told(folder)
    assert story.terms["point"].weight == 2.0 and set(story.terms["point"].values.values()) == {0.1}
    assert story.terms["frame"].values[4] == 0.25 and len(story.terms["frame"].values) == 8
    assert (story.step, story.epoch, story.epochs, story.total_steps) == (8, 2, 2, 8)
    assert story.scores["val", "frame_auroc"] == {1: 0.6, 2: 0.7}


def test_an_older_record_without_a_plan_tells_the_length_of_an_epoch_at_its_end(folder):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly", claims=[])
        step(writer, 1, 1)
        step(writer, 2, 1)
    assert told(folder).planned_steps(5) is None
    with RecordWriter(folder) as writer:
        validate(writer, 2, 1, auroc=0.5)
    assert told(folder).planned_steps(5) == 10 and told(folder).planned_steps(None) is None


def test_a_resume_forgets_the_steps_that_are_done_again(folder):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6,))
        for number in (5, 6, 7):
            step(writer, number, 2, frame=9.0)
    with RecordWriter(folder) as writer:
        start(writer, resumed=True)
        writer.event("resume", step=4, epoch=1, checkpoint="step-00000004", unfinished_saves=[])
        step(writer, 5, 2, frame=0.2)
    story = told(folder)
    assert story.segments == 2 and story.step == 5
    assert story.terms["frame"].values == {1: 1.0, 2: 0.5, 3: pytest.approx(1 / 3), 4: 0.25, 5: 0.2}
    assert story.scores["val", "frame_auroc"] == {1: 0.6} and len(story.marks) == 1


def balance(step, *, losses=(0.5, 2.0), weights=(1.25, 0.75), cosine=-0.1):
    fields = {"losses": losses, "weights": weights, "loss_ratios": (1.1, 0.9), "grad_norms": (3.0, 0.2)}
    named = {name: dict(zip(("detection", "view"), values, strict=True)) for name, values in fields.items()}
    return {"event": "balance", "step": step, "epoch": 1, "name": "gradnorm", **named, "cosines": {"d|v": cosine}}


def test_tasks_have_their_losses_by_step_and_the_newest_of_the_rest():
    story = Story()
    assert (story.balancer, story.measured, story.tasks, story.cosines) == (None, None, {}, {})
    story.feed(balance(1))
    story.feed(balance(10, losses=(0.4, None), weights=(1.5, 0.5), cosine=None))
    assert story.balancer == "gradnorm" and story.measured == 10 and story.cosines == {"d|v": None}
    detection, view = story.tasks["detection"], story.tasks["view"]
    assert detection.losses == {1: 0.5, 10: 0.4} and view.losses == {1: 2.0, 10: None}
    assert (detection.weight, detection.ratio, detection.norm, view.weight) == (1.5, 1.1, 3.0, 0.5)
    story.feed({"event": "resume", "step": 5, "epoch": 1})
    assert detection.losses == {1: 0.5}
    story.feed({"event": "balance", "step": None, "epoch": None})
    story.feed({"event": "balance", "step": 6, "epoch": 1})
    assert story.measured == 6 and story.balancer == "unnamed" and story.cosines == {}


def test_the_rate_is_that_of_the_newest_steps():
    slow_then_fast = [10.0 * n for n in range(1, 11)] + [100.0 + n for n in range(1, 41)]
    assert timed(*slow_then_fast).seconds_per_step() == pytest.approx(1.0)
    assert timed(1.0, 2.0, 3.0).seconds_per_step() is None, "two intervals tell no rate"


def test_a_validation_between_two_steps_is_no_step():
    story = timed(1.0, 2.0, 3.0, 4.0)
    story.feed({"event": "metric", "name": "loss", "split": "train", "value": 1.0, "step": 4, "epoch": 1, "t_mono": 4})
    story.feed({"event": "metric", "name": "ap", "split": "val", "value": 1.0, "step": 4, "epoch": 1, "t_mono": 64.0})
    for number in (5, 6, 7):
        line = {"event": "term", "name": "a", "value": 1.0, "weight": 1.0, "n": 8}
        story.feed({**line, "step": number, "epoch": 2, "t_mono": 60.0 + number})
    assert story.seconds_per_step() == pytest.approx(1.0) and story.validations == [60.0]


def test_what_was_not_finite_is_none(folder):
    with RecordWriter(folder) as writer:
        start(writer)
        step(writer, 1, 1, frame=float("nan"))
    story = told(folder)
    assert story.terms["frame"].values == {1: None} and len(story.nonfinite) == 1


def test_an_event_that_nobody_knows_does_no_harm():
    story = Story()
    story.feed({"event": "surprise", "step": 1, "epoch": 1, "t_mono": 1.0})
    story.feed({"event": "__init__", "step": 1, "epoch": 1})
    assert story.step is None and story.last is not None


@pytest.mark.parametrize("value", [None, 5, "yesterday"])
def test_a_time_that_is_none(value):
    assert utc_seconds(value) is None
    assert utc_seconds("1970-01-01T00:01:00.000+00:00") == 60.0

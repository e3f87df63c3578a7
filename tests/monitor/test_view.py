"""What a look at a run gathers: rows, chance, best, ETA; unknown is None."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.test_story import balance, timed
from monitor.writing import epochs, step, told
from veritrain.monitor.story import Story
from veritrain.monitor.view import balance_rows, buckets, chance_of, higher_is_better, pace_of, score_rows, term_rows
from veritrain.record import RecordWriter, RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def test_a_term_is_the_mean_of_its_newest_steps_and_says_when_the_last_was_not_finite(folder):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.5,), steps=40)
    frame, point = term_rows(told(folder))
    assert frame.value == pytest.approx(sum(1 / n for n in range(21, 41)) / 20) and frame.finite
    assert (point.value, point.weight, len(point.course)) == (pytest.approx(0.1), 2.0, 40)
    with RecordWriter(folder) as writer:
        step(writer, 41, 2, frame=float("nan"))
    frame = term_rows(told(folder))[0]
    assert not frame.finite and frame.value == pytest.approx(sum(1 / n for n in range(22, 41)) / 19)


def test_a_task_is_the_mean_of_what_was_measured_within_the_newest_steps():
    story = Story()
    assert balance_rows(story) is None
    for at, loss in ((1, 9.0), (10, 3.0), (20, 2.0), (30, 1.0)):
        story.feed(balance(at, losses=(loss, None), cosine=0.25))
    rows = balance_rows(story)
    assert (rows.balancer, rows.step, rows.cosines) == ("gradnorm", 30, (("d", "v", 0.25),))
    detection, view = rows.tasks
    assert detection.loss == pytest.approx(1.5), "steps 11 to 30"
    assert detection.course == (9.0, 3.0, 2.0, 1.0) and (detection.name, detection.weight) == ("detection", 1.25)
    assert view.loss is None and view.course == (None,) * 4 and view.norm == 0.2


def test_scores_stand_against_chance_with_the_first_best_epoch(folder):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6, 0.8, 0.8, 0.7))
    first, second = score_rows(told(folder), None)
    assert (first.name, first.value, first.epoch, first.chance) == ("frame_auroc", 0.7, 4, 0.5)
    assert (first.best, first.best_epoch, first.headline) == (0.8, 2, True)
    assert (second.name, second.chance, second.headline) == ("frame_ap", None, False)


def test_an_undefined_score_is_never_the_best(folder):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(float("nan"), float("nan")))
    row = score_rows(told(folder), None)[0]
    assert (row.value, row.best, row.best_epoch) == (None, None, None)


def test_the_chance_of_a_test_score_is_that_of_the_results():
    results = {"metrics": {"frame_ap": {"chance": 0.46}, "frame_auroc": {"chance": None}}}
    assert chance_of("frame_ap", "test", results) == 0.46
    assert chance_of("frame_ap", "val", results) is None, "validation has other labels"
    assert chance_of("frame_auroc", "test", results) == 0.5 == chance_of("auroc", "val", None)
    assert chance_of("accuracy", "val", None) is None


def test_which_direction_is_better():
    assert higher_is_better("frame_auroc") and higher_is_better("map_50") and higher_is_better("point_ap")
    assert higher_is_better("frame_fpr95") is False and higher_is_better("rmse") is False
    assert higher_is_better("surprise") is None
    assert higher_is_better("surprise", {"higher_is_better": False}) is False


def planned(story, total=100, epochs=10):
    story.epochs, story.total_steps = epochs, total
    return story


def test_the_eta_is_the_newest_rate_and_the_validations_to_come():
    story = planned(timed(*[10.0 * n for n in range(1, 11)], *[100.0 + n for n in range(1, 41)]))
    assert pace_of(story, {}, silence=0.0).left == pytest.approx(50.0), "50 steps of a second; the mean of all is 2.8"
    story.validations = [3.0]
    assert pace_of(story, {}, silence=0.0).left == pytest.approx(50.0 + 10 * 3.0)
    assert pace_of(story, {}, silence=5.0).left == pytest.approx(75.0)


def test_a_time_budget_ends_it_earlier():
    story = planned(timed(*map(float, range(1, 11))))
    pace = pace_of(story, {"max_seconds": 30.0}, silence=0.0)
    assert pace.left == pytest.approx(20.0) and pace.limited_by == "time"
    assert pace_of(story, {"max_seconds": 1000.0}, silence=0.0).limited_by == "steps"
    assert pace_of(story, {"max_seconds": 0.0}, silence=0.0).left == pytest.approx(90.0)


def test_what_is_not_known_is_none_and_says_why():
    assert pace_of(Story(), {}, silence=None).left is None
    assert pace_of(timed(1.0, 2.0), {"epochs": 3}, silence=None).left_unknown == "the number of steps is not known yet"
    few = pace_of(planned(timed(1.0, 2.0)), {}, silence=None)
    assert (few.left, few.left_unknown, few.samples_per_second) == (None, "too few steps so far", None)


def test_samples_per_second_are_a_batch_by_the_newest_steps_else_as_recorded():
    story = timed(1.0, 2.0, 3.0, 4.0, 5.0)
    assert pace_of(story, {"batch_size": 6, "accumulate": 2}, silence=None).samples_per_second == pytest.approx(12.0)
    assert pace_of(story, {}, silence=None).samples_per_second == pytest.approx(8.0)
    assert pace_of(story, {}, silence=None).waiting is None
    few = timed(1.0, 2.0)
    for one in (story, few):
        one.feed({"event": "throughput", "step": 5, "epoch": 1, "samples_per_s": 99.0, "data_wait_share": 0.4})
    pace = pace_of(story, {"batch_size": 6}, silence=None)
    assert (pace.samples_per_second, pace.waiting) == (pytest.approx(6.0), 0.4)
    assert pace_of(few, {"batch_size": 6}, silence=None).samples_per_second == 99.0


@given(
    course=st.lists(st.none() | st.floats(-1e6, 1e6), max_size=200),
    width=st.integers(min_value=0, max_value=60),
)
def test_buckets_are_as_many_as_fit_and_lie_between_what_is_in_them(course, width):
    parts = buckets(course, width)
    assert len(parts) == min(width, len(course))
    known = [value for value in course if value is not None]
    assert all(part is None or min(known) - 1e-6 <= part <= max(known) + 1e-6 for part in parts)
    if width >= len(course):
        assert parts == course

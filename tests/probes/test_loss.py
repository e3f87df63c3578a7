"""Does the loss read labels, what does a constant reach, can a network fit: on planted losses and labels."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from math import log

import pytest
import torch

from probes.finished_run import finished_run, trained_network
from tiny_street import VIEWS, tiny_frame
from veritrain.data.frames import FrameSet
from veritrain.data.sample import Frame
from veritrain.probes.loss import (
    BestConstantLoss,
    LossUnderFlippedLabels,
    LossWithoutLaterBoxes,
    OneBatchOverfit,
    _balanced_batch,
    _first_of_each,
)

TERMS = {"frame", "point", "pixel"}


@pytest.mark.parametrize("loss", ["bce", "focal"])
def test_a_loss_that_reads_labels_changes_with_them(tmp_path, loss):
    found = LossUnderFlippedLabels().values(finished_run(tmp_path, loss=loss, trained=False))
    assert set(found["relative_change"]) == TERMS and found["total_reads_labels"]
    assert all(change > 0.05 for change in found["relative_change"].values())


def test_the_loss_of_report_000_changes_by_exactly_nothing(tmp_path):
    found = LossUnderFlippedLabels().values(finished_run(tmp_path, loss="origin000", trained=False))
    assert found == {"relative_change": dict.fromkeys(TERMS, 0.0), "total_reads_labels": False}


def test_one_blind_term_is_seen_beside_two_that_read(tmp_path):
    run = finished_run(tmp_path, trained=False)

    class HalfBlind(type(run.task)):
        def losses(self, output, batch):
            return {**super().losses(output, batch), "pixel": output["pixel"].square().flatten(1).mean(1)}

    found = LossUnderFlippedLabels().values(replace(run, task=HalfBlind(**vars(run.task))))
    assert [name for name, change in found["relative_change"].items() if change == 0] == ["pixel"]
    assert found["total_reads_labels"]


def test_the_first_box_of_each_image_is_kept():
    """Images 0 and 2 have boxes, image 1 has none; rows of an image need not follow each other."""
    targets = torch.tensor([[2.0, 5.0], [0.0, 1.0], [2.0, 6.0], [0.0, 2.0], [2.0, 7.0]])
    assert _first_of_each(targets).tolist() == [[2.0, 5.0], [0.0, 1.0]]
    assert _first_of_each(targets[:0]).shape == (0, 2)


def test_a_task_without_boxes_has_no_later_ones(tmp_path):
    found = LossWithoutLaterBoxes().values(finished_run(tmp_path, trained=False))
    assert found == {"looked_at": 0, "images": 0, "boxes": 0, "dropped": 0, "relative_change": {}}


def floor_of(losses_of, rate: float) -> float:
    """Lowest mean loss of one probability for all, by a fine search."""
    p = torch.linspace(1e-4, 1 - 1e-4, 20_000, dtype=torch.float64)
    positive, negative = losses_of(p)
    return float((rate * positive + (1 - rate) * negative).min())


@pytest.mark.parametrize("w", [0.3, 2.0, 7.0, 20.0])
def test_the_best_constant_is_the_closed_form_of_weighted_cross_entropy(tmp_path, w):
    """Weight w, prevalence q: p* = wq / (wq + 1 - q), loss -(wq log p* + (1 - q) log(1 - p*))."""
    run = finished_run(tmp_path)
    task = replace(run.task, pos_weights={"frame": w, "point": 1.0, "pixel": 1.0})
    found = BestConstantLoss().values(replace(run, task=task))
    assert found["samples"] == 36
    q = sum(frame.frame_label for frame in run.train.frames) / 36
    p = w * q / (w * q + 1 - q)
    closed = -(w * q * log(p) + (1 - q) * log(1 - p))
    assert closed - 1e-6 <= found["terms"]["frame"]["constant"] <= closed * 1.02
    assert floor_of(lambda p: (-w * p.log(), -(1 - p).log()), q) == pytest.approx(closed, abs=1e-4)


def test_the_best_constant_of_focal_loss_is_its_minimum(tmp_path):
    run = finished_run(tmp_path, loss="focal", trained=False)
    q, w = sum(frame.frame_label for frame in run.train.frames) / 36, run.task.pos_weights["frame"]
    minimum = floor_of(lambda p: (-w * (1 - p) ** 2 * p.log(), -(p**2) * (1 - p).log()), q)
    assert minimum - 1e-6 <= BestConstantLoss().values(run)["terms"]["frame"]["constant"] <= minimum + 0.01


def test_training_goes_below_the_constant_and_no_training_does_not(tmp_path):
    trained = BestConstantLoss().values(finished_run(tmp_path))
    fresh = BestConstantLoss().values(finished_run(tmp_path, trained=False))
    assert trained["trained_total"] < 0.7 * trained["constant_total"]
    assert fresh["trained_total"] >= fresh["constant_total"]
    assert fresh["constant_total"] == pytest.approx(trained["constant_total"])


def test_a_constant_satisfies_the_loss_of_report_000(tmp_path):
    found = BestConstantLoss().values(finished_run(tmp_path, loss="origin000", trained=False))
    assert found["constant_total"] < 1e-4 < found["trained_total"]


def test_totals_are_weighted_sums_of_the_terms(tmp_path):
    run = finished_run(tmp_path)
    task = replace(run.task, term_weights={"frame": 3.0, "point": 0.5, "pixel": 0.0})
    found = BestConstantLoss().values(replace(run, task=task))
    for which in ("trained", "constant"):
        terms = {name: term[which] for name, term in found["terms"].items()}
        assert found[f"{which}_total"] == pytest.approx(3.0 * terms["frame"] + 0.5 * terms["point"])


def test_a_fresh_network_fits_one_batch(tmp_path):
    found = OneBatchOverfit().values(finished_run(tmp_path, trained=False))
    assert found["last_loss"] <= 0.1 * found["first_loss"] and found["steps"] <= OneBatchOverfit.steps
    assert set(found["scores"]) >= {"frame_auroc", "point_ap"}


def test_a_network_that_starts_from_a_file_is_fitted_from_scratch(tmp_path, monkeypatch):
    """Its loss on the batch may be low already, and could then not fall by 90 %."""
    run = finished_run(tmp_path, trained=False)
    monkeypatch.setattr(OneBatchOverfit, "steps", 2)

    class Trained(type(run.task)):
        def model(self):
            return deepcopy(trained_network())

    class Started(Trained):
        def from_scratch(self):
            return run.task

    known, started = (replace(run, task=kind(**vars(run.task))) for kind in (Trained, Started))
    found = OneBatchOverfit().values(started)
    assert found == OneBatchOverfit().values(run)
    assert OneBatchOverfit().values(known)["first_loss"] < 0.7 * found["first_loss"], "the planted start does know"


def test_the_batch_holds_both_classes(tmp_path):
    run = finished_run(tmp_path, trained=False)
    seen = []

    class Watched(type(run.train)):
        def collate(self, samples):
            seen.append([float(sample["frame_label"]) for sample in samples])
            return super().collate(samples)

    OneBatchOverfit().values(replace(run, train=Watched(run.train.frames, VIEWS)))
    assert seen == [[1.0] * 4 + [0.0] * 4]


def test_the_batch_holds_the_kinds_that_the_task_names(tmp_path):
    run = finished_run(tmp_path, trained=False)

    class FourKinds(type(run.task)):
        sample_kinds = (0.0, 1.0, 2.0, 3.0)

        def kind_of(self, sample):
            return float(sample["index"] % 5)

    batch = _balanced_batch(replace(run, task=FourKinds(**vars(run.task))), 8)
    assert (batch["index"] % 5).tolist() == [0, 0, 1, 1, 2, 2, 3, 3], "the fifth kind is nobody's"


def test_contradicting_labels_cannot_be_fitted(tmp_path):
    """Eight times the same frame, half of them labelled otherwise."""
    run = finished_run(tmp_path, trained=False)
    frame = tiny_frame("0", "town/a", anomalous=True, seed=1)
    other = Frame(
        **{
            **vars(frame),
            "frame_label": 0,
            "point_labels": abs(frame.point_labels - 1).clip(0, 1),
            "pixel_labels": abs(frame.pixel_labels - 1).clip(0, 1),
        }
    )
    found = OneBatchOverfit().values(replace(run, train=FrameSet([frame] * 4 + [other] * 4, VIEWS)))
    assert found["steps"] == OneBatchOverfit.steps and found["last_loss"] > 0.2 * found["first_loss"]

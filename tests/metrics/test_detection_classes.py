"""Classes with what stands behind them; what is detected of classes without an object is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metrics.made_boxes import made
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection_classes import class_report
from veritrain.metrics.detection_suite import DetectionSuite
from veritrain.metrics.vocabulary import Vocabulary

N = 8
NAMES = Vocabulary(("ship", "dam", "airport", "vehicle"), ("dam", "vehicle"))


def test_every_class_is_in_one_of_both_lists_with_its_counts():
    detections, truths = made(7)
    suite = DetectionSuite(detections, truths, N, NAMES)
    report = class_report(suite, threshold=0.5)
    assert [row.name for row in report.present] == ["ship", "dam", "airport"]
    for cls, row in enumerate(report.present):
        own, found = truths.classes == cls, detections.classes == cls
        assert (row.objects, row.images) == (own.sum(), len(set(truths.images[own])))
        assert row.detections == found.sum() and row.called == (found & (detections.scores >= 0.5)).sum()
        assert row.scores["map_50"] == suite.per_class("map_50")[cls] and row.novel == (row.name == "dam")
    (absent,) = report.absent
    found = detections.classes == 3
    assert absent.name == "vehicle" and absent.false_alarms == found.sum() > 10 and absent.novel
    assert absent.called == (found & (detections.scores >= 0.5)).sum()
    assert absent.surest == detections.scores[found].max() and absent.images == len(set(detections.images[found]))
    told = report.as_json()
    assert told["false_alarms_of_absent"] == absent.false_alarms and told["present"][0]["name"] == "ship"


def test_false_alarms_of_absent_classes_move_no_mean_and_are_told():
    """The trap that this list is for: a second detector with 500 more false alarms has the same score."""
    detections, truths = made(3)
    rng = np.random.default_rng(0)
    more = Detections(
        np.r_[detections.images, rng.integers(0, N, 500)],
        np.r_[detections.boxes, np.tile([0.0, 0, 9, 9], (500, 1))],
        np.r_[detections.scores, rng.random(500)],
        np.r_[detections.classes, np.full(500, 3)],
    )
    few, many = (DetectionSuite(one, truths, N, NAMES) for one in (detections, more))
    assert few.value("map_50") == many.value("map_50")
    assert class_report(many).absent[0].false_alarms == class_report(few).absent[0].false_alarms + 500
    assert class_report(many).absent[0].called is None, "without a threshold nothing is called"


def test_detections_on_a_crowd_of_an_absent_class_are_no_false_alarms():
    boxes = np.array([[0.0, 0, 100, 100], [10.0, 10, 20, 20]])
    truths = Truths([0, 0], boxes, [0, 1], crowds=np.array([False, True]))
    detections = Detections([0, 0, 0], [boxes[1], boxes[1] + 1, boxes[1] + 300], [0.9, 0.8, 0.7], [1, 1, 1])
    (absent,) = class_report(DetectionSuite(detections, truths, 1, Vocabulary(("a", "b")))).absent
    assert (absent.false_alarms, absent.ignored, absent.surest) == (1, 2, 0.7)


def test_classes_of_which_nothing_is_detected_are_named():
    detections, truths = made(3)
    silent = detections.taken(detections.classes != 1)
    report = class_report(DetectionSuite(silent, truths, N, NAMES))
    assert report.undetected == ("dam",) and report.present[1].scores["map_50"] == 0.0
    nothing = replace(report, present=(), absent=())
    assert nothing.as_json()["false_alarms_of_absent"] == 0

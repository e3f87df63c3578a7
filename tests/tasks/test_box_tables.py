"""The tables of boxes: values, classes, weights, chance, known answers, and predictions there and back."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.made_scan import VALVES, scan
from veritrain.errors import UsageError
from veritrain.metrics.detection import detection_scores
from veritrain.metrics.matching import match_detections
from veritrain.metrics.operating_point import counts_at
from veritrain.tasks.box_tables import BoxTables, as_predictions, detections_of, known_box_answers, truths_of
from veritrain.tasks.constant_boxes import ConstantBoxes


@pytest.fixture(scope="module")
def scanned():
    return scan(0)


def tables_of(scanned, **options) -> BoxTables:
    return BoxTables.of(*scanned, VALVES, **options)


def test_values_are_those_of_the_matched_set(scanned):
    predictions, groups = scanned
    tables = tables_of(scanned, threshold=0.5)
    table = match_detections(detections_of(predictions), truths_of(predictions), len(groups), 2)
    expected = detection_scores(table)
    assert (tables.value("map"), tables.value("map_50")) == pytest.approx((expected.map, expected.map_50))
    assert tables.as_coco() == expected, "no score ties, so both rules agree"
    for cls, name in enumerate(VALVES):
        assert tables.value(f"map_50:{name}") == pytest.approx(expected.per_class_50[cls])
    rates = counts_at(table, 0.5).rates()
    for metric in ("precision", "recall", "f1"):
        assert tables.value(metric) == pytest.approx(getattr(rates, metric)[0].mean())
        assert tables.value(f"{metric}:MR") == pytest.approx(getattr(rates, metric)[0, 1])
    truths = truths_of(predictions)
    assert tables.counts("map") == (len(groups), len(truths))
    assert tables.counts("f1:AR") == (len(groups), (truths.classes == 0).sum())


def test_rates_need_a_threshold_and_an_own_one_is_used(scanned):
    assert tables_of(scanned).metrics == ("map", "map_50")
    with pytest.raises(UsageError, match="threshold"):
        tables_of(scanned).value("f1")
    predictions, groups = scanned
    own = {**predictions, "box_threshold": np.array([0.3])}
    assert BoxTables.of(own, groups, VALVES, threshold=0.5).value("f1") == tables_of(scanned, threshold=0.3).value("f1")
    assert BoxTables.of(own, groups, VALVES).metrics == ("map", "map_50"), "validation has no rates yet"


def test_the_best_threshold_is_the_one_with_the_best_mean_f1(scanned):
    best = tables_of(scanned).best_threshold()
    assert tables_of(scanned, threshold=best.threshold).value("f1") == pytest.approx(best.mean_f1)
    for other in (0.2, 0.5, 0.9):
        assert tables_of(scanned, threshold=other).value("f1") <= best.mean_f1


@pytest.mark.parametrize("metric", ["map", "map_50", "map_50:AR", "f1", "precision:MR"])
def test_a_group_left_out_is_as_if_it_were_not_there(scanned, metric):
    predictions, groups = scanned
    tables = tables_of(scanned, threshold=0.5)
    kept = np.array(groups) != "p03"
    weights = np.ones((1, 12), int)
    weights[0, 3] = 0
    rest = frames_of(predictions, kept)
    expected = BoxTables.of(rest, np.array(groups)[kept], VALVES, threshold=0.5).value(metric)
    assert tables.under(weights, metric)[0] == pytest.approx(expected)
    assert expected != tables.value(metric)


def frames_of(predictions, kept: np.ndarray):
    """Predictions on some of the frames."""
    parts = {
        "box_counts": ("boxes", "box_scores", "box_classes"),
        "truth_counts": ("truth_boxes", "truth_classes"),
    }
    out = {}
    for counts, keys in parts.items():
        out[counts] = predictions[counts][kept]
        own = np.repeat(kept, predictions[counts])
        out |= {key: predictions[key][own] for key in keys}
    return out


def test_strata_tell_which_groups_hold_an_object(scanned):
    predictions, groups = scanned
    truths = truths_of(predictions)
    for metric, own in (("map", truths.classes >= 0), ("map:AR", truths.classes == 0)):
        held = set(np.array(groups)[truths.images[own]])
        assert tables_of(scanned).strata(metric).tolist() == [name in held for name in np.unique(groups)]


def test_the_order_of_the_frames_does_not_matter_to_one_that_says_the_same(scanned):
    """As it would where equal scores are taken in the order of the images."""
    predictions, groups = scanned
    truths = truths_of(predictions)
    baseline = ConstantBoxes.fit(truths, len(groups), 2).predict(len(groups))
    same = as_predictions(baseline, predictions)
    back = frames_of(same, np.ones(len(groups), bool))
    order = np.argsort(predictions["truth_counts"], kind="stable")
    moved = frames_reordered(back, order)
    first, second = (BoxTables.of(one, groups, VALVES) for one in (back, moved))
    assert first.value("map_50") == pytest.approx(second.value("map_50"), abs=1e-12)
    assert first.as_coco().map_50 != pytest.approx(second.as_coco().map_50, abs=1e-3)


def frames_reordered(predictions, order: np.ndarray):
    parts = [frames_of(predictions, np.arange(len(order)) == k) for k in order]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def test_predictions_hold_boxes_image_after_image(scanned):
    predictions, _ = scanned
    assert predictions["box_counts"].sum() == len(predictions["boxes"]) == len(predictions["box_scores"])
    again = as_predictions(detections_of(predictions), predictions, threshold=0.4)
    for key in ("box_counts", "boxes", "box_scores", "box_classes", "truth_boxes", "view_labels"):
        assert np.array_equal(again[key], predictions[key])
    assert again["box_threshold"].tolist() == [0.4]
    assert "box_threshold" not in as_predictions(detections_of(again), again), "another detector, another threshold"


def test_known_answers_have_their_known_scores(scanned):
    predictions, groups = scanned
    answers = known_box_answers(predictions)

    def score(one) -> float:
        return BoxTables.of(one, groups, VALVES).value("map_50")

    assert score(answers.perfect) == 1.0 == BoxTables.of(answers.perfect, groups, VALVES).value("map")
    assert score(answers.inverted) == pytest.approx(0.5, abs=0.03), "as many misses before as hits in all"
    assert score(answers.constant) == pytest.approx(0.5, abs=1e-9)
    drawn = [score(answers.random(seed)) for seed in range(40)]
    chance = BoxTables.of(answers.random(0), groups, VALVES).expected("map_50")
    assert abs(np.mean(drawn) - chance.value) < 4 * np.hypot(np.std(drawn) / 40**0.5, chance.standard_error)
    assert answers.about == {"objects": len(truths_of(predictions)), "misses": len(truths_of(predictions))}


def test_crowded_images_keep_their_perfect_score():
    boxes = np.arange(90)[:, None] * [10.0, 0, 10, 0] + [0.0, 0, 9, 9]
    crowd = {"truth_counts": np.array([90]), "truth_boxes": boxes, "truth_classes": np.zeros(90, int)}
    answers = known_box_answers(crowd)
    assert answers.about["misses"] == 50
    assert BoxTables.of(answers.perfect, ["a"], ("x",)).value("map_50") == 1.0


def test_permuted_is_of_scores_over_all_classes(scanned):
    found = tables_of(scanned, threshold=0.5).permuted("f1")
    assert found.n_groups == 12 and found.n_permutations == 999 and found.p_value == 0.001
    assert tables_of(scanned).permuted("map_50").observed == pytest.approx(tables_of(scanned).value("map_50"))
    with pytest.raises(UsageError, match="one class"):
        tables_of(scanned).permuted("map_50:AR")


@pytest.mark.parametrize("metric", ["auroc", "map_50:XX", "map_75"])
def test_an_unknown_score_is_refused(scanned, metric):
    with pytest.raises(UsageError):
        tables_of(scanned).under(np.ones((1, 12)), metric)


def test_chance_of_rates_is_exact_and_of_precision_simulated(scanned):
    tables = tables_of(scanned, threshold=0.5)
    assert tables.expected("f1").standard_error == 0.0 < tables.expected("map_50").standard_error < 0.01
    for metric in (*tables.metrics, *tables.class_metrics):
        assert 0 < tables.chance(metric) < tables.value(metric), metric


NOVEL = ("MR",)


def parted(scanned, **options) -> BoxTables:
    return tables_of(scanned, novel=NOVEL, **options)


def test_parts_of_the_vocabulary_are_scored_beside_the_whole(scanned):
    tables = parted(scanned, threshold=0.5)
    assert tables.metrics[:4] == ("map", "map_base", "map_novel", "map_harmonic") and len(tables.metrics) == 20
    whole = tables_of(scanned, threshold=0.5)
    for metric in ("map", "map_50", "precision", "recall", "f1"):
        base, novel = (whole.value(f"{metric}:{name}") for name in VALVES)
        assert tables.value(metric) == whole.value(metric)
        assert (tables.value(f"{metric}_base"), tables.value(f"{metric}_novel")) == (base, novel)
        assert tables.value(f"{metric}_harmonic") == pytest.approx(2 * base * novel / (base + novel))
    assert tables.class_metrics == whole.class_metrics
    truths = truths_of(scanned[0])
    assert tables.counts("map_novel")[1] == (truths.classes == 1).sum()
    assert tables.counts("map_harmonic")[1] == len(truths)
    assert np.array_equal(tables.strata("map_harmonic"), whole.strata("map:MR"))


def test_chance_of_parts_is_that_of_their_classes(scanned):
    tables = parted(scanned, threshold=0.5)
    base, novel = (tables.expected(f"map_50:{name}").value for name in VALVES)
    assert (tables.chance("map_50_base"), tables.chance("map_50_novel")) == (base, novel)
    assert tables.chance("map_50_harmonic") == pytest.approx(2 * base * novel / (base + novel))
    assert 0 < tables.chance("f1_harmonic") < tables.value("f1_harmonic")


def test_the_permutation_test_of_a_part_is_about_its_classes(scanned):
    predictions, groups = scanned
    tables = parted(scanned)
    found = tables.permuted("map_50_novel")
    assert found.observed == pytest.approx(tables.value("map_50_novel")) and found.p_value < 0.05
    harmonic = tables.permuted("map_50_harmonic")
    assert harmonic.observed == pytest.approx(tables.value("map_50_harmonic")) and harmonic.p_value < 0.05
    blind = {**predictions, "boxes": predictions["boxes"] + (predictions["box_classes"] == 1)[:, None] * 5000.0}
    lost = BoxTables.of(blind, groups, VALVES, novel=NOVEL)
    assert lost.permuted("map_50_novel").p_value > 0.5 > lost.permuted("map_50_base").p_value


def test_a_class_has_no_part_and_parts_need_novel_classes(scanned):
    for metric in ("map_50_novel:MR", "map_50_seen"):
        with pytest.raises(UsageError):
            parted(scanned).value(metric)
    with pytest.raises(UsageError):
        tables_of(scanned).value("map_50_novel")
    assert tables_of(scanned, max_detections=1).beyond_limit.unreachable > 0
    assert tables_of(scanned).beyond_limit.unreachable == 0

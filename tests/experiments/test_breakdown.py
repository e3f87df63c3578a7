"""Each kind against the same negatives: as scikit-learn scores the part, with an interval where groups allow one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from veritrain.data.sample import FrameKey
from veritrain.experiments.breakdown import AgainstNormal, broken_down, kind_families, size_families
from veritrain.experiments.evaluation import open_source
from veritrain.tasks.baselines import constant_like

N, GROUPS = 60, 12
PER_FRAME = 90


def made(seed: int = 0, *, decimals: int = 2) -> tuple[dict, list[str], np.ndarray]:
    """Predictions over 60 frames of 12 groups, half of them anomalous in two kinds; tied scores, unknown labels."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(GROUPS), N // GROUPS)
    anomalous = (groups % 2 == 0) & (np.arange(N) % 5 > 0)
    kind = np.where(groups < 8, "near", "far")
    counts = np.full(N, PER_FRAME)
    sample = np.repeat(np.arange(N), counts)
    labels = np.where(anomalous[sample] & (rng.random(sample.size) < 0.1), 1, 0)
    labels[rng.random(sample.size) < 0.05] = -1
    scores = rng.random(sample.size) + 0.4 * (labels == 1)
    return (
        {
            "frame_labels": anomalous.astype(np.int8),
            "frame_scores": (rng.random(N) + 0.3 * anomalous).round(decimals).astype(np.float32),
            "point_labels": labels.astype(np.int8),
            "point_scores": scores.round(decimals).astype(np.float32),
            "point_ids": np.where(labels == 1, 30, rng.choice([1, 14], sample.size)).astype(np.int32),
            "point_counts": counts,
        },
        [f"town/{group:02d}" for group in groups],
        kind,
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_kind_scores_as_the_part_of_the_split_it_is(seed):
    predictions, groups, kind = made(seed)
    mask = (predictions["frame_labels"] == 1) & (kind == "near")
    entry = broken_down({"distance": {"near": mask}}, predictions, {}, groups)["near"]
    sample = np.repeat(np.arange(N), PER_FRAME)
    labels, scores = predictions["point_labels"], predictions["point_scores"]
    kept = (labels == 0) | ((labels == 1) & mask[sample])
    assert entry["point_ap"] == pytest.approx(average_precision_score(labels[kept], scores[kept]), abs=1e-12)
    on_object = kept & np.isin(predictions["point_ids"], [14, 30])
    expected = roc_auc_score(labels[on_object], scores[on_object])
    assert entry["object_point_auroc"] == pytest.approx(expected, abs=1e-12)
    frames = mask | (predictions["frame_labels"] == 0)
    expected = roc_auc_score(predictions["frame_labels"][frames], predictions["frame_scores"][frames])
    assert entry["frame_auroc"] == pytest.approx(expected, abs=1e-12)
    assert entry["family"] == "distance" and entry["positives"] == mask.sum() and entry["groups"] == 4
    assert entry["point_ap_positives"] == (labels[kept] == 1).sum()
    for name in ("frame_auroc", "point_ap", "object_point_auroc", "object_point_ap"):
        low, high = entry[f"{name}_ci95"]
        assert 0 <= low < entry[name] < high <= 1 and entry[f"{name}_no_interval"] is None
    assert "pixel_ap" not in entry, "there are no pixels"


def test_few_groups_have_no_interval_and_say_so():
    predictions, groups, kind = made()
    mask = (predictions["frame_labels"] == 1) & (kind == "far")
    entry = broken_down({"distance": {"far": mask}}, predictions, {}, groups)["far"]
    assert entry["groups"] == 2 and entry["point_ap"] is not None and entry["point_ap_ci95"] is None
    assert entry["point_ap_no_interval"] == "groups that hold it: 2, 4 needed"


def test_a_kind_without_a_return_is_undefined_not_zero():
    predictions, groups, _ = made()
    mask = np.zeros(N, bool)
    mask[1] = True
    predictions["point_labels"] = np.where(np.repeat(mask, PER_FRAME), 0, predictions["point_labels"])
    entry = broken_down({"size": {"0 returns": mask}}, predictions, {"prior": constant_like(predictions)}, groups)
    found = entry["0 returns"]
    for name in ("point_ap", "point_ap_chance", "point_ap_baseline", "point_ap_ci95", "point_ap_baseline_name"):
        assert found[name] is None
    assert found["frame_auroc"] is not None and found["point_ap_positives"] == 0


def test_the_best_baseline_stands_beside_each_score():
    predictions, groups, kind = made()
    inverted = {**predictions, "point_scores": 2 - predictions["point_scores"]}
    mask = (predictions["frame_labels"] == 1) & (kind == "near")
    baselines = {"inverted": inverted, "prior": constant_like(predictions)}
    entry = broken_down({"distance": {"near": mask}}, predictions, baselines, groups)["near"]
    assert entry["object_point_auroc_baseline_name"] == "prior" and entry["object_point_auroc_baseline"] == 0.5
    assert entry["object_point_auroc_chance"] == 0.5 and 0 < entry["point_ap_chance"] < 0.1


def test_many_scores_keep_their_exact_value_and_a_close_interval():
    """More scores than bins: the value stays exact; the interval of the binned scores holds it."""
    predictions, groups, _ = made(4, decimals=7)
    side = AgainstNormal({"model": predictions}, "point", np.unique(groups, return_inverse=True)[1], GROUPS)
    assert len(side._edges) < 600 < len(np.unique(predictions["point_scores"]))
    entry = side.entry(predictions["frame_labels"] == 1, ["ap"])["ap"]
    known = (predictions["point_labels"] >= 0) & ~(
        (predictions["point_labels"] == 1) & (np.repeat(predictions["frame_labels"], PER_FRAME) == 0)
    )
    expected = average_precision_score(predictions["point_labels"][known], predictions["point_scores"][known])
    assert entry["value"] == pytest.approx(expected, abs=1e-12)
    assert entry["ci95"][0] < expected < entry["ci95"][1]


def test_kinds_of_a_made_world_are_type_category_and_sensors(held):
    keys = held.data.keys["test"]
    needed = {key.group: "pair" for key in keys if key.kind == "static"}
    families = kind_families(keys, held.predictions, needed)
    anomalous = held.predictions["frame_labels"] == 1
    assert set(families) == {"scenario type", "category", "sensors needed (made world)"}
    for family in ("scenario type", "category"):
        assert np.array_equal(sum(mask.astype(int) for mask in families[family].values()) > 0, anomalous), family
    for place, frame in enumerate(held.data.sets["test"].frames):
        if anomalous[place]:
            category = next(name for name, mask in families["category"].items() if mask[place])
            assert (category == "behaviour") == (frame.kind == "sudden_braking")
            assert families["scenario type"][frame.kind][place]
    static = np.array([key.kind == "static" for key in keys])
    assert np.array_equal(families["sensors needed (made world)"]["seen by pair"], static & anomalous)
    assert kind_families(keys, held.predictions, {})["sensors needed (made world)"] == {}


def test_sizes_are_counted_and_every_anomalous_frame_has_one(held):
    keys = held.data.keys["test"]
    families = size_families(keys, held.predictions, open_source(held.recipe))
    anomalous = held.predictions["frame_labels"] == 1
    for family in ("anomalous returns in the frame", "anomalous pixels in the frame"):
        assert np.array_equal(sum(mask.astype(int) for mask in families[family].values()), anomalous.astype(int))
    for place, frame in enumerate(held.data.sets["test"].frames):
        count = int((frame.point_labels == 1).sum())
        names = [name for name, mask in families["anomalous returns in the frame"].items() if mask[place]]
        assert names == ([] if not anomalous[place] else [_expected(count)])
    stated = families["stated size"]
    static = anomalous & np.array([key.kind == "static" for key in keys])
    assert set(stated) <= {"stated small", "stated medium", "stated big"}
    assert np.array_equal(sum(mask.astype(int) for mask in stated.values()), static.astype(int))


def _expected(count: int) -> str:
    for low, high in ((0, 0), (1, 11), (12, 49), (50, 199), (200, 999)):
        if low <= count <= high:
            return "0 returns" if not high else f"{low} to {high} returns"
    return "1000 returns or more"


def test_no_anomaly_has_no_kind():
    predictions, groups, _ = made()
    normal = {**predictions, "frame_labels": np.zeros(N, np.int8)}
    keys = [FrameKey(id=f"{group}/{i}", group=group, kind="static", index=i) for i, group in enumerate(groups)]
    assert not any(kind_families(keys, normal, {}).values())

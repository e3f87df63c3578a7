"""The anomaly task with a network of the reports: a score of the frame alone, or one of each return it was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiny_street import VIEWS, batch_of, tiny_set
from veritrain.errors import ConfigError
from veritrain.models.options import FusionOptions
from veritrain.models.origin_facts import ORIGIN
from veritrain.tasks.anomaly import AnomalyTask, claims_of, flip_labels, label_keys_of, returns_scored
from veritrain.tasks.baselines import PositionMaps, constant_like
from veritrain.tasks.options import AnomalyRecipe


def task_of(model: str) -> AnomalyTask:
    keys = label_keys_of(model)
    return AnomalyTask(
        network=FusionOptions(),
        loss="bce",
        pos_weights=dict.fromkeys(keys, 2.0),
        term_weights=dict.fromkeys(keys, 1.0),
        claims=claims_of(model),
        model_name=model,
    )


@pytest.fixture(scope="module")
def data():
    return tiny_set(cloud=300)


def maps_of(data) -> PositionMaps:
    batch = batch_of(data)
    labels = [batch[key].numpy().astype(np.int8) for key in ("frame_label", "view_labels", "pixel_labels")]
    return PositionMaps.fit([frame.group for frame in data.frames], *labels)


def predictions_of(task: AnomalyTask, batch, logits: torch.Tensor | None = None) -> dict:
    torch.manual_seed(0)
    with torch.no_grad():
        output = task.model().eval()(batch)
    return task.predict(output if logits is None else {**output, "point": logits}, batch)


@pytest.mark.parametrize("model", [name for name in ORIGIN if name != "report001-voxelwise"])
def test_a_network_of_frames_claims_and_scores_frames_alone(model):
    task = task_of(model)
    assert [claim.metric for claim in task.claims] == ["frame_auroc"]
    assert set(task.term_weights) == {"frame"} and label_keys_of(model) == {"frame": "frame_label"}


def test_its_predictions_hold_no_other_level(data):
    task, batch = task_of("report001-lidar-only"), batch_of(data, range(6))
    found = predictions_of(task, batch)
    assert set(found) == {"index", "frame_scores", "frame_labels"}
    assert {name.split("_")[0] for name in (*task.score(found), *task.chance(found))} == {"frame"}
    for baseline in (constant_like(found), maps_of(data).predict([data.frames[i].group for i in range(6)], found)):
        assert set(baseline) == set(found) and set(task.score(baseline)) == set(task.score(found))
    assert returns_scored(found) is None


def test_the_fusion_detector_is_as_it_was():
    task = task_of("fusion")
    assert [claim.metric for claim in task.claims] == ["frame_auroc", "point_ap"]
    assert set(task.term_weights) == {"frame", "point", "pixel"}


def test_the_voxelwise_network_claims_returns(data):
    task = task_of("report001-voxelwise")
    assert [claim.metric for claim in task.claims] == ["point_ap"] and set(task.term_weights) == {"point"}
    batch = batch_of(data, range(4))
    terms = task.losses(task.model().train()(batch), batch)
    assert set(terms) == {"point"} and terms["point"].shape == (4,)


def test_its_loss_reads_the_labels_of_the_cloud_alone(data):
    task, batch = task_of("report001-voxelwise"), batch_of(data, range(4))
    logits = torch.linspace(-2, 2, batch["cloud"].shape[1]).repeat(4, 1)
    labels, p = batch["cloud_labels"].double(), logits.double().sigmoid()
    losses = torch.where(labels == 1, -2.0 * p.log(), -(1 - p).log())
    expected = [float(losses[k][labels[k] >= 0].mean()) for k in range(4)]
    found = task.losses({"point": logits}, batch)["point"]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    assert (task.losses({"point": logits}, flip_labels(batch))["point"] - found).abs().min() > 0.01
    hidden = {**batch, "cloud_labels": torch.full_like(batch["cloud_labels"], -1)}
    assert task.losses({"point": logits}, hidden)["point"].tolist() == [0] * 4
    assert not task.term_counts(hidden)["point"].any() and task.term_counts(batch)["point"].all()


@pytest.mark.parametrize("returns", [300, 10_000])
def test_scores_of_returns_stand_beside_the_returns_that_were_given(returns):
    data = tiny_set(cloud=returns)
    task, batch = task_of("report001-voxelwise"), batch_of(data, range(6))
    logits = torch.randn(batch["cloud_mask"].shape, generator=torch.Generator().manual_seed(1))
    found = predictions_of(task, batch, logits)
    counts = [min(returns, len(data.frames[k].points)) for k in range(6)]
    assert found["point_counts"].tolist() == counts and len(found["point_scores"]) == sum(counts)
    assert returns_scored(found) == {"scored": sum(counts), "of": sum(len(f.points) for f in data.frames[:6])}
    start = 0
    for k, count in enumerate(counts):
        part, frame = slice(start, start + count), data.frames[k]
        rows = found["point_rows"][part]
        assert np.array_equal(found["point_labels"][part], frame.point_labels[rows])
        assert np.array_equal(found["point_ids"][part], frame.point_ids[rows])
        assert np.allclose(found["point_scores"][part], logits[k, :count].sigmoid(), atol=1e-6)
        assert np.array_equal(found["point_cells"][part], batch["point_cells"][k].numpy()[rows])
        start += count


def test_a_cell_of_the_view_has_the_highest_of_its_returns(data):
    task, batch = task_of("report001-voxelwise"), batch_of(data, range(6))
    found = predictions_of(task, batch)
    assert found["view_scores"].shape == found["view_labels"].shape == (6, VIEWS.rows, VIEWS.columns)
    ends = np.cumsum(found["point_counts"])
    for k in range(6):
        part = slice(ends[k] - found["point_counts"][k], ends[k])
        cells, scores, labels = (found[f"point_{key}"][part] for key in ("cells", "scores", "labels"))
        view, given = found["view_scores"][k].reshape(-1), found["view_labels"][k].reshape(-1)
        for cell in range(VIEWS.rows * VIEWS.columns):
            inside = cells == cell
            assert given[cell] == (labels[inside].max() if inside.any() else -1)
            assert view[cell] == (scores[inside].max() if inside.any() else 0)


def test_its_baselines_score_the_same_returns(data):
    task, batch = task_of("report001-voxelwise"), batch_of(data, range(6))
    found = predictions_of(task, batch)
    guess = maps_of(data).predict([data.frames[i].group for i in range(6)], found)
    assert guess["point_scores"].shape == found["point_scores"].shape
    assert task.score(guess)["point_ap"] is not None


def test_one_batch_of_returns_is_overfitted(data):
    task = task_of("report001-voxelwise")
    batch = batch_of(tiny_set(cloud=100), [1, 2, 7, 0])
    torch.manual_seed(0)
    model = task.model().train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = task.losses(model(batch), batch)["point"].mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    with torch.no_grad():
        assert task.score(task.predict(model.eval()(batch), batch))["point_ap"] > 0.5


# --- the recipe ---------------------------------------------------------------------------------------------------


def test_a_model_that_is_not_there_names_the_nearest():
    with pytest.raises(ConfigError, match="report001-atention") as caught:
        AnomalyRecipe(data="x", model="report001-atention")
    assert "report001-attention" in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        ("report001-attention", "fusion", "concat"),
        ("report001-attention", "width", 8),
        ("report000-simple", "dropout", 0.1),
        ("report001-scene", "modality_dropout", 0.0),
        ("report001-scene", "pixel_weight", 1.0),
        ("report001-scene", "point_weight", 1.0),
        ("report001-voxelwise", "frame_weight", 2.0),
        ("report001-image-only", "cloud", 100),
        ("fusion", "cloud", 100),
    ],
)
def test_a_key_that_changes_nothing_is_refused(model, key, value):
    with pytest.raises(ConfigError, match=model) as caught:
        AnomalyRecipe(data="x", model=model, **{key: value})
    assert key in caught.value.message and key in (caught.value.found or "")


def test_batch_statistics_of_one_frame_are_refused():
    with pytest.raises(ConfigError, match="report001-focal"):
        AnomalyRecipe(data="x", model="report001-focal", batch_size=1)
    assert AnomalyRecipe(data="x", model="report001-attention", batch_size=1, cloud=9).cloud == 9

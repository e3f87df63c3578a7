"""Voxel scores of a made world's test split, and what each protocol counts."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.anovox_labels import labels_from_ids
from veritrain.data.options import AnoVoxOptions
from veritrain.errors import BrokenFileError
from veritrain.experiments.evaluation import open_source
from veritrain.experiments.voxel_scores import PROTOCOLS, voxel_results


def results_of(held, source, predictions=None, baselines=None):
    test = held.data.sets["test"]
    return voxel_results(source, held.data.keys["test"], test.frames, predictions or held.predictions, baselines or {})


@pytest.fixture(scope="module")
def found(held):
    return results_of(held, open_source(held.recipe), baselines=held.trivial.predict("test", held.predictions))


def by_hand(held, *, union: bool, front: bool):
    """(labels, scores) from dictionaries of cells, frame by frame, with the grid's own arithmetic."""
    source, start, labels, scores = open_source(held.recipe), 0, [], []
    for key, frame in zip(held.data.keys["test"], held.data.sets["test"].frames, strict=True):
        best: dict[tuple[int, ...], float] = {}
        place = np.floor(
            (frame.points[:, :3].astype(np.float64) - np.array([0, 0, 1.8]) + np.array([250, 250, 16])) / 0.5
        ).astype(int)
        for cell, score in zip(map(tuple, place), held.predictions["point_scores"][start:], strict=False):
            best[cell] = max(best.get(cell, -1.0), float(score))
        start += len(frame.points)
        voxels, _ = source.read_voxels(key)
        for row, label in zip(voxels, labels_from_ids(voxels[:, 3]), strict=True):
            cell = tuple(int(value) for value in row[:3])
            if label >= 0 and (union or cell in best) and (cell[0] > 500 or not front):
                labels.append(label)
                scores.append(best.get(cell, -1.0))
    return np.array(labels), np.array(scores)


@pytest.mark.parametrize(
    ("name", "union", "front"),
    [("intersection", False, False), ("union", True, False), ("intersection, front", False, True)],
)
def test_a_protocol_scores_as_a_dictionary_of_cells_does(held, found, name, union, front):
    labels, scores = by_hand(held, union=union, front=front)
    row = found["protocols"][name]
    assert row["ap"]["n"] == len(labels) and row["ap"]["positives"] == labels.sum() > 0
    assert row["auroc"]["value"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert row["ap"]["value"] == pytest.approx(average_precision_score(labels, scores), abs=1e-9)


def test_protocols_count_what_they_say(found):
    rows = found["protocols"]
    assert set(rows) == set(PROTOCOLS)
    inside, both, extra = (rows[name]["ap"] for name in ("intersection", "union", "union, extra voxels normal"))
    assert both["positives"] - inside["positives"] == rows["union"]["missed"] == rows["intersection"]["missed"] >= 0
    assert extra["positives"] == both["positives"] and extra["n"] > both["n"] > inside["n"]
    assert rows["union, agents normal"]["ap"]["n"] > both["n"]
    assert rows["union"]["ap"]["value"] <= inside["value"]
    assert rows["intersection"]["missed_count"] == "left out" and rows["union"]["missed_count"] == "as misses"
    assert found["frames"] == 16 and found["frames_without"] == 0


def test_a_voxel_score_stands_beside_chance_baselines_and_groups(found):
    for row in found["protocols"].values():
        for metric in ("auroc", "ap", "fpr95"):
            entry = row[metric]
            assert set(entry["baselines"]) == {"prior", "position map", "range"} and entry["groups"] == 4
            assert 0 < entry["chance"] < 1 and entry["baseline"] in entry["baselines"].values()


def test_a_detector_that_knows_its_returns_still_misses_in_union(held):
    """Perfect scores of returns: what union still loses are voxels of the other sweep that no return fell into."""
    knowing = {**held.predictions, "point_scores": (held.predictions["point_labels"] == 1).astype(np.float32)}
    rows = results_of(held, open_source(held.recipe), knowing)["protocols"]
    assert rows["intersection"]["auroc"]["value"] > rows["union"]["auroc"]["value"] > 0.5


def test_frames_without_a_grid_are_counted_and_broken_ones_follow_the_policy(held, small_world, tmp_path):
    copy = tmp_path / "world"
    shutil.copytree(small_world, copy)
    keys = held.data.keys["test"]
    files = sorted(path for key in keys[:1] for path in copy.rglob(f"{key.group.split('/')[1]}/VOXEL_GRID/*.npy"))
    assert len(files) == 4
    files[0].unlink()
    voxels = np.load(files[1])
    np.save(files[1], np.concatenate([voxels, voxels[:1]]))
    source = AnoVoxFormat(copy)
    assert results_of(held, source)["frames_without"] == 2
    source.options = AnoVoxOptions(on_broken="error")
    with pytest.raises(BrokenFileError, match="stored twice"):
        results_of(held, source)


def test_without_returns_or_grids_there_is_nothing(held, small_world, tmp_path):
    scoreless = {key: value for key, value in held.predictions.items() if key != "point_scores"}
    assert results_of(held, open_source(held.recipe), scoreless) is None
    shutil.copytree(small_world, tmp_path / "world", ignore=shutil.ignore_patterns("VOXEL_GRID"))
    assert results_of(held, open_source(replace(held.recipe, data=str(tmp_path / "world")))) is None

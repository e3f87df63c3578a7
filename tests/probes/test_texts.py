"""Other words in place of class names: what they score, by how much that is less, and which of several ways counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.finished_run import finished_run
from veritrain.probes.texts import TextsExchanged


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("run"))


def reading_texts(run, blank):
    """The run with a network that says that it reads texts; ``blank`` makes predictions of a name."""

    class Reader:
        inputs = ("image", "texts")

    return replace(run, model=Reader(), blank=blank)


def spoilt(run, share):
    """The run's predictions with scores of a share of the frames turned round."""
    found = dict(run.predictions)
    scores = found["frame_scores"].copy()
    count = int(share * len(scores))
    scores[:count] = -scores[:count]
    return {**found, "frame_scores": scores}


def test_a_network_without_texts_has_no_evidence_of_them(run):
    assert TextsExchanged().values(run) == {"arms": None, "falls": {}}


def test_the_shuffle_that_scores_best_counts(run):
    shares = {"texts:shuffled:0": 0.9, "texts:shuffled:1": 0.3, "texts:shuffled:2": 0.7, "texts:nonsense": 1.0}
    found = TextsExchanged().values(reading_texts(run, lambda name: spoilt(run, shares[name])))
    scores = [one["frame_auroc"] for one in found["arms"]["shuffled"]]
    fall = found["falls"]["frame_auroc"]["shuffled"]
    assert len(scores) == 3 and fall["way"] == scores.index(max(scores)) and fall["value"] == max(scores)
    assert fall["fall"] == pytest.approx(run.task.score(run.predictions)["frame_auroc"] - max(scores), abs=1e-9)
    assert fall["ci95"][0] <= fall["fall"] <= fall["ci95"][1]


def test_words_that_change_nothing_fall_by_exactly_nothing(run):
    found = TextsExchanged().values(reading_texts(run, lambda name: run.predictions))
    assert found["falls"]["frame_auroc"]["nonsense"]["ci95"] == [0.0, 0.0]

"""Tables of retrieval: the metric's own numbers, whole groups as weights, and answers with known scores."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.retrieval import relevance, retrieval_scores
from veritrain.tasks.retrieval_tables import MEAN, RetrievalTables, known_retrieval_answers, same_for_all

ORDER = ("text_to_image_r1", "text_to_image_r5", "text_to_image_r10", "image_to_text_r1", "image_to_text_r5",
         "image_to_text_r10", MEAN)  # fmt: skip


def made(seed: int = 0, images: int = 30, groups: int = 10):
    """Embeddings that know a little, two or three captions an image, some of them alike."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(2, 4, images)
    owners = np.repeat(np.arange(images), counts)
    image = rng.normal(size=(images, 6))
    text = image[owners] + 1.5 * rng.normal(size=(len(owners), 6))
    ids = rng.integers(0, 60, len(owners))
    predictions = {"index": np.arange(images), "image": image.astype(np.float32), "text": text.astype(np.float32),
                   "caption_counts": counts, "caption_ids": ids}  # fmt: skip
    return predictions, [f"g{place % groups}" for place in range(images)], owners


def whole(predictions, owners):
    near = predictions["image"].astype(np.float64) @ predictions["text"].astype(np.float64).T
    return retrieval_scores(near, relevance(owners, len(near), predictions["caption_ids"].astype(str).tolist()))


def test_values_and_chance_are_those_of_the_metric():
    predictions, groups, owners = made()
    tables, scores = RetrievalTables(predictions, groups), whole(predictions, owners)
    assert tables.metrics == ORDER and tables.n_groups == 10
    for metric in ORDER:
        assert tables.value(metric) == pytest.approx(scores.recall[metric], abs=1e-12)
        assert tables.chance(metric) == pytest.approx(scores.chance[metric], abs=1e-12)
        assert tables.higher_is_better(metric) and tables.reach(metric) == 1.0 and tables.strata(metric).all()
    assert tables.counts("text_to_image_r1") == (len(owners), None) and tables.counts("image_to_text_r5") == (30, None)
    assert tables.counts(MEAN) == (len(owners) + 30, None)


def test_weights_count_the_queries_of_whole_groups():
    predictions, groups, owners = made(1)
    tables = RetrievalTables(predictions, groups)
    alone = np.array([[float(group == "g3") for group in sorted(set(groups))]])
    own = np.array([group == "g3" for group in groups])
    ranks = (tables.similarity > np.max(tables.similarity, axis=1, where=tables.relevant, initial=-9)[:, None]).sum(1)
    assert tables.under(alone, "image_to_text_r5")[0] == pytest.approx(np.mean(ranks[own] < 5))
    columns = tables.similarity.T
    ranks = (columns > np.max(columns, axis=1, where=tables.relevant.T, initial=-9)[:, None]).sum(1)
    assert tables.under(alone, "text_to_image_r1")[0] == pytest.approx(np.mean(ranks[own[owners]] < 1))
    twice = tables.under(np.full((1, 10), 2), MEAN)
    assert twice[0] == pytest.approx(tables.value(MEAN))


def test_the_order_of_the_images_changes_nothing():
    predictions, groups, owners = made(2)
    order = np.random.default_rng(0).permutation(30)
    columns = np.concatenate([np.flatnonzero(owners == one) for one in order])
    moved = {
        **predictions,
        "image": predictions["image"][order],
        "caption_counts": predictions["caption_counts"][order],
        "text": predictions["text"][columns],
        "caption_ids": predictions["caption_ids"][columns],
    }
    first, second = RetrievalTables(predictions, groups), RetrievalTables(moved, [groups[one] for one in order])
    assert [first.value(one) for one in ORDER] == pytest.approx([second.value(one) for one in ORDER])
    assert first.under(np.eye(10), "text_to_image_r5") == pytest.approx(second.under(np.eye(10), "text_to_image_r5"))


@pytest.mark.parametrize("seed", range(3))
def test_known_answers_score_what_is_known(seed):
    predictions, groups, _ = made(seed)
    known = known_retrieval_answers(predictions)

    def scored(one, metric):
        return RetrievalTables(one, groups).value(metric)

    for metric in ORDER:
        chance = RetrievalTables(predictions, groups).chance(metric)
        draws = [scored(known["random"](number), metric) for number in range(60)]
        assert scored(known["perfect"], metric) == 1.0
        assert scored(known["constant"], metric) == pytest.approx(chance, abs=1e-12)
        assert scored(known["inverted"], metric) < chance
        assert np.mean(draws) == pytest.approx(chance, abs=4.5 * np.std(draws) / 60**0.5 + 1e-9)


def test_what_looks_at_no_image_has_one_order_for_all():
    predictions, groups, _ = made()
    tables = RetrievalTables(same_for_all(predictions, np.arange(len(predictions["text"]))), groups)
    assert (tables.similarity == tables.similarity[0]).all()
    for k in (1, 5, 10):
        assert tables.value(f"text_to_image_r{k}") == pytest.approx(tables.chance(f"text_to_image_r{k}"))


def test_places_count_from_one_and_equals_share_the_middle():
    predictions = {"index": np.arange(2), "caption_counts": np.array([1, 2]), "caption_ids": np.arange(3),
                   "image": np.eye(2), "text": np.array([[0, 0], [1, 0], [0.5, 2.0]])}  # fmt: skip
    tables = RetrievalTables(predictions, ["a", "b"])
    assert tables.places("image_to_text").tolist() == [3.0, 1.0]
    assert tables.places("text_to_image").tolist() == [1.5, 2.0, 1.0]


def test_permuting_starts_from_the_value():
    predictions, groups, _ = made(3)
    tables = RetrievalTables(predictions, groups)
    for metric in ("text_to_image_r5", MEAN):
        found = tables.permuted(metric)
        assert found.observed == pytest.approx(tables.value(metric)) and found.n_groups == 10
        assert found.p_value < 0.05 and found.null_mean < found.observed


def test_what_does_not_fit_is_refused():
    predictions, groups, _ = made()
    for changed in ({"caption_counts": predictions["caption_counts"] - 2}, {"caption_ids": np.arange(4)}):
        with pytest.raises(UsageError, match="do not fit"):
            RetrievalTables({**predictions, **changed}, groups)
    with pytest.raises(UsageError, match="no score 'map'"):
        RetrievalTables(predictions, groups).value("map")

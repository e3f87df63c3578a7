"""Which scenes there are, and who gets them: whole numbers, every class in every part, nothing dealt twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from veritrain.worlds.aerial_parts import PARTS, deal, plan_scenes
from veritrain.worlds.aerial_sites import LOOKS, SITES
from veritrain.worlds.options import AerialOptions

USUAL = AerialOptions()


def test_the_same_options_give_the_same_plan_and_another_seed_another():
    assert plan_scenes(USUAL) == plan_scenes(USUAL) != plan_scenes(replace(USUAL, seed=1))


def test_scenes_have_the_images_that_were_asked_for():
    for images, per_scene in ((400, 4), (7, 3), (1, 1), (10, 64)):
        plans = plan_scenes(replace(USUAL, images=images, per_scene=per_scene))
        assert sum(plan.images for plan in plans) == images and max(plan.images for plan in plans) <= per_scene
        assert [plan.number for plan in plans] == list(range(len(plans)))
        assert len({plan.name for plan in plans}) == len(plans)
        assert all(plan.cover in SITES[plan.site].covers for plan in plans)


def test_every_site_is_there_three_times_and_balance_is_as_asked_for():
    tail, even = (
        Counter(plan.site for plan in plan_scenes(replace(USUAL, images=4000, balance=balance)))
        for balance in ("long_tail", "even")
    )
    assert max(even.values()) == min(even.values()) == 50 and max(tail.values()) > 2 * min(tail.values())
    assert min(Counter(plan.site for plan in plan_scenes(USUAL)).values()) >= 3
    assert {kind for site in SITES.values() for kind in site.mains} == set(LOOKS), "some site is for every class"


@given(st.integers(0, 2**32 - 1), st.integers(1, 80))
def test_each_unit_is_dealt_once_and_parts_are_about_as_large_as_asked_for(seed, count):
    rng = np.random.default_rng(seed)
    kinds = [frozenset(rng.choice(list("abcdef"), int(rng.integers(1, 4)))) for _ in range(count)]
    parts = deal(kinds, [1] * count, (0.6, 0.15, 0.25), rng)
    counted = Counter(parts)
    assert len(parts) == count and set(parts) <= set(PARTS)
    for part, share in zip(PARTS, (0.6, 0.15, 0.25), strict=True):
        assert counted[part] <= max(share * count + 1, 6), "never more than its share, but for one unit for each class"


@given(st.integers(0, 2**32 - 1))
def test_every_part_has_every_class_that_has_enough_units(seed):
    rng = np.random.default_rng(seed)
    kinds = [frozenset({letter}) for letter in "aaabbbcccccccccccdddddddddddddddd"]
    parts = deal(kinds, [2] * len(kinds), (0.8, 0.1, 0.1), rng)
    for letter in "abcd":
        assert {part for part, unit in zip(parts, kinds, strict=True) if letter in unit} == set(PARTS)


def test_a_class_with_one_unit_is_trained_and_a_part_without_a_share_gets_nothing():
    rng = np.random.default_rng(0)
    parts = deal([frozenset("a"), *[frozenset("b")] * 9], [1] * 10, (0.5, 0.0, 0.5), rng)
    assert parts[0] == "train" and Counter(parts) == {"train": 5, "test": 5}

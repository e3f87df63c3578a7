"""Which groups and frames a part takes: each stratum has its share, and the same seed draws the same for good."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from veritrain.data.choosing import demand_possible, draw_groups, spaced, words_of
from veritrain.errors import ConfigError

KINDS = {f"g{number:02}": [tuple(b"static" if number % 3 else b"normality")] for number in range(20)}
MANY = {f"p{number}": {(number % 2,)} | ({(9,)} if number in (3, 8) else set()) for number in range(20)}
"""Groups of one stratum each, and groups of one or two."""


@pytest.mark.parametrize(
    ("text", "words"), [("", []), (" , ,", []), ("a", ["a"]), (" a b,c ,, d", ["a b", "c", "d"]), ("a,a", ["a", "a"])]
)
def test_words_are_separated_by_commas(text, words):
    assert words_of(text) == words


class TestPossible:
    def test_the_limits_themselves(self):
        demand_possible(share=1.0, frames=0, seed=0, example=4)
        demand_possible(share=1e-9, frames=10**6, seed=2**40, example=4)

    @pytest.mark.parametrize(
        "wrong", [{"share": 0.0}, {"share": 1.01}, {"share": float("nan")}, {"frames": -1}, {"seed": -1}]
    )
    def test_beyond_them(self, wrong):
        given = {"share": 0.5, "frames": 3, "seed": 7, **wrong}
        with pytest.raises(ConfigError, match="no such part") as caught:
            demand_possible(**given, example=4)
        assert caught.value.found == f"share {given['share']}, frames {given['frames']}, seed {given['seed']}"
        assert caught.value.fix == "--share 0.25 --frames 4"


class TestDrawing:
    @pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9, 1.0])
    @pytest.mark.parametrize("seed", [0, 1, 12])
    def test_apart_strata_are_shuffled_each_by_its_own_key(self, share, seed):
        expected = set()
        for kind in (b"static", b"normality"):
            names = [name for name, (own,) in KINDS.items() if own == tuple(kind)]
            order = np.random.default_rng([seed, *kind]).permutation(len(names))
            expected |= {names[place] for place in order[: max(1, int(len(names) * share + 0.5))]}
        assert draw_groups(KINDS, share, seed) == expected

    def test_a_seed_draws_the_same_for_good(self):
        """Drawn before scenarios and patients had one way to be drawn."""
        assert sorted(draw_groups(KINDS, 0.2, 5)) == ["g01", "g10", "g14", "g18"]
        assert sorted(draw_groups(MANY, 0.2, 5)) == ["p19", "p2", "p3", "p4"]

    @pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.9])
    def test_who_is_drawn_for_a_rare_stratum_counts_for_the_others(self, share):
        for seed in range(5):
            counts = Counter(one for name in draw_groups(MANY, share, seed) for one in MANY[name])
            assert counts[9,] >= max(1, int(2 * share + 0.5))
            for number in (0, 1):
                wanted = max(1, int(10 * share + 0.5))
                assert wanted <= counts[number,] <= max(wanted, counts[9,])

    def test_all_are_all_and_of_none_there_is_none(self):
        assert draw_groups(MANY, 1.0, 3) == set(MANY) and draw_groups({}, 0.5, 3) == set()

    def test_the_order_in_which_groups_are_told_means_nothing(self):
        turned = dict(reversed(list(MANY.items())))
        drawn = [frozenset(draw_groups(MANY, 0.3, seed)) for seed in range(6)]
        assert [frozenset(draw_groups(turned, 0.3, seed)) for seed in range(6)] == drawn and len(set(drawn)) > 3


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 10, 11, 0])
def test_frames_are_spread_evenly(count):
    frames = list(range(100, 110))
    taken = spaced(frames, count)
    assert (
        len(taken) == (10 if count in (0, 11) else count) and sorted(set(taken)) == taken and set(taken) <= set(frames)
    )
    gaps = np.diff([99.5 - (110 - 100) / max(count, 1) / 2, *taken])
    assert count in (0, 11) or np.ptp(gaps[1:]) <= 1 if len(gaps) > 2 else True


def test_what_is_spaced_may_be_anything():
    assert spaced("abcdef", 3) == ["b", "d", "f"] and spaced((), 2) == [] and spaced(["x"], 1) == ["x"]

"""PatchCore's pieces against brute force, SciPy's tree and cases worked by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from veritrain.models.memory_bank import MemoryBank, greedy_coreset, locally_aware


def drawn(rows: int, channels: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, channels, generator=torch.Generator().manual_seed(seed))


def bank_of(entries: torch.Tensor) -> MemoryBank:
    channels = entries.shape[1]
    return MemoryBank(entries=entries, mean=torch.zeros(channels), scale=torch.ones(channels), pool=len(entries))


@pytest.mark.parametrize("seed", range(5))
def test_the_greedy_choice_equals_brute_force(seed):
    points = drawn(60, 5, seed)
    kept = greedy_coreset(points, 12, seed=seed).tolist()
    exact = points.double().numpy()
    expected = [kept[0]]
    while len(expected) < 12:
        away = [min(np.linalg.norm(one - exact[other]) for other in expected) for one in exact]
        expected.append(int(np.argmax(away)))
    assert kept == expected


def test_the_greedy_choice_covers_at_most_twice_as_badly_as_the_best(seed=3):
    """Gonzalez 1985: farthest-first is a 2-approximation of minimax facility location."""
    points = drawn(11, 2, seed)
    exact = points.numpy()

    def radius(kept):
        return max(min(np.linalg.norm(one - exact[k]) for k in kept) for one in exact)

    best = min(radius(kept) for kept in itertools.combinations(range(11), 3))
    assert radius(greedy_coreset(points, 3, seed=seed).tolist()) <= 2 * best + 1e-5


def test_what_stands_twice_is_kept_once():
    points = drawn(7, 4).repeat(3, 1)
    kept = greedy_coreset(points, 15, seed=0)
    assert len(kept) == 7 and len(torch.unique(points[kept], dim=0)) == 7


def test_a_projection_is_drawn_where_there_are_many_channels_and_far_rows_stay_far():
    points = torch.cat([0.01 * drawn(40, 400), 0.01 * drawn(40, 400, 1) + 5, 0.01 * drawn(40, 400, 2) - 9])
    kept = greedy_coreset(points, 3, seed=0, projected=16)
    assert sorted(int(k) // 40 for k in kept) == [0, 1, 2]


@pytest.mark.parametrize("rows", [1, 50, 9001])
def test_distances_equal_those_of_a_tree(rows):
    entries, patches = drawn(300, 8), drawn(rows, 8, 1)
    distance, index = bank_of(entries).nearest(patches)
    expected, at = cKDTree(entries.numpy().astype(np.float64)).query(patches.numpy().astype(np.float64))
    assert np.allclose(distance.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert np.array_equal(index.numpy(), at)


def test_an_entry_itself_is_at_distance_nothing():
    bank = MemoryBank.fit(1000 + drawn(500, 6), size=500, seed=0)
    assert float(bank.nearest(bank.entries)[0].max()) == 0


def test_reweighting_by_hand():
    """Entries 0, 1 and 4 on a line, a patch at -2: m* = 0, distances 2, 3, 6."""
    bank = bank_of(torch.tensor([[0.0], [1.0], [4.0]]))
    patch = torch.tensor([[-2.0]])
    distance, index = bank.nearest(patch)
    expected = (1 - math.exp(2) / (math.exp(2) + math.exp(3) + math.exp(6))) * 2
    assert bank.frame_score(patch, distance, index) == pytest.approx(expected, rel=1e-6)


def test_reweighting_looks_around_the_nearest_entry_alone():
    """Of 12 entries only the 9 nearest to m* count; the patch's own neighbours are others."""
    line = 0.05 * torch.arange(12, dtype=torch.float32)[:, None] ** 1.5
    patch = torch.tensor([[-1.0]])
    distance, index = bank_of(line).nearest(patch)
    away = [math.exp(float(one) + 1) for one in line[:9, 0]]
    expected = 1 - math.exp(1) / sum(away)
    assert bank_of(line).frame_score(patch, distance, index) == pytest.approx(expected, rel=1e-5)


def test_a_large_distance_does_not_overflow():
    bank = bank_of(drawn(20, 3))
    patch = torch.full((1, 3), 1e4)
    assert math.isfinite(bank.frame_score(patch, *bank.nearest(patch)))


def test_an_odd_patch_scores_highest_and_makes_the_frame_odd():
    bank = MemoryBank.fit(drawn(2000, 16), size=200, seed=0)
    patches = drawn(100, 16, 5)
    plain = bank.standardised(patches)
    patches[37] += 6
    odd = bank.standardised(patches)
    distance, index = bank.nearest(odd)
    assert int(distance.argmax()) == 37
    assert bank.frame_score(odd, distance, index) > 1.3 * bank.frame_score(plain, *bank.nearest(plain))


def test_units_do_not_matter_and_a_dead_channel_says_nothing():
    pool, patches = drawn(400, 5), drawn(30, 5, 1)
    units = torch.tensor([1.0, 1000.0, 1e-3, 7.0, 1.0])
    found = MemoryBank.fit(pool, size=50, seed=0)
    other = MemoryBank.fit(pool * units, size=50, seed=0)
    first = found.nearest(found.standardised(patches))[0]
    assert torch.allclose(first, other.nearest(other.standardised(patches * units))[0], rtol=1e-3)
    dead = MemoryBank.fit(torch.cat([pool, torch.full((400, 1), 3.0)], 1), size=50, seed=0)
    shifted = torch.cat([patches, torch.full((30, 1), 8.0)], 1)
    assert torch.allclose(first, dead.nearest(dead.standardised(shifted))[0], rtol=1e-3)


def test_no_patch_is_no_score():
    bank = bank_of(drawn(5, 3))
    distance, index = bank.nearest(torch.zeros(0, 3))
    assert len(distance) == len(index) == 0 and bank.frame_score(torch.zeros(0, 3), distance, index) == 0


def test_neighbourhoods_are_means_and_coarse_maps_are_enlarged():
    fine, coarse = torch.arange(16.0).reshape(1, 1, 4, 4), torch.full((1, 2, 2, 2), 5.0)
    out = locally_aware([fine, coarse])
    assert out.shape == (1, 3, 4, 4)
    assert out[0, 0, 1, 1] == fine[0, 0, :3, :3].mean() and out[0, 0, 0, 0] == fine[0, 0, :2, :2].mean()
    assert torch.equal(out[:, 1:], torch.full((1, 2, 4, 4), 5.0))


def test_a_map_that_goes_round_is_averaged_across_its_seam():
    one = torch.arange(12.0).reshape(1, 1, 3, 4)
    out = locally_aware([one], wraps=True)
    assert out[0, 0, 1, 0] == torch.stack([one[0, 0, :, k] for k in (3, 0, 1)]).mean()
    assert torch.equal(locally_aware([one.roll(1, -1)], wraps=True), out.roll(1, -1))

"""Seeds are a pure function of the place."""

from __future__ import annotations

import random

import numpy as np
import torch

from veritrain.training.seeding import derive, seed_everything, seed_step


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.normal()), float(torch.rand(()))  # noqa: NPY002


def test_the_same_place_gives_the_same_draws_whatever_came_before():
    seed_step(3, 10)
    expected = draws()
    seed_everything(99)
    draws()
    seed_step(3, 10)
    assert draws() == expected


def test_every_part_of_the_place_counts():
    places = [(3, 10, 0, 0), (4, 10, 0, 0), (3, 11, 0, 0), (3, 10, 1, 0), (3, 10, 0, 1)]
    found = set()
    for seed, step, micro, rank in places:
        seed_step(seed, step, micro=micro, rank=rank)
        found.add(draws())
    assert len(found) == len(places)


def test_seeds_fit_torch_and_do_not_depend_on_the_process():
    assert derive(0, "step", 1) == 1578201625287471526
    assert all(0 <= derive(seed, "x") < 2**63 for seed in range(1000))
    assert len({derive(0, step) for step in range(10_000)}) == 10_000

"""The temperature: where it begins, that it stays in bounds, and that it comes back."""

from __future__ import annotations

import math

import pytest
import torch

from veritrain.models.temperature import Temperature


def test_it_begins_at_clips_own():
    assert Temperature()().item() == pytest.approx(1 / 0.07)


def test_training_cannot_push_it_beyond_the_bound_and_it_comes_back_at_once():
    temperature = Temperature()
    optimiser = torch.optim.SGD(temperature.parameters(), lr=1.0)
    for _ in range(5):
        optimiser.zero_grad()
        (-temperature().log()).backward()
        optimiser.step()
        assert temperature().item() <= 100 + 1e-3
    assert temperature().item() == pytest.approx(100)
    optimiser.zero_grad()
    temperature().log().backward()
    assert temperature.log_scale.grad is not None and float(temperature.log_scale.grad) == pytest.approx(1.0)
    optimiser.step()
    assert temperature().item() == pytest.approx(100 / math.e, rel=1e-4)


def test_evaluation_reads_it_in_bounds_and_changes_nothing():
    temperature = Temperature().eval()
    with torch.no_grad():
        temperature.log_scale.fill_(9.0)
    assert temperature().item() == pytest.approx(100) and temperature.log_scale.item() == 9.0

"""The toy problem of the GradNorm paper, short: the full one is scripts/gradnorm_toy.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts.scripts_loaded import script

toy = script("gradnorm_toy")


@pytest.mark.parametrize("tasks", [2, 10])
def test_functions_are_what_the_module_says(tasks):
    functions = toy.Functions(tasks, 0)
    spread = functions.maps - functions.maps.mean(0)
    own = float(spread.square().sum() / ((tasks - 1) * toy.OUTPUTS * toy.INPUTS))
    assert own == pytest.approx(toy.VARIANCE_EPS, rel=0.05)
    assert float(functions.maps.var()) == pytest.approx(toy.VARIANCE_B + toy.VARIANCE_EPS, rel=0.05)
    batch = functions.batch(400, 0, 1)
    assert batch["y"].shape == (tasks, 400, toy.OUTPUTS)
    assert float(batch["x"].norm(dim=1).mean()) == pytest.approx(1.0, abs=0.01)
    largest = batch["y"].abs().amax((1, 2))
    assert torch.allclose(largest, functions.sigmas, rtol=1e-3), "each reaches its own sigma"
    again = functions.batch(400, 0, 1)
    assert torch.equal(again["x"], batch["x"]) and not torch.equal(functions.batch(400, 0, 2)["x"], batch["x"])


def test_gradnorm_lowers_the_weight_of_the_large_task_and_brings_norms_together():
    torch.set_num_threads(1)
    equal, balanced = (toy.run(2, 0, method, 400) for method in ("equal weights", "GradNorm"))
    assert equal["weights"] == [1.0, 1.0] and equal["spread"] > 20
    small, large = balanced["weights"]
    assert small + large == pytest.approx(2.0, abs=1e-6) and large < 0.3 < 1.7 < small
    assert balanced["spread"] < 0.3 * equal["spread"]
    assert np.isfinite(balanced["metric"]) and sum(balanced["shares"]) == pytest.approx(balanced["metric"])

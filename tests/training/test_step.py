"""One step with every option at its default is the step that anybody would write, to the last bit."""

from __future__ import annotations

import pytest
import torch

from training.toy import ToySet, ToyTask, fit_toy, weights_hash
from veritrain.data.loader import EpochLoader
from veritrain.record import RunFolder
from veritrain.training.optimise import learning_rate_at
from veritrain.training.options import LoopOptions
from veritrain.training.seeding import seed_everything, seed_step


def by_hand(options: LoopOptions, *, accumulate: int = 1) -> torch.nn.Module:
    """PyTorch alone: no Fabric, no stepper, no keeper."""
    seed_everything(3)
    task = ToyTask()
    model = task.model().train()
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.999), weight_decay=0.01, fused=True)
    loader = EpochLoader(ToySet(48), batch_size=4, seed=options.seed)
    step, steps_per_epoch = 0, 12 // accumulate
    for epoch in (1, 2):
        batches = list(loader.epoch(epoch))
        for first in range(0, 12, accumulate):
            optimiser.zero_grad()
            for micro in range(accumulate):
                seed_step(options.seed, step, micro=micro)
                batch = batches[first + micro]
                terms = task.losses(model(batch), batch)
                total = sum(values.sum() * (task.term_weights[n] / (4 * accumulate)) for n, values in terms.items())
                total.backward()
            norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
            torch.nn.utils.clip_grads_with_norm_(model.parameters(), 0.5, norm)
            optimiser.param_groups[0]["lr"] = learning_rate_at(step, options, steps_per_epoch)
            optimiser.step()
            step += 1
    return model


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_default_step_is_plain_pytorch_bit_for_bit(tmp_path, accumulate):
    options = LoopOptions(epochs=2, batch_size=4, warmup_steps=3, clip_norm=0.5)
    done = fit_toy(RunFolder(tmp_path / "run"), epochs=2, clip_norm=0.5, accumulate=accumulate)
    assert weights_hash(done.model) == weights_hash(by_hand(options, accumulate=accumulate))

"""An exponential moving average of the weights, which is what gets validated, selected and reported."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

HALF = (torch.float16, torch.bfloat16)


class WeightAverage:
    """A second network that follows the first: average += (1 - d) * (weights - average), after each update.

    d = min(decay, (1 + t) / (10 + t)) with t the updates before this one, as in TensorFlow's
    ``tf.train.ExponentialMovingAverage(decay, num_updates)``: the average forgets the untrained weights within a few
    updates instead of after 1 / (1 - decay) of them. Weights are averaged in float32 (float64 where they are), also
    those of a 16-bit network. Buffers (statistics of batch normalisation) are copied, since they are averages
    themselves and counts cannot be averaged.

    With ``ramp`` it is YOLOv5's average instead: d = decay (1 - exp(-t / ramp)) with t the updates including this one,
    and floating buffers are averaged like weights.

    Attributes:
        model: the averaged network, in evaluation mode, without gradients.
        updates: made so far.
    """

    def __init__(self, model: nn.Module, decay: float, *, ramp: float = 0.0) -> None:
        self.decay, self.ramp, self.updates = decay, ramp, 0
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        if any(parameter.dtype in HALF for parameter in self.model.parameters()):
            self.model.float()

    def share(self) -> float:
        """What the next update takes over from the weights, in (0, 0.9], or up to 1 with ``ramp``."""
        if self.ramp:
            return 1.0 - self.decay * (1.0 - math.exp(-(self.updates + 1) / self.ramp))
        return 1.0 - min(self.decay, (1 + self.updates) / (10 + self.updates))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Once after each update of ``model``; a step without an update is none."""
        averages: list[Tensor] = list(self.model.parameters())
        now = [parameter.to(mean.dtype) for parameter, mean in zip(model.parameters(), averages, strict=True)]
        if self.ramp:
            for mean, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
                if mean.is_floating_point():
                    averages.append(mean)
                    now.append(buffer.to(mean.dtype))
                else:
                    mean.copy_(buffer)
        else:
            self._copy_buffers(model)
        torch._foreach_lerp_(averages, now, self.share())
        self.updates += 1

    @torch.no_grad()
    def restart(self, model: nn.Module) -> None:
        """Forget everything: the average is these weights."""
        for mean, parameter in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.copy_(parameter)
        self._copy_buffers(model)
        self.updates = 0

    def _copy_buffers(self, model: nn.Module) -> None:
        for mean, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            mean.copy_(buffer)

"""CLIP's learned temperature, kept from running away."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

START = 0.07
"""The temperature that CLIP begins with (Radford et al. 2021, section 2.5)."""
MOST_SCALE = 100.0
"""Cosines are never multiplied by more, as in CLIP (section 2.5): training became unstable."""


class Temperature(nn.Module):
    """One learned number: what cosines are multiplied by, 1 / temperature.

    As in CLIP the parameter is its logarithm. It is brought back to its bound before each use in training, which is
    what CLIP does after each step: a parameter that had gone far beyond would take as long to come back.
    """

    def __init__(self, start: float = START) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / start)))

    def forward(self) -> Tensor:
        """A positive scalar, at most 100 (but for rounding); in training a gradient reaches it at the bound too."""
        bound = math.log(MOST_SCALE)
        if not self.training:
            return self.log_scale.clamp(max=bound).exp()
        # No clamp in the graph: rounded to float32 the bound lies above itself, and its gradient would be 0 for ever.
        with torch.no_grad():
            self.log_scale.clamp_(max=bound)
        return self.log_scale.exp()

"""Loss scaling for float16: gradients too small for half precision are lifted out of the zeros.

The loss is multiplied by a power of two before the backward pass and the gradients are divided by it afterwards
(Micikevicius et al. 2018, section 3.2); the factor grows and shrinks by the rules of ``torch.amp.GradScaler``, with
which the tests compare it. It is not that class, because here the loop has read the gradient norm anyway, all ranks
decide by the same number, and the state is two plain numbers in a checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

FIRST_SCALE = 65_536.0
GROWTH_INTERVAL = 2_000
"""Updates without an overflow after which the scale doubles."""

MOST_SKIPPED = 20
"""Updates in a row that may be skipped: 20 halvings take the first scale down to 1/16, and what still overflows then
does so without any scaling."""


@dataclass
class LossScale:
    """The factor, and what decides when it changes.

    Attributes:
        scale: a power of two, so that multiplying and dividing by it loses no bit (but for subnormal results).
        good: updates since it last changed.
        skipped: updates skipped in a row.
    """

    scale: float = FIRST_SCALE
    good: int = 0
    skipped: int = 0

    def unscale(self, parameters: Iterable[nn.Parameter]) -> None:
        """Divide all gradients by the scale, in place; an infinity or NaN stays one."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if gradients:
            torch._foreach_mul_(gradients, 1.0 / self.scale)

    def overflowed(self) -> bool:
        """The scaled gradients were not finite: halve the scale. Whether the update may simply be skipped."""
        self.scale, self.good, self.skipped = self.scale / 2, 0, self.skipped + 1
        return self.skipped <= MOST_SKIPPED

    def updated(self) -> None:
        """The gradients were finite: double the scale if that lasted long enough."""
        self.good, self.skipped = self.good + 1, 0
        if self.good == GROWTH_INTERVAL:
            self.scale, self.good = self.scale * 2, 0

    def state(self) -> dict[str, Any]:
        """JSON, exact: powers of two and counts."""
        return asdict(self)

    def restore(self, state: dict[str, Any]) -> None:
        self.scale, self.good, self.skipped = state["scale"], state["good"], state["skipped"]

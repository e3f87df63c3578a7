"""An expected score, exact or simulated, with the error of the simulation."""

from __future__ import annotations

from typing import NamedTuple


class Expected(NamedTuple):
    """An expectation; ``standard_error`` is that of the simulation, 0 where exact. None: undefined."""

    value: float | None
    standard_error: float | None

"""By how much one set of predictions scores above another of the same samples, over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.statistics.intervals import group_bootstrap
from veritrain.tasks.tables import ScoreTables


def paired_difference(
    first: ScoreTables, second: ScoreTables, metric: str, *, level: float = 0.95
) -> tuple[float | None, list[float | None]]:
    """The difference first - second of a metric, and its interval: both are scored on the same resampled groups.

    Args:
        level: nominal coverage of the two-sided interval; its lower end alone holds with (1 + level) / 2.

    Returns:
        The difference (None: undefined) and [low, high], within [-1, 1].
    """

    def difference(weights: NDArray[Any]) -> NDArray[np.float64]:
        return first.under(weights, metric) - second.under(weights, metric)

    strata = first.strata(metric)
    found = group_bootstrap(first.n_groups, difference, level=level, bounds=(-1.0, 1.0), strata=strata)
    value = float(difference(np.ones((1, first.n_groups)))[0])
    return (value if np.isfinite(value) else None), [found.low, found.high]

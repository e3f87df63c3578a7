"""Sign-flip tests of paired differences: one claim, or a family of claims at once.

If two things differ by chance only, each paired difference could as well have had the other sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError

Floats = NDArray[np.float64]
MOST_EXACT_FLIPS = 20


def sign_flip_test(
    differences: ArrayLike, *, alternative: Literal["two-sided", "greater"] = "two-sided", seed: int = 0
) -> float | None:
    """p of paired differences whose mean is zero under the null of symmetric differences.

    Args:
        differences: (n,) finite, for example one per seed.
        alternative: "greater" tests a positive mean.
        seed: of the 99,999 random flips used beyond n = 20; up to there all 2^n are enumerated, so
            the smallest two-sided p is 2 / 2^n (Fisher, *The Design of Experiments*, 1935, ch. 3).

    Returns:
        p in (0, 1]; None without differences.
    """
    values = np.asarray(differences, dtype=np.float64)
    _check_differences(values, 1)
    if not values.size:
        return None
    p = _max_flips(values[:, None], seed, two_sided=alternative == "two-sided")
    return float(p[0])


def max_t_sign_flip(matrix: ArrayLike, *, seed: int = 0) -> Floats:
    """Adjusted two-sided p of m paired claims from one joint sign-flip test.

    Args:
        matrix: (n, m) finite paired differences; row i is one seed, flipped as a whole, so that
            correlated claims cost less than Holm's correction asks.
        seed: of the random flips beyond n = 20.

    Returns:
        (m,) p, adjusted for the family by the maximum of the standardised statistics (Westfall &
        Young, *Resampling-Based Multiple Testing*, 1993, single step); 1 for a claim of zeros.
    """
    values = np.asarray(matrix, dtype=np.float64)
    _check_differences(values, 2)
    if not values.size:
        return np.ones(values.shape[1])
    return _max_flips(values, seed, two_sided=True)


def _max_flips(values: Floats, seed: int, two_sided: bool) -> Floats:
    # Flipping signs leaves the sum of squares alone, so this is a monotone form of Student's t.
    norm = np.sqrt(np.sum(values**2, axis=0))
    unit = np.divide(values, norm, out=np.zeros_like(values), where=norm > 0)
    observed = np.abs(unit.sum(axis=0)) if two_sided else unit.sum(axis=0)
    n, reached, total = values.shape[0], np.zeros(values.shape[1]), 0
    exact = n <= MOST_EXACT_FLIPS
    for signs in _all_signs(n) if exact else _random_signs(n, seed):
        sums = signs @ unit
        largest = (np.abs(sums) if two_sided else sums).max(axis=1)
        reached += (largest[:, None] >= observed - 1e-9).sum(axis=0)
        total += len(signs)
    return reached / total if exact else (reached + 1) / (total + 1)


def _all_signs(n: int) -> Iterator[Floats]:
    for start in range(0, 2**n, 1 << 14):
        number = np.arange(start, min(start + (1 << 14), 2**n))
        yield np.where((number[:, None] >> np.arange(n)) & 1, -1.0, 1.0)


def _random_signs(n: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    for _ in range(9):
        yield np.where(rng.integers(0, 2, size=(11_111, n)), -1.0, 1.0)


def _check_differences(values: Floats, dimensions: int) -> None:
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if values.ndim != dimensions or bad:
        raise UsageError(
            "differences cannot be flipped",
            expected=f"a finite array of {dimensions} dimension(s)",
            found=f"shape {values.shape}, {bad} not finite",
            fix="a run that failed is a result: count it, do not drop it",
        )

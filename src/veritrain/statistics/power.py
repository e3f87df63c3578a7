"""What a study can show, computed before it spends anything: seeds, groups, power."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from veritrain.errors import UsageError
from veritrain.statistics.signflips import sign_flip_test

MOST_GROUPS = 1_000_000
MOST_SIMULATED = 12
"""Pairs up to which all studies of a simulation are tested at once."""


def smallest_p(n: int) -> float:
    """Least two-sided p of an exact sign-flip test on n pairs: 2 / 2^n (1 for n = 0 and 1).

    Two of the 2^n sign patterns are as extreme as differences that all have one sign.
    """
    if n < 0:
        raise UsageError("a number of pairs is not negative", found=str(n))
    return min(1.0, 2.0 ** (1 - n))


def seeds_needed(m_claims: int, alpha: float = 0.05) -> int:
    """Least number of seeds with which each of m Holm-corrected claims can reach ``alpha``.

    The least n with m 2 / 2^n <= alpha, that is ceil(log2(2 m / alpha)): at 0.05, 1 claim needs 6,
    3 need 7, 5 need 8, 10 need 9, 13 need 10. It makes a claim possible, not likely: see
    :func:`sign_flip_power`.
    """
    if m_claims < 1 or not 0 < alpha < 1:
        raise UsageError("no family to plan for", expected="m_claims >= 1, 0 < alpha < 1", found=f"{m_claims}, {alpha}")
    n = 1
    while m_claims * smallest_p(n) > alpha:
        n += 1
    return n


def sign_flip_power(
    effect: float, n: int, *, m_claims: int = 1, alpha: float = 0.05, simulations: int = 2000, seed: int = 0
) -> float:
    """Chance that a two-sided sign-flip test on n pairs reaches alpha / m, by simulation, 0..1.

    Args:
        effect: mean paired difference in its own standard deviations (made normal differences).
        n: pairs (seeds); up to 20 the test is exact.
        m_claims: claims in the family, counted as Holm's first and hardest step.
        alpha: level of the family.
        simulations: made studies; the Monte-Carlo error is at most 0.5 / sqrt(simulations).
        seed: of the made studies.
    """
    if n < 1 or simulations < 1:
        raise UsageError("no study to make", expected="n >= 1, simulations >= 1", found=f"{n}, {simulations}")
    level = alpha / m_claims
    if smallest_p(n) > level:
        return 0.0
    draws = np.random.default_rng(seed).normal(effect, 1.0, size=(simulations, n))
    found = _exact_p(draws) if n <= MOST_SIMULATED else np.array([sign_flip_test(row, seed=seed) for row in draws])
    return float(np.mean(found <= level))


def seeds_for_power(
    effect: float, *, power: float = 0.8, m_claims: int = 1, alpha: float = 0.05, most: int = 100
) -> int | None:
    """Least number of seeds with which an effect is shown with chance ``power``; None when ``most`` do not suffice.

    Args:
        effect: mean paired difference in its own standard deviations; its sign does not matter.
        power: wanted, in (0, 1).
        m_claims: claims in the family, counted as Holm's first and hardest step.
        alpha: level of the family.

    Up to 12 pairs by :func:`sign_flip_power` (2,000 made studies), beyond by the power of Student's paired test, which
    the sign-flip test then follows closely.
    """
    if not 0 < power < 1 or most < 1:
        raise UsageError("no power to plan for", expected="0 < power < 1, most >= 1", found=f"{power}, {most}")
    for n in range(seeds_needed(m_claims, alpha), most + 1):
        exact = n <= MOST_SIMULATED
        reached = (
            sign_flip_power(effect, n, m_claims=m_claims, alpha=alpha)
            if exact
            else student_power(effect, n, alpha=alpha / m_claims)
        )
        if reached >= power:
            return n
    return None


def student_power(effect: float, n: int, *, alpha: float = 0.05) -> float:
    """Chance that Student's two-sided paired test on n normal differences reaches ``alpha``, 0..1.

    Args:
        effect: mean difference in its own standard deviations. n: pairs, at least 2.

    Exact, by the noncentral t distribution with n - 1 degrees of freedom and noncentrality effect sqrt(n).
    """
    if n < 2 or not 0 < alpha < 1:
        raise UsageError("no test to plan for", expected="n >= 2, 0 < alpha < 1", found=f"{n}, {alpha}")
    bound = float(stats.t.ppf(1 - alpha / 2, n - 1))
    shifted = stats.nct(n - 1, abs(effect) * math.sqrt(n))
    return float(shifted.sf(bound) + shifted.cdf(-bound))


def rule_of_three(n: int, level: float = 0.95) -> float | None:
    """Upper bound of a rate of which n independent trials showed no case, 0..1; None when n is 0.

    1 - (1 - level)^(1/n), about 3 / n at 95 % (Hanley & Lippman-Hand, JAMA 249, 1983).
    """
    if n < 0 or not 0 < level < 1:
        raise UsageError("no bound to give", expected="n >= 0, 0 < level < 1", found=f"n={n}, level={level}")
    return None if n == 0 else 1 - (1 - level) ** (1 / n)


def groups_needed(half_width: float, group_deviation: float, level: float = 0.95) -> int:
    """Least number of groups whose t interval of a mean over groups is within +- ``half_width``.

    Args:
        half_width: wanted, in the unit of the score.
        group_deviation: standard deviation of the score over groups, same unit, from a pilot.
        level: of the interval.

    Returns:
        G >= 2 with t(level, G - 1) deviation / sqrt(G) <= half_width. Frames inside a group do not
        count: they only lower ``group_deviation``.
    """
    if not (half_width > 0 and group_deviation >= 0 and 0 < level < 1):
        raise UsageError(
            "no width to plan for",
            expected="half_width > 0, group_deviation >= 0, 0 < level < 1",
            found=f"{half_width}, {group_deviation}, {level}",
        )
    if _half_width(MOST_GROUPS, group_deviation, level) > half_width:
        raise UsageError("the width asks for more than a million groups", found=f"+- {half_width}", fix="ask for less")
    low, high = 1, MOST_GROUPS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _half_width(middle, group_deviation, level) <= half_width else (middle, high)
    return high


def _half_width(groups: int, deviation: float, level: float) -> float:
    return float(stats.t.ppf((1 + level) / 2, groups - 1)) * deviation / math.sqrt(groups)


def _exact_p(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) exact two-sided p of (S, n) studies at once; one sign is fixed, since -s mirrors s."""
    n = draws.shape[1]
    number = np.arange(2 ** (n - 1))
    signs = np.where((number[:, None] >> np.arange(n)) & 1, -1.0, 1.0)
    reach = np.abs(draws.sum(axis=1, keepdims=True)) - 1e-9
    return np.asarray((np.abs(draws @ signs.T) >= reach).mean(axis=1))

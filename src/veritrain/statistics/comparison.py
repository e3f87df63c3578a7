"""Is one thing better than another? Paired by seed, with the four words that may be used.

*improves* and *worse* need both an interval of the mean gain that excludes zero and a sign-flip p
at or below the level (Holm-adjusted in a family); *equivalent within d* needs the interval of two
one-sided tests inside (-d, d); everything else is *not shown*, which is not "no difference".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from veritrain.errors import UsageError
from veritrain.statistics.signflips import sign_flip_test

Floats = NDArray[np.float64]
Direction = Literal["higher", "lower"]
Method = Literal["t", "bca"]
IMPROVES, WORSE, NOT_SHOWN = "improves", "worse", "not shown"


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of ``a`` with ``b``; gains are positive where a is better.

    Attributes:
        word: "improves", "worse", "equivalent within d" (d the number) or "not shown".
        gain: mean gain of a over b, in the metric's unit.
        low, high: interval of the mean gain at 1 - alpha; None with fewer than 2 pairs.
        p: two-sided sign-flip p; adjusted for the family by :func:`compare_family`.
        smallest_p: least p that n pairs can give, 2 / 2^n: above alpha, nothing could be shown.
        n: pairs.
        method: how the interval was made, "t" or "bca".
        equivalence: the margin d, None when none was declared.
        alpha: the level.
    """

    word: str
    gain: float
    low: float | None
    high: float | None
    p: float
    smallest_p: float
    n: int
    method: Method
    equivalence: float | None
    alpha: float


def compare_paired(
    a: ArrayLike,
    b: ArrayLike,
    direction: Direction = "higher",
    equivalence: float | None = None,
    *,
    alpha: float = 0.05,
    method: Method = "t",
    seed: int = 0,
) -> Comparison:
    """Compare two things measured under the same seeds.

    Args:
        a, b: (n,) finite scores, entry i of both from the same seed.
        direction: "higher" when higher scores are better, "lower" for losses and error rates.
        equivalence: differences below this margin d > 0 do not matter, declared beforehand. When
            the difference is shown to be within d, that is the word, even if it is not zero.
        alpha: level of the test and of the interval (1 - alpha).
        method: interval of the mean gain: "t" (n >= 2; the default, since BCa is unstable for
            n below 10) or "bca" (Efron, JASA 82, 1987; 9,999 resamples).
        seed: of the resamples and of random flips beyond n = 20.

    Raises:
        UsageError: no pair, lengths differ, a score is not finite, an impossible option.
    """
    gains = _gains(a, b, direction)
    if not 0 < alpha < 1 or (equivalence is not None and not equivalence > 0):
        raise UsageError(
            "the comparison is not defined",
            expected="0 < alpha < 1 and a margin above 0",
            found=f"alpha={alpha}, equivalence={equivalence}",
        )
    p = sign_flip_test(gains, seed=seed)
    assert p is not None
    low, high = paired_interval(gains, 1 - alpha, method, seed) or (None, None)
    found = Comparison(
        NOT_SHOWN, float(gains.mean()), low, high, p, 2.0 ** (1 - gains.size), gains.size, method, equivalence, alpha
    )
    narrow = paired_interval(gains, 1 - 2 * alpha, method, seed) if equivalence is not None and alpha < 0.5 else None
    return replace(found, word=_word(found, narrow))


def compare_family(
    pairs: Mapping[str, tuple[ArrayLike, ArrayLike]],
    direction: Direction = "higher",
    equivalence: float | None = None,
    *,
    alpha: float = 0.05,
    method: Method = "t",
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compare several pairs as one family: each ``p`` is Holm-adjusted and decides the word.

    Args:
        pairs: name -> (a, b), as :func:`compare_paired`.
    """
    alone = {
        name: compare_paired(a, b, direction, equivalence, alpha=alpha, method=method, seed=seed)
        for name, (a, b) in pairs.items()
    }
    adjusted = holm([found.p for found in alone.values()])
    return {name: in_family(found, p) for (name, found), p in zip(alone.items(), adjusted, strict=True)}


def in_family(found: Comparison, p: float) -> Comparison:
    """The same comparison as one of a family: ``p`` is its adjusted p, and *improves* and *worse* must survive it.

    Args:
        p: from :func:`holm` or :func:`veritrain.statistics.signflips.max_t_sign_flip`, in [0, 1].
    """
    keeps = found.word not in (IMPROVES, WORSE) or p <= found.alpha
    return replace(found, p=p, word=found.word if keeps else NOT_SHOWN)


def holm(p_values: ArrayLike) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given; reject where <= alpha.

    Args:
        p_values: (m,) in [0, 1]; a missing test (NaN) raises, for it belongs to the family as 1.

    Holm, Scandinavian Journal of Statistics 6, 1979: the i-th smallest of m is multiplied by
    m - i + 1, made non-decreasing and cut at 1. Controls the family-wise error under any dependence.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise UsageError(
            "not a family of p-values",
            expected="(m,) numbers from 0 to 1",
            found=str(values.tolist())[:80],
            fix="a claim whose test could not run enters the family with p = 1",
        )
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * (values.size - np.arange(values.size)))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(p) for p in adjusted]


def paired_interval(
    gains: ArrayLike, level: float = 0.95, method: Method = "t", seed: int = 0
) -> tuple[float, float] | None:
    """Interval of the mean of (n,) paired gains, in their unit; None with fewer than 2.

    "t" is Student's; "bca" the bias-corrected and accelerated bootstrap with 9,999 resamples.
    """
    values = np.asarray(gains, dtype=np.float64)
    if method not in ("t", "bca"):
        raise UsageError("unknown interval", expected="t or bca", found=str(method))
    if values.size < 2:
        return None
    centre, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))
    # Equal gains leave rounding, not spread: BCa would divide by it.
    if method == "t" or error <= 1e-12 * abs(centre) or error == 0:
        reach = float(stats.t.ppf((1 + level) / 2, values.size - 1)) * error
        return centre - reach, centre + reach
    found = stats.bootstrap((values,), np.mean, confidence_level=level, method="BCa", rng=np.random.default_rng(seed))
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _word(found: Comparison, narrow: tuple[float, float] | None) -> str:
    d = found.equivalence
    if d is not None and narrow is not None and -d < narrow[0] and narrow[1] < d:
        return f"equivalent within {d:g}"
    if found.low is None or found.high is None or found.p > found.alpha or found.low <= 0 <= found.high:
        return NOT_SHOWN
    return IMPROVES if found.low > 0 else WORSE


def _gains(a: ArrayLike, b: ArrayLike, direction: Direction) -> Floats:
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape or not left.size:
        raise UsageError("nothing to pair", expected="two (n,) arrays, n >= 1", found=f"{left.shape}, {right.shape}")
    bad = int(np.count_nonzero(~(np.isfinite(left) & np.isfinite(right))))
    if bad:
        raise UsageError(
            f"{bad} of {left.size} pairs are not finite",
            expected="a score for every seed of both",
            fix="a run that failed is a result: report it, do not drop its pair",
        )
    if direction not in ("higher", "lower"):
        raise UsageError("unknown direction", expected="higher or lower", found=str(direction))
    return left - right if direction == "higher" else right - left

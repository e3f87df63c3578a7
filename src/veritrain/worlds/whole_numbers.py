"""Whole numbers for shares: so many of each, adding up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def whole_numbers(shares: Sequence[float], total: int, *, fewest: int = 0) -> list[int]:
    """Whole numbers that add up to ``total``, nearest to the shares (largest remainder; the first wins a tie).

    Args:
        shares: not negative, not all 0; their sum does not matter.
        total: what they add up to.
        fewest: each is at least that, taken from the largest, where ``total`` has room for it.
    """
    exact = np.array(shares) / np.sum(shares) * total
    whole = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - whole.sum()]] += 1
    while total >= fewest * len(whole) and whole.min() < fewest:
        whole[int(np.argmin(whole))] += 1
        whole[int(np.argmax(whole))] -= 1
    return [int(count) for count in whole]

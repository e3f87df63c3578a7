"""The rule that knows the view without looking: the most frequent view of each class (valve). NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veritrain.data.sample import UNKNOWN


@dataclass(frozen=True, kw_only=True)
class ViewRule:
    """The most frequent view of each class.

    Attributes:
        view_of: (classes,) int64 view of each class; that of all pairs together where a class was never seen.
    """

    view_of: NDArray[np.int64]

    @staticmethod
    def fit(classes: NDArray[np.int64], views: NDArray[np.int64], *, of_classes: int, of_views: int) -> ViewRule:
        """Counts pairs of a class and a view; pairs with an unknown view are left out. The lower number wins a tie.

        Args:
            classes: (n,) class of a sample (a sample with two classes stands twice).
            views: (n,) its view, UNKNOWN where none is given.
            of_classes: number of classes.
            of_views: number of views, at least 1.
        """
        counts = view_table(classes, views, of_classes=of_classes, of_views=of_views)
        view_of = np.where(counts.any(axis=1), counts.argmax(axis=1), counts.sum(axis=0).argmax())
        return ViewRule(view_of=view_of.astype(np.int64))

    def accuracy(self, classes: NDArray[np.int64], views: NDArray[np.int64]) -> NDArray[np.float64]:
        """(classes,) share of each class's known views that the rule says; NaN for a class without any."""
        known = views != UNKNOWN
        right = self.view_of[classes[known]] == views[known]
        total = np.bincount(classes[known], minlength=len(self.view_of))
        hits = np.bincount(classes[known], weights=right, minlength=len(self.view_of))
        return np.divide(hits, total, out=np.full(len(self.view_of), np.nan), where=total > 0)


def view_table(
    classes: NDArray[np.int64], views: NDArray[np.int64], *, of_classes: int, of_views: int
) -> NDArray[np.int64]:
    """(classes, views) int64 pairs of a class and a known view."""
    table = np.zeros((of_classes, max(of_views, 1)), np.int64)
    known = views != UNKNOWN
    np.add.at(table, (classes[known], views[known]), 1)
    return table

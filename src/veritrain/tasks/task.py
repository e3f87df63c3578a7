"""What a task offers to the loop, the probes and the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor, nn

from veritrain.record import Claim

Batch = Mapping[str, Any]
"""Collated samples: tensors with the sample axis first, and "index" (B,) int64 into the data set."""

Predictions = Mapping[str, NDArray[Any]]
"""Numpy arrays; rows follow the samples' order unless the key says otherwise."""

Scores = Mapping[str, float | None]
"""Metric name to value; None where the metric is undefined on these labels."""


class Dataset(Protocol):
    """A map-style data set whose randomness is a pure function of what it is asked for."""

    def __len__(self) -> int: ...

    def sample(self, index: int, *, epoch: int, seed: int) -> Batch:
        """One sample, without a batch axis. The same arguments give the same bits."""
        ...

    def collate(self, samples: Sequence[Batch]) -> Batch: ...


class Task(Protocol):
    """What is learned.

    Attributes:
        name: the word after ``veritrain train``.
        claims: the headline first.
        term_weights: loss term to its weight in the total.

    Where several tasks share the network, a task object also has ``term_groups``, task to its terms: their gradients
    are then watched and may be balanced (see ``training.balancing``).
    """

    @property
    def name(self) -> str: ...

    @property
    def claims(self) -> tuple[Claim, ...]: ...

    @property
    def term_weights(self) -> Mapping[str, float]: ...

    def model(self) -> nn.Module:
        """A fresh network; it names its ``shared_parameters()`` and its ``inputs``."""
        ...

    def losses(self, output: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Term to (B,) unweighted per-sample losses; 0 for a sample without a label of that term, in which case the
        task also has ``term_counts(batch)``, term to (B,) 1 or 0 (see ``training.terms``)."""
        ...

    def predict(self, output: Mapping[str, Tensor], batch: Batch) -> Predictions: ...

    def score(self, predictions: Predictions) -> Scores: ...

    def chance(self, predictions: Predictions) -> Scores:
        """The exact expected score of random scores on these labels."""
        ...

"""What a task offers to the loop, the probes and the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor, nn

from veritrain.record import Claim
from veritrain.tasks.tables import ScoreTables

Batch = Mapping[str, Any]
"""Collated samples: tensors with the sample axis first, and "index" (B,) int64 into the data set."""

Predictions = Mapping[str, NDArray[Any]]
"""Numpy arrays; rows follow the samples' order unless the key says otherwise."""

Scores = Mapping[str, float | None]
"""Metric name to value; None where the metric is undefined on these labels."""


@dataclass(frozen=True, kw_only=True)
class KnownAnswers:
    """Predictions on given labels whose score is known beforehand; a probe holds the task's own scores against them.

    Attributes:
        perfect: scores 1. inverted: the worst order of the same answers. constant: the same answer for everything.
        random: seed to random answers, whose mean score is the task's chance level for them.
        about: further facts about the labels, for the record.
    """

    perfect: Predictions
    inverted: Predictions
    constant: Predictions
    random: Callable[[int], Predictions]
    about: Mapping[str, float] = field(default_factory=dict)


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

    def tables(self, predictions: Predictions, groups: Sequence[str]) -> ScoreTables:
        """The predictions reduced to what their scores need; ``groups`` (N,) names the group of each sample.

        No score depends on the order of the samples: something that says the same of each must gain nothing from it.
        """
        ...

    def known_answers(self, predictions: Predictions, metric: str) -> KnownAnswers:
        """Answers with known scores on the labels of ``predictions``, for one claim."""
        ...

    @property
    def sample_kinds(self) -> tuple[float, ...]:
        """The kinds of samples that a small batch should hold in equal parts, so that no constant fits it."""
        ...

    def kind_of(self, sample: Batch) -> float:
        """One of ``sample_kinds``, or anything else for a sample that belongs to none."""
        ...

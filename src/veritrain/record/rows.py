"""What a record is made of: rows, statements, remarks, claims, evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from veritrain.record.holder import Holder


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number that somebody logged.

    Attributes:
        file: the artefact's path as given. line: 1-based line of the number.
        run: "1", "2", ... when one file holds several runs (the epoch counter restarts).
        split: "train", "val", "test" or None when the artefact does not say.
        name: canonical name ("loss", "accuracy", "auroc", "ap", "map", "map_50", "f1", "recall", "precision",
            "learning_rate", ...); loss terms keep their own name after a slash ("loss/box").
        raw: the name as it was written.
        value: a number in the canonical unit (percent becomes a fraction), None when it was not finite.
        nonfinite: "nan", "inf" or "-inf" when the number was not finite.
        half_ulp: half a unit of the last displayed place (0.00005 for "0.0000"), in the canonical unit; 0 when exact.
        step, epoch: where in training; None when the artefact does not say.
    """

    file: str
    line: int
    name: str
    raw: str
    value: float | None
    run: str = "1"
    split: str | None = None
    step: int | None = None
    epoch: float | None = None
    nonfinite: str | None = None
    half_ulp: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A sentence of a report that claims something, or admits it.

    ``kind`` is one of success, improvement, converged, no_overfitting, target, estimate, pending, best_epoch,
    architecture, labels, prevalence, loss_definition; ``values`` holds the numbers read from it.
    """

    file: str
    line: int
    kind: str
    text: str
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Something a log says about its own process: crash, swallowed_exception, success_banner, epoch_restart,
    truncated, stopped_early, key_mismatch, empty_split, same_split, not_measured, numbers_made_up."""

    file: str
    line: int
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a verdict is about: a metric on a split, the direction that is better, and the least gain that counts."""

    metric: str
    split: str = "test"
    higher_is_better: bool = True
    minimal_effect: float = 0.0
    subgroup: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one probe found. ``status`` is done, crashed or skipped; ``note`` says why when it is not done."""

    probe: str
    version: int
    inputs_hash: str
    values: Mapping[str, Any]
    seconds: float
    status: str = "done"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Everything a check may look at. The options of the run are not part of it.

    Attributes:
        path: the run folder or the foreign file.
        kind: "run" for our own folder, else the reader's name ("csv_history", "text_log", "report").
        task: the task's name for our own runs, else None.
        claims: the claims of the run, the headline first; empty for a foreign artefact.
        claim: the claim that is being judged (the headline unless a caller replaces it).
        events: the lines of ``record.jsonl``, each with its 1-based ``line``.
        data, results: ``data.json`` and ``results.json``, None when absent.
        checkpoint_sha256: of the weights on disk that ``results.json`` names, None when there are none.
        holder: of the run's lock when it was read, None for anything but a run folder.
    """

    path: Path
    kind: str
    task: str | None = None
    claims: tuple[Claim, ...] = ()
    claim: Claim | None = None
    events: tuple[Mapping[str, Any], ...] = ()
    rows: tuple[Row, ...] = ()
    statements: tuple[Statement, ...] = ()
    remarks: tuple[Remark, ...] = ()
    data: Mapping[str, Any] | None = None
    results: Mapping[str, Any] | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    torn_line: int | None = None
    checkpoint_sha256: str | None = None
    holder: Holder | None = None

    def of(self, event: str) -> list[Mapping[str, Any]]:
        """All events of one kind, in order."""
        return [line for line in self.events if line["event"] == event]

    def about(self, claim: Claim) -> RunRecord:
        """The same record, judged for another claim."""
        return replace(self, claim=claim)

    def basis(self) -> str | None:
        """What evidence must rest on to count for these results: a hash of the scored weights and the split.

        None when the results do not say which checkpoint they are of.
        """
        weights = ((self.results or {}).get("checkpoint") or {}).get("sha256")
        split = (self.data or {}).get("split_sha256")
        if weights is None or split is None:
            return None
        return hashlib.sha256(f"{weights}\n{split}".encode()).hexdigest()

    def score(self) -> Mapping[str, Any] | None:
        """The claim's entry in ``results.json``: value, ci95, n, groups, chance, baseline."""
        if self.results is None or self.claim is None:
            return None
        part = self.results if self.claim.split == "test" else self.results.get("selection", {})
        found: Mapping[str, Any] | None = part.get("metrics", {}).get(self.claim.metric)
        return found

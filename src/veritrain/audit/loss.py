"""Checks of the loss: finite, not vanished, below the best constant, comparable with itself."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from veritrain.audit.bare_log import most_classes
from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.audit.scores import beats_trivial, ranks_well
from veritrain.audit.series import HELD_OUT, Series, loss_series
from veritrain.record import Evidence, Row, RunRecord, Statement

VANISHED_BELOW = 1e-4
"""A loss below this share of its first value has vanished."""
VANISHED_SHARE = 0.2
NEAR_PRIOR = 0.02
NEAR_LINES = 10
FLAT_GAIN = 0.02
LEAST_POINTS = 10

_RERUN = "log the held-out score beside the loss, and the loss of the best constant output (veritrain probe)"


class Finite:
    """No loss became NaN or infinite."""

    id = "T1"
    name = "finite"
    subject = "loss"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return _finite_run(record)
        if not record.rows:
            return not_run("no numbers were read")
        broken = [row for row in record.rows if _breaks(row)]
        if not broken:
            undefined = [row for row in record.rows if row.nonfinite]
            if not undefined:
                return passed(f"all {len(record.rows)} numbers are finite")
            return failed(
                f"{undefined[0].raw} is {undefined[0].nonfinite} on line {undefined[0].line}; the losses are finite",
                value=len(_lines(undefined)),
                bound=0,
                evidence=_cite(undefined),
                on_fail="notes",
            )
        return _judge_broken(record, broken)


def _breaks(row: Row) -> bool:
    """A loss that is not finite; an infinite best-so-far loss outside of every epoch is where a search starts."""
    if not row.nonfinite or row.name.partition("/")[0] not in ("loss", "best"):
        return False
    starts = row.name.startswith("best/") and row.epoch is None and row.nonfinite != "nan"
    return not starts


def _beside_training(record: RunRecord, broken: Sequence[Row]) -> bool:
    """Only held-out losses or terms broke, every total training loss is finite, and the held-out score is good."""
    if any(row.split not in HELD_OUT and not row.name.startswith("loss/") for row in broken):
        return False
    training = [row for row in record.rows if row.split not in HELD_OUT and row.name.partition("/")[0] == "loss"]
    totals = [row for row in training if row.name == "loss"] or training
    return bool(totals) and not any(row.nonfinite for row in totals) and beats_trivial(record)


def _finite_run(record: RunRecord) -> Finding:
    events = record.of("nonfinite")
    rows = [row for row in record.rows if row.nonfinite]
    if not events and not rows:
        return passed("every recorded loss, score and gradient is finite", value=0, bound=0)
    lines = [int(event["line"]) for event in events] or [row.line for row in rows]
    name = events[0].get("name") if events else rows[0].raw
    cited = tuple(Citation(file=str(record.path / "record.jsonl"), line=line) for line in lines[:5])
    return failed(
        f"{name} was not finite on line {lines[0]} of the record ({len(lines)} times)",
        value=len(lines),
        bound=0,
        evidence=cited,
        to_settle="train again with a lower learning rate; the record names the batch and its samples",
    )


def _judge_broken(record: RunRecord, broken: Sequence[Row]) -> Finding:
    first, count = broken[0], len(_lines(broken))
    said = f"{first.raw} is {first.nonfinite} on line {first.line}"
    if _beside_training(record, broken):
        return failed(
            f"{said}; the training loss is finite and the held-out score is above the trivial level",
            value=count,
            bound=0,
            evidence=_cite(broken),
            on_fail="notes",
        )
    if _recovered(record, broken):
        return failed(
            f"{said}, but finite again afterwards", value=count, bound=0, evidence=_cite(broken), on_fail="notes"
        )
    return failed(
        f"{said}"
        + (f" and on {count - 1} more line{'s' if count > 2 else ''}" if count > 1 else "")
        + ", and does not become finite again",
        value=count,
        bound=0,
        evidence=_cite(broken),
        to_settle="find the first batch whose loss is not finite; train again from a checkpoint before it",
    )


def _recovered(record: RunRecord, broken: Sequence[Row]) -> bool:
    """Every series that broke ends with finite numbers, and at least as many of them as were lost."""
    for key in {(row.run, row.split, row.name) for row in broken}:
        rows = [row for row in record.rows if (row.run, row.split, row.name) == key]
        last = max(index for index, row in enumerate(rows) if row.nonfinite)
        lost = sum(bool(row.nonfinite) for row in rows)
        if len(rows) - 1 - last < max(3, lost):
            return False
    return True


def _lines(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """File and line of each, once: several cells of one line are one line."""
    return list(dict.fromkeys((row.file, row.line) for row in rows))


def _cite(rows: Sequence[Row]) -> tuple[Citation, ...]:
    return tuple(Citation(file=file, line=line) for file, line in _lines(rows)[:5])


class LossNotVanished:
    """The loss did not fall to nothing."""

    id = "T2"
    name = "loss_not_vanished"
    subject = "loss"
    needs: tuple[str, ...] = ("rows",)
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        found = vanished(record)
        if found is None:
            return passed("no training loss is zero as printed")
        series, zeros = found
        if beats_trivial(record):
            return passed(
                f"{series.place_name()} vanishes, and the held-out score is above the trivial level all the same"
            )
        return failed(
            f"{series.place_name()} is {_as_printed(series, zeros)} in {zeros} of {len(series.points)} "
            f"places up to the end: "
            "less than a ten-thousandth of its largest, and no held-out score shows that something was learned",
            value=series.values[-1],
            bound=VANISHED_BELOW * abs(series.first),
            evidence=series.cite(series.points[-zeros], series.points[-1]),
            to_settle="flip the labels of one batch: if the loss stays the same, it does not read them",
        )


def vanished(record: RunRecord) -> tuple[Series, int] | None:
    """The training loss that ends at zero as printed, and how many of its last places are zero."""
    starts = [row.value for row in record.rows if row.name == "first/loss" and row.value]
    for series in loss_series(record):
        start = starts[0] if starts else max(series.values, default=0.0)
        zeros = 0
        for value in reversed(series.values):
            if abs(value) > VANISHED_BELOW * abs(start) or (start == 0 and value != 0):
                break
            zeros += 1
        if zeros and zeros >= VANISHED_SHARE * len(series.points):
            return series, zeros
    return None


def _as_printed(series: Series, zeros: int) -> str:
    point = series.points[-zeros]
    return (
        f"printed as {point.value:g} (below {point.half_ulp:g})"
        if point.half_ulp and not point.value
        else f"at most {max(one.value for one in series.points[-zeros:]):g}"
    )


class BeatsConstantLoss:
    """Loss and accuracy are not those of one constant answer."""

    id = "T5"
    name = "beats_constant_loss"
    subject = "loss"
    needs: tuple[str, ...] = ("rows", "statements")
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        two = most_classes(record) <= 2
        priors = [
            one
            for kind in ("prevalence", "labels")  # what is stated goes before what can be read off a drawn label
            for one in record.statements
            if two and one.kind == kind and _two_classes(one)
        ]
        pairs = _loss_and_accuracy(record)
        if not priors or not pairs:
            return not_run("neither a prevalence of two classes nor a loss beside its accuracy is stated")
        for prior in priors:
            for loss, accuracies in pairs:
                finding = _at_prior(prior, loss, accuracies)
                if finding is not None:
                    return replace(finding, on_fail="notes") if _lifted(record) else finding
        return passed("loss and accuracy are better than those of the stated prevalence")


def _lifted(record: RunRecord) -> bool:
    """A good score, or a loss that was weighted or smoothed: its value then is no cross-entropy of the labels."""
    weighted = any(one.kind == "weighted_loss" for one in record.statements)
    return weighted or ranks_well(record) or beats_trivial(record)


def _two_classes(statement: Statement) -> bool:
    return "positive" in statement.values or "chance" in statement.values or statement.values.get("classes") == 2


def _loss_and_accuracy(record: RunRecord) -> list[tuple[Row, list[Row]]]:
    """Per split: the last loss, and every accuracy of that split that has an epoch or stands near that loss."""
    losses: dict[str | None, Row] = {}
    accuracies: dict[str | None, list[Row]] = defaultdict(list)
    for row in record.rows:
        if row.value is None:
            continue
        if row.name == "loss":
            losses[row.split] = row
        elif row.name in ("accuracy", "best/accuracy"):
            accuracies[row.split].append(row)
    pairs = []
    for split, loss in losses.items():
        near = [row for row in accuracies[split] if row.epoch is not None or abs(row.line - loss.line) <= NEAR_LINES]
        if near:
            pairs.append((loss, near))
    return pairs


def _at_prior(prior: Statement, loss: Row, accuracies: Sequence[Row]) -> Finding | None:
    share = prior.values.get("positive") or prior.values.get("chance") or 1 - prior.values["majority"]
    majority = max(share, 1 - share)
    entropy = -(share * math.log(share) + (1 - share) * math.log(1 - share))
    best = max(accuracies, key=lambda row: row.value or 0.0)
    value = loss.value or 0.0
    if (best.value or 0.0) > majority + NEAR_PRIOR or value + loss.half_ulp < entropy:
        return None
    lines = [prior.line, best.line, loss.line]
    told = (
        f"stated on line {prior.line}"
        if prior.kind == "prevalence"
        else f"as the labels of line {prior.line} are drawn"
    )
    return failed(
        f"accuracy is at most {best.value:.4f} (line {best.line}) where one constant answer to two classes "
        f"scores "
        f"{majority:.4g} ({told}), and the loss {value:.4g} (line {loss.line}) is "
        f"not below {entropy:.4f}, "
        "the cross-entropy of that constant answer",
        value=value,
        bound=round(entropy, 4),
        evidence=tuple(Citation(file=loss.file, line=line) for line in dict.fromkeys(lines)),
        to_settle="report AUROC or AP on held-out data with fixed labels; read every label twice and compare",
    )


class LossMoves:
    """The training loss falls over the run."""

    id = "T3"
    name = "loss_moves"
    subject = "loss"
    needs: tuple[str, ...] = ("rows",)
    on_fail: OnFail = "notes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        long = [one for one in loss_series(record) if len(one.points) >= LEAST_POINTS and one.first > 0]
        if not long:
            return not_run("no total training loss with at least 10 places")
        for one in long:
            gain = (one.first - one.settled()) / one.first
            if gain < FLAT_GAIN:
                return failed(
                    f"{one.place_name()} goes from {one.first:.4g} to {one.settled():.4g}: a change of {gain:+.1%}",
                    value=gain,
                    bound=FLAT_GAIN,
                    evidence=one.cite(),
                    to_settle="overfit one batch: if the loss does not fall there either, nothing is being optimised",
                )
        return passed(f"{long[0].place_name()} goes from {long[0].first:.4g} to {long[0].settled():.4g}")


class LossFallsGradually:
    """The loss is not solved in the first twentieth of the run."""

    id = "T4"
    name = "loss_falls_gradually"
    subject = "loss"
    needs: tuple[str, ...] = ("rows",)
    on_fail: OnFail = "notes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        long = [
            one for one in loss_series(record) if len(one.points) >= 2 * LEAST_POINTS and one.first > one.values[-1]
        ]
        if not long:
            return not_run("no total training loss with at least 20 places that falls")
        for one in long:
            early = one.values[max(1, len(one.values) // 20)]
            share = (one.first - early) / (one.first - min(one.values))
            if share >= 0.99:
                return failed(
                    f"{share:.0%} of the fall of {one.place_name()} happens in the first twentieth of the run",
                    value=share,
                    bound=0.99,
                    evidence=one.cite(),
                    to_settle=_RERUN,
                )
        return passed("the loss keeps falling after the first twentieth of the run")

"""Checks of the terms of a loss: declared but never computed, totals under changing weights, box terms worse than one
constant box."""

from __future__ import annotations

from collections.abc import Mapping

from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.audit.scores import beats_trivial
from veritrain.audit.series import Series, loss_series, series_of
from veritrain.record import Evidence, RunRecord

WEIGHT_CHANGE = 0.01
LEAST_POINTS = 10


class TotalsComparable:
    """A total loss is compared with itself only at fixed weights."""

    id = "T16"
    name = "totals_comparable"
    subject = "terms"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        finding = _claimed_total(record) or _weights_move(record)
        if finding is None:
            return passed("no total loss is compared across changing weights")
        if beats_trivial(record):
            return passed("the loss weights change, and the held-out score is above the trivial level all the same")
        return finding


def _claimed_total(record: RunRecord) -> Finding | None:
    changed = [one for one in record.statements if one.kind == "weights_changed"]
    totals = [
        one
        for one in record.statements
        if one.kind == "improvement"
        and "from" in one.values
        and any(word in one.text.lower() for word in ("总损失", "總損失", "total loss"))
    ]
    if not changed or not totals:
        return None
    total = totals[0]
    return failed(
        f"the total loss is said to improve from {total.values['from']:g} to {total.values['to']:g} (line "
        f"{total.line}) while its "
        f"weights changed (line {changed[0].line}): the two totals measure different sums",
        value=total.values["to"],
        bound=total.values["from"],
        evidence=tuple(Citation(file=total.file, line=line) for line in (total.line, changed[0].line)),
        to_settle="report each unweighted term, or both totals at the same weights",
    )


def _weights_move(record: RunRecord) -> Finding | None:
    weights = [one for one in series_of(record) if one.base == "weight" and len(one.points) >= 2]
    totals = [one for one in loss_series(record) if len(one.points) >= 2]
    for weight in weights:
        low, high = min(weight.values), max(weight.values)
        if totals and high - low > WEIGHT_CHANGE * max(abs(low), abs(high)):
            return failed(
                f"{weight.name} moves between {low:g} and {high:g}, so the total loss at the end "
                f"({totals[0].values[-1]:g}) and at the "
                f"start ({totals[0].first:g}) are not the same sum",
                value=high,
                bound=low,
                evidence=(*weight.cite(), *totals[0].cite()),
                to_settle="compare the unweighted terms, or both totals at the same weights",
            )
    return None


class BoxesBeatConstant:
    """Predicted boxes overlap better than one box that covers the whole image."""

    id = "T21"
    name = "boxes_beat_constant"
    subject = "terms"
    needs: tuple[str, ...] = ("rows",)
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        every = series_of(record)
        giou = [one for one in every if one.name == "loss/giou" and len(one.points) >= LEAST_POINTS]
        if not giou:
            return not_run("no GIoU loss over at least 10 epochs")
        for one in giou:
            late = one.values[len(one.values) // 2 :]
            if min(late) >= 1.0 and _unweighted(record, one) and not beats_trivial(record):
                return failed(
                    f"{one.place_name()} is {one.settled():.4f} at the end and never below "
                    f"{min(late):.4f} in the second half: the mean "
                    "GIoU is below 0, while one box that covers the whole image always has a GIoU above 0",
                    value=one.settled(),
                    bound=1.0,
                    evidence=one.cite(),
                    to_settle="score mAP or mean IoU on held-out images beside that of the mean box",
                )
        return passed(f"the GIoU loss ends at {giou[0].settled():.3f}", value=giou[0].settled(), bound=1.0)


def _unweighted(record: RunRecord, giou: Series) -> bool:
    """The printed terms sum to less than the printed total, so the term stands before its weight."""
    last = giou.points[-1].place
    rows = [
        row
        for row in record.rows
        if row.epoch == last and row.split == giou.split and row.run == giou.run and row.value is not None
    ]
    near = [row for row in rows if abs(row.line - giou.points[-1].line) <= 8]
    totals = [row.value for row in near if row.name == "loss" and row.value is not None]
    terms = {row.name: row.value for row in near if row.name.startswith("loss/") and row.value is not None}
    return bool(totals) and len(terms) >= 2 and totals[-1] > 1.05 * sum(terms.values())


class DeclaredTermsComputed:
    """Every loss term that the run declares with a weight is computed while it trains."""

    id = "T24"
    name = "declared_terms_computed"
    subject = "terms"
    needs: tuple[str, ...] = ("run", "events")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        start = next((event for event in record.of("start") if event.get("terms")), None)
        if start is None:
            return not_run("the record does not tell which loss terms the run declared")
        declared = {name: weight for name, weight in start["terms"].items() if weight}
        recorded = {row.name.removeprefix("loss/") for row in record.rows if row.name.startswith("loss/")}
        if not recorded & set(declared):
            return not_run("no step of training was recorded")
        never = sorted(set(declared) - recorded)
        if not never:
            return passed(f"each of the {len(declared)} declared loss terms was computed", value=0, bound=0)
        weights = ", ".join(f"{name} (weight {declared[name]:g})" for name in never)
        return failed(
            f"the run declares the loss term {weights}, and no step of training computed it: what it is named for is "
            "not what was trained",
            value=len(never),
            bound=0,
            evidence=(Citation(file=str(record.path / "record.jsonl"), line=start["line"]),),
            to_settle="add the term to the loss, or take it out of what the run declares",
        )

"""Checks of what a report claims against the numbers it prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from veritrain.audit.bare_log import Confusion, confusions_of
from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.audit.loss import vanished
from veritrain.audit.scores import beats_trivial, held_out_rows, ranks_well
from veritrain.readers.names import PERCENTABLE, SCORES
from veritrain.readers.readings import PERCENT_ABOVE
from veritrain.record import Evidence, Row, RunRecord, Statement

CLAIMS = ("success", "converged", "improvement")
DIFFERENT_BY = 0.30
"""Two accuracies of the same model on held-out data do not differ by this much."""
NEAR_LINES = 15
HIGH_ACCURACY, LOW_F1 = 0.80, 0.10
RARE_FOUND = 0.10
PERCENT_OFF = 5.0
SCALES = {
    **dict.fromkeys(SCORES, (0.0, 1.0)),
    "error_rate": (0.0, 1.0),
    "mcc": (-1.0, 1.0),
    "kappa": (-1.0, 1.0),
    "r2": (-math.inf, 1.0),
    "wer": (0.0, math.inf),
    "cer": (0.0, math.inf),
}
"""What each score can be."""
UNDEFINED = -1.0
"""What detection tools print where a score has no sample."""


def _said(record: RunRecord, *kinds: str) -> list[Statement]:
    return [one for one in record.statements if one.kind in kinds]


def _lines(file: str, lines: Iterable[int]) -> tuple[Citation, ...]:
    return tuple(Citation(file=file, line=line) for line in dict.fromkeys(lines))


class ClaimsSupported:
    """What the report claims follows from the numbers it prints."""

    id = "J13"
    name = "claims_supported"
    subject = "claims"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run("about reports and logs of other tools")
        for rule in (
            _sold_a_vanished_loss,
            _two_accuracies,
            _matrix_misfits,
            _impossible,
            _out_of_order,
            _sold_estimates,
            _percent_misfits,
            _best_after_end,
        ):
            finding = rule(record)
            if finding is not None:
                return finding
        return passed("no claim contradicts a number in the file")


def _sold_a_vanished_loss(record: RunRecord) -> Finding | None:
    found, claims = vanished(record), _said(record, *CLAIMS)
    if found is None or not claims or held_out_rows(record):
        return None
    series, _ = found
    if series.values[-1] != 0:
        return None
    claim = next((one for one in claims if one.kind == "converged"), claims[0])
    estimates = _said(record, "estimate")
    guess = f"; its other scores are estimates (line {estimates[0].line})" if estimates else ""
    first = series.points[-1]
    return failed(
        f"'{claim.text[:60]}' (line {claim.line}) rests on a training loss printed as {first.value:g} "
        f"(below {first.half_ulp:g}, line "
        f"{first.line}) and on no held-out score{guess}: a loss of 0 alone "
        "shows no learning",
        value=first.value,
        bound=first.half_ulp,
        evidence=_lines(claim.file, [claim.line, first.line, *(one.line for one in estimates[:1])]),
        to_settle="flip the labels of one batch and compare the loss; score AUROC and AP on a held-out split",
    )


def _two_accuracies(record: RunRecord) -> Finding | None:
    """A classification report against the held-out accuracy that the same file states."""
    reported = [row for row in record.rows if row.name == "accuracy/classification report" and row.value is not None]
    stated = [
        row for row in record.rows if row.name == "accuracy" and row.split in ("val", "test") and row.value is not None
    ]
    if not reported or not stated:
        return None
    last = stated[-1]
    gap = (reported[-1].value or 0.0) - (last.value or 0.0)
    if abs(gap) <= DIFFERENT_BY:
        return None
    return failed(
        f"the {last.split} accuracy is {last.value:.4f} on line {last.line} and {reported[-1].value:.4f} "
        f"in the classification report "
        f"on line {reported[-1].line}: two evaluations of one model on held-out data do not differ by so much",
        value=gap,
        bound=DIFFERENT_BY,
        evidence=_lines(last.file, [last.line, reported[-1].line]),
        on_fail="unproves" if _heading_between(record, last.line, reported[-1].line) else None,
        to_settle="evaluate the checkpoint once on the test split and print both from the same predictions",
    )


def _matrix_misfits(record: RunRecord) -> Finding | None:
    for matrix in confusions_of(record):
        near = [
            row
            for row in record.rows
            if row.name == "accuracy"
            and row.split != "train"
            and row.value is not None
            and abs(row.line - matrix.line) <= NEAR_LINES
            and (row.split is None or matrix.split is None or row.split == matrix.split)
            and not _heading_between(record, row.line, matrix.line)
        ]
        if near and all(_misfits(row, matrix) for row in near):
            row = min(near, key=lambda one: abs(one.line - matrix.line))
            effect: OnFail = "refutes" if row.split is not None and row.split == matrix.split else "unproves"
            return failed(
                f"the confusion matrix on line {matrix.line} has {matrix.correct:g} of {matrix.n:g} right "
                f"({matrix.accuracy:.4f}), but "
                f"the accuracy on line {row.line} is {row.value:.4f}",
                value=row.value,
                bound=round(matrix.accuracy, 6),
                evidence=_lines(matrix.file, [matrix.line, row.line]),
                on_fail="notes" if beats_trivial(record) else effect,
                to_settle="recompute both from the stored predictions",
            )
    return None


def _heading_between(record: RunRecord, one: int, other: int) -> bool:
    """Two numbers under different headings may be of two models."""
    low, high = sorted((one, other))
    return any(low < said.line < high for said in record.statements if said.kind == "heading")


def _misfits(row: Row, matrix: Confusion) -> bool:
    return abs((row.value or 0.0) - matrix.accuracy) > max(0.01, 2 * row.half_ulp)


def _impossible(record: RunRecord) -> Finding | None:
    placed = [
        row
        for row in record.rows
        if row.name in SCALES
        and row.value is not None
        and row.half_ulp > 0
        and not (row.epoch is None and row.step is None)
    ]
    for row in placed:
        low, high = SCALES[row.name]
        value = row.value or 0.0
        if value == UNDEFINED or (low <= value + 1e-9 and value <= high + max(1e-6, 2 * row.half_ulp)):
            continue
        if value < low and _negated(row, placed):
            continue
        return failed(
            f"{row.raw} is {value:.4g} on line {row.line}, outside of {_scale(low, high)}",
            value=value,
            bound=high if value > high else low,
            evidence=_lines(row.file, [row.line]),
            on_fail="unproves" if value > high and _may_be_percent(row) else None,
            to_settle="test the metric on predictions whose score is known, and print its unit",
        )
    return None


def _out_of_order(record: RunRecord) -> Finding | None:
    """The same boxes cannot do better where more overlap is asked: AP50 is the largest of COCO's numbers."""
    beside: dict[tuple[str, str | None, int], dict[str, Row]] = {}
    for row in record.rows:
        if row.name in ("map", "map_50", "map_75") and row.value is not None and row.value != UNDEFINED:
            beside.setdefault((row.run, row.split, row.line), {}).setdefault(row.name, row)
    for rows in beside.values():
        loose = rows.get("map_50")
        for strict in (rows.get("map"), rows.get("map_75")):
            if loose is None or strict is None or loose.value is None or strict.value is None:
                continue
            if strict.value > loose.value + 2 * (loose.half_ulp + strict.half_ulp) + 1e-6:
                return failed(
                    f"{strict.raw} is {strict.value:.4g} on line {strict.line}, above {loose.raw} = {loose.value:.4g} "
                    "beside it, which asks for less",
                    value=strict.value,
                    bound=loose.value,
                    evidence=_lines(strict.file, [strict.line]),
                    to_settle="score the predictions with pycocotools, and print which column is which",
                )
    return None


def _may_be_percent(row: Row) -> bool:
    return row.name == "r2" or (row.name in PERCENTABLE and (row.value or 0.0) <= PERCENT_ABOVE)


def _negated(row: Row, placed: Sequence[Row]) -> bool:
    """A score that is printed as a loss, with its sign turned, is at or below 0 everywhere."""
    same = [one.value or 0.0 for one in placed if (one.name, one.split) == (row.name, row.split)]
    return max(same) <= 0


def _scale(low: float, high: float) -> str:
    if high == math.inf:
        return f"what it can be (at least {low:g})"
    return f"what it can be (at most {high:g})" if low == -math.inf else f"{low:g} to {high:g}"


def _sold_estimates(record: RunRecord) -> Finding | None:
    estimates, wins = _said(record, "estimate"), _said(record, "improvement")
    if held_out_rows(record) or not estimates:
        return None
    for guess in estimates:
        for win in wins:
            if 0 <= win.line - guess.line <= NEAR_LINES and "percent" in win.values:
                return failed(
                    f"'{win.text[:70]}' (line {win.line}) is concluded from numbers that the report calls "
                    f"estimates (line {guess.line}), "
                    "and it holds no measured held-out score",
                    evidence=_lines(guess.file, [guess.line, win.line]),
                    on_fail="unproves",
                    to_settle="measure both sides on the same held-out split",
                )
    return None


def _percent_misfits(record: RunRecord) -> Finding | None:
    for claim in _said(record, "improvement"):
        values = claim.values
        if not {"from", "to", "percent"} <= set(values) or values["from"] == 0 or values["to"] == 0:
            continue
        off = min(
            abs(values["percent"] - said)
            for said in _percentages(values["from"], values["to"], bool(values["in_percent"]))
        )
        if off > PERCENT_OFF + values["percent_half_ulp"]:
            return failed(
                f"'{claim.text[:80]}' (line {claim.line}): {values['from']:g} to {values['to']:g} is no "
                f"change of {values['percent']:g} %",
                value=values["percent"],
                bound=round(100 * (values["to"] - values["from"]) / values["from"], 2),
                evidence=_lines(claim.file, [claim.line]),
                on_fail="notes" if beats_trivial(record) else "unproves",
                to_settle="recompute the percentage from the two numbers",
            )
    return None


def _percentages(first: float, last: float, in_percent: bool) -> Sequence[float]:
    """Every way people express a change: relative to the start, to the end, in points, as a share that is left."""
    points = abs(last - first) * (1 if in_percent else 100)
    return (
        100 * abs(last - first) / abs(first),
        100 * abs(last - first) / abs(last),
        points,
        100 * last / first,
        100 * first / last,
    )


def _best_after_end(record: RunRecord) -> Finding | None:
    best = _said(record, "best_epoch")
    planned = [one.values["epochs"] for one in _said(record, "epochs_stated", "epochs_done")]
    seen = [row.epoch for row in record.rows if row.epoch is not None]
    if not best or not planned:
        return None
    most = max([*planned, *seen])
    late = [one for one in best if one.values["epoch"] > most]
    if not late:
        return None
    return failed(
        f"the best epoch is {late[0].values['epoch']:g} (line {late[0].line}) in a training of {most:g} epochs",
        value=late[0].values["epoch"],
        bound=most,
        evidence=_lines(late[0].file, [late[0].line]),
        on_fail="notes" if beats_trivial(record) else "unproves",
        to_settle="say which run each number comes from",
    )


class AccuracyCarriesF1:
    """A high accuracy is not bought by hardly ever naming the rarer answer."""

    id = "J15"
    name = "accuracy_carries_f1"
    subject = "claims"
    needs: tuple[str, ...] = ("rows",)
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run("about reports and logs of other tools")
        ran = False
        for split in dict.fromkeys(row.split for row in record.rows if row.split != "train"):
            last = {row.name: row for row in record.rows if row.split == split and row.value is not None}
            if "accuracy" not in last or "f1" not in last:
                continue
            ran = True
            best = max(
                (row.value or 0.0 for row in record.rows if row.split == split and row.name == "f1"), default=0.0
            )
            finding = _hollow(last) if best <= 2 * LOW_F1 else None
            if finding is not None:
                lifted = ranks_well(record) or _finds_the_rare(record, last["accuracy"])
                return replace(finding, on_fail="notes") if lifted else finding
        return (
            passed("F1 is not near 0 where accuracy is high")
            if ran
            else not_run("accuracy and F1 are not given together")
        )


def _finds_the_rare(record: RunRecord, accuracy: Row) -> bool:
    """An average precision clearly above the share of the rarer answer, which is its trivial level."""
    rare = 1.0 - (accuracy.value or 0.0)
    return any(
        row.name in ("ap", "map", "map_50") and row.split != "train" and (row.value or 0.0) > rare + RARE_FOUND
        for row in record.rows
    )


def _hollow(last: Mapping[str, Row]) -> Finding | None:
    accuracy, f1, recall = last["accuracy"], last["f1"], last.get("recall")
    high = (accuracy.value or 0.0) >= HIGH_ACCURACY and (f1.value or 0.0) <= LOW_F1
    if not high or (recall is not None and (recall.value or 0.0) > LOW_F1):
        return None
    return failed(
        f"accuracy {accuracy.value:.4f} (line {accuracy.line}) stands beside a mean F1 of {f1.value:.4f} "
        f"(line {f1.line}): an F1 near 0 "
        "is what always answering 'no' scores too",
        value=f1.value,
        bound=LOW_F1,
        evidence=_lines(accuracy.file, [accuracy.line, f1.line]),
        to_settle="report AP or F1 per class beside the prevalence of the class",
    )


class LossDefinitionReadsLabels:
    """The loss that the report shows reads a label."""

    id = "S13"
    name = "loss_definition_reads_labels"
    subject = "claims"
    needs: tuple[str, ...] = ("statements",)
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        shown = _said(record, "loss_definition")
        if not shown:
            return not_run("no definition of a loss is shown")
        return failed(
            f"the loss on line {shown[0].line}, '{shown[0].text[:90]}', is made of one output alone: no "
            f"label can change it",
            evidence=_lines(shown[0].file, [one.line for one in shown]),
            on_fail="notes" if beats_trivial(record) else "unproves",
            to_settle="flip the labels of one batch and compare the loss (veritrain probe loss_under_flipped_labels)",
        )


class LabelDefinitionDeterministic:
    """The labels that the report shows are not drawn at random."""

    id = "D20"
    name = "label_definition_deterministic"
    subject = "claims"
    needs: tuple[str, ...] = ("statements",)
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        drawn = [one for one in _said(record, "labels") if one.values.get("random")]
        if not drawn:
            return not_run("no definition of labels is shown")
        return failed(
            f"line {drawn[0].line} can draw labels at random at every read: '{drawn[0].text[:90]}'",
            evidence=_lines(drawn[0].file, [one.line for one in drawn]),
            on_fail="notes" if beats_trivial(record) else "unproves",
            to_settle="read every label twice and compare (veritrain probe labels_read_twice)",
        )

"""Checks of scores: is the held-out number above what needs no input, and does it move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veritrain.audit.bare_log import (
    FAMILIES,
    FLAT_EVALUATIONS,
    MIN_SAMPLES,
    Confusion,
    Reading,
    beaten,
    confusions_of,
    read_log,
    upper_share,
)
from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.audit.series import HELD_OUT, NOT_SCORES, Series, held_out, series_of
from veritrain.record import Claim, Evidence, Row, RunRecord

SMALL_EFFECT = 0.02
"""A gain in accuracy that no one would train a network for."""
LEAST_GROUPS = 10
"""Below, an interval over groups is marked as unreliable (docs/intervals.md)."""
FINE = 5e-4
"""Scores printed to three places are not equal by chance in five evaluations."""

_SCORE_AGAIN = "evaluate the checkpoint on held-out data at least 3 times and log the score beside its trivial level"


class BeatsTrivial:
    """The held-out score is above what needs no input, and its own interval above chance."""

    id = "J1"
    name = "beats_trivial"
    subject = "scores"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = True

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return _own_run(record)
        matrix = None if ranks_well(record) else _at_majority(confusions_of(record))
        return matrix if matrix is not None else _bare(record)


def _own_run(record: RunRecord) -> Finding:
    score, claim = record.score(), record.claim
    if score is None or claim is None or not score.get("gain_ci95") or None in score["gain_ci95"]:
        return not_run(
            "no score with the interval of its gain over the best trivial baseline",
            to_settle="veritrain evaluate RUN",
        )
    low, high = score["gain_ci95"]
    gain = (
        f"{claim.metric} on {claim.split} beats the best trivial baseline by [{low:+.3f}, {high:+.3f}] (95 %, groups)"
    )
    cited = (Citation(file=str(record.path / "results.json")),)
    if low > 0:
        doubt = _at_chance(score, claim)
        if doubt is None:
            return passed(gain, value=low, bound=0.0, evidence=cited)
        settle = "more groups in the test split"
        return failed(
            f"{gain}, but {doubt}", value=low, bound=0.0, evidence=cited, on_fail="unproves", to_settle=settle
        )
    if high < claim.minimal_effect and _carries(score, low, high):
        sentence = (
            f"the gain of {claim.metric} on {claim.split} is at most {high:+.3f}, below the least "
            f"that counts ({claim.minimal_effect:g})"
        )
        return failed(
            sentence, value=high, bound=claim.minimal_effect, evidence=cited, on_fail="refutes", to_settle=_SCORE_AGAIN
        )
    sentence = f"the gain of {claim.metric} on {claim.split}, [{low:+.3f}, {high:+.3f}], {_open(score, low, high)}"
    return failed(
        sentence, value=low, bound=0.0, evidence=cited, on_fail="unproves", to_settle="more groups in the test split"
    )


def _at_chance(score: Mapping[str, Any], claim: Claim) -> str | None:
    """That the score's own interval holds chance, where it does: the two intervals need not agree with few groups."""
    interval, chance = score.get("ci95"), score.get("chance")
    if not interval or None in interval or chance is None:
        return None
    nearest = interval[0] if claim.higher_is_better else -interval[1]
    if nearest > (chance if claim.higher_is_better else -chance):
        return None
    return f"its own interval [{interval[0]:.3f}, {interval[1]:.3f}] holds chance ({chance:.3f})"


def _carries(score: Mapping[str, Any], low: float, high: float) -> bool:
    """Whether an interval is evidence of no gain: of enough groups, and not of resamples that are all alike."""
    return low < high and (score.get("groups") or 0) >= LEAST_GROUPS


def _open(score: Mapping[str, Any], low: float, high: float) -> str:
    """Why an interval decides neither for nor against a gain."""
    if high >= 0:
        return "includes zero: it may be none"
    why = "has no width" if low == high else f"rests on {score.get('groups') or 'unknown'} groups: too few to tell"
    return f"lies below zero, and {why}"


def ranks_well(record: RunRecord) -> bool:
    """A score of the ranking is clearly above chance: accuracy at one threshold then decides nothing."""
    return any(
        row.name in _RANKS_ABOVE and row.split != "train" and (row.value or 0.0) > _RANKS_ABOVE[row.name]
        for row in record.rows
    )


_RANKS_ABOVE = {"auroc": 0.6, "mcc": 0.1, "kappa": 0.1}


def _at_majority(matrices: Sequence[Confusion]) -> Finding | None:
    """Refuted by the file's own confusion matrices: enough samples, both classes, none beats one constant answer.

    Where one class is so rare that even a perfect classifier would gain nothing that counts, accuracy decides nothing.
    """
    judged = [one for one in matrices if one.majority <= 1 - SMALL_EFFECT and one.n >= MIN_SAMPLES]
    if not judged or any(_above_majority(one) for one in judged):
        return None
    matrix = judged[-1]
    upper = upper_share(matrix.correct, matrix.n)
    return failed(
        f"its confusion matrix has {matrix.correct:g} of {matrix.n:g} right "
        f"({matrix.accuracy:.4f}); always naming the "
        f"largest class has {matrix.largest:g} ({matrix.majority:.4f}), and the upper 95 % bound "
        f"is {upper:.4f}",
        value=upper,
        bound=matrix.majority + SMALL_EFFECT,
        evidence=(Citation(file=matrix.file, line=matrix.line),),
        to_settle="report the score per class and a threshold-free score (AUROC, AP) on held-out data",
    )


def _above_majority(matrix: Confusion) -> bool:
    return upper_share(matrix.correct, matrix.n) - matrix.majority >= SMALL_EFFECT


def _bare(record: RunRecord) -> Finding:
    readings = read_log(record)
    if not readings:
        return _all_zero(record) or failed(
            "there are not three evaluations of a held-out score with their place in training",
            value=0,
            bound=3,
            on_fail="unproves",
            to_settle=_SCORE_AGAIN,
        )
    above, trivial = beaten(readings, "above"), beaten(readings, "trivial")
    if trivial and not above:
        return _finding_of(failed, trivial[0], "refutes")
    doubt = trivial or _f1_stays(readings)
    if above and not doubt:
        return _finding_of(passed, above[0], None)
    return _finding_of(failed, (doubt or readings)[0], "unproves")


def _all_zero(record: RunRecord) -> Finding | None:
    """A detector whose every printed average precision is 0 has found nothing at any threshold."""
    rows = [
        row
        for row in record.rows
        if row.name.partition("/")[0] in ("map", "map_50", "map_75") and row.split in HELD_OUT
    ]
    printed = [row for row in rows if row.value is not None and row.half_ulp > 0]
    names = {(row.name, row.raw) for row in printed}
    if len(names) < 2 or any(row.value for row in rows):
        return None
    return failed(
        f"every mean average precision in the file is printed as 0 ({len(names)} of them, the first on "
        f"line {printed[0].line})",
        value=0.0,
        bound=FAMILIES["map_50"].effect,
        evidence=tuple(Citation(file=row.file, line=row.line) for row in printed[:5]),
        to_settle="score the labels themselves as predictions: they must reach 1.0, else the metric is at fault",
    )


def _f1_stays(readings: Sequence[Reading]) -> list[Reading]:
    """Accuracy that rises while F1 does not may be a change of the favoured class."""
    return [
        one for one in readings if one.series.base in ("f1", "balanced_accuracy", "mcc", "kappa") and one.word == "open"
    ]


def _finding_of(make: object, reading: Reading, on_fail: OnFail | None) -> Finding:
    status = passed if make is passed else failed
    return status(
        reading.sentence,
        value=reading.value,
        bound=reading.bound,
        evidence=reading.series.cite(),
        on_fail=on_fail,
        to_settle="" if status is passed else _SCORE_AGAIN,
    )


def beats_trivial(record: RunRecord) -> bool:
    """What other checks ask: is there a held-out score above the trivial level."""
    return BeatsTrivial().judge(record, record.evidence).status == "pass"


def held_out_rows(record: RunRecord) -> list[Row]:
    """Every held-out score in the file, placed in training or not."""
    bases = ((row, row.name.removeprefix("best/").removeprefix("first/").partition("/")[0]) for row in record.rows)
    return [row for row, base in bases if row.split in HELD_OUT and base in FAMILIES and base not in NOT_SCORES]


class HeldOutSignalExists:
    """Some score was measured on data that was not trained on."""

    id = "T15"
    name = "held_out_signal_exists"
    subject = "scores"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return passed("the run was evaluated") if record.results else not_run("the run has no results.json yet")
        rows = held_out_rows(record)
        if rows:
            return passed(f"{len(rows)} held-out scores, the first on line {rows[0].line}", value=len(rows), bound=1)
        seen = sorted({row.name for row in record.rows if row.name.partition("/")[0] == "loss"})
        scored = [row for row in record.rows if row.name.partition("/")[0] in FAMILIES]
        what = f"only losses ({', '.join(seen[:4])})" if seen else "no loss and no score"
        if scored:
            what = f"it does not say on which data {scored[0].raw} (line {scored[0].line}) was measured"
            what = (
                what if scored[0].split is None else f"{scored[0].raw} (line {scored[0].line}) is of the training data"
            )
        return failed(
            f"the file holds no score that is labelled as held out: {what}",
            value=0,
            bound=1,
            on_fail="unproves",
            to_settle=_SCORE_AGAIN,
        )


class MetricMoves:
    """The held-out score is not one number for the whole run."""

    id = "T11"
    name = "metric_moves"
    subject = "scores"
    needs: tuple[str, ...] = ("rows",)
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        main = [
            one for one in held_out(series_of(record)) if "/" not in one.name and len(one.points) >= FLAT_EVALUATIONS
        ]
        if not main:
            return not_run("no held-out score with at least 5 evaluations")
        flat = [one for one in main if len(set(one.values)) == 1 and not _known_above(one)]
        if not flat:
            return passed("the held-out scores move")
        one = flat[0]
        above = any(reading.word == "above" for reading in read_log(record))
        return failed(
            f"{one.place_name()} is {one.first:.6g} in all {len(one.points)} evaluations",
            on_fail="notes" if above else None,
            value=one.first,
            bound=one.first,
            evidence=one.cite(),
            to_settle="print the predicted classes of one batch at two epochs; if they are equal, the "
            "outputs do not move",
        )


def _known_above(series: Series) -> bool:
    """Flat at a value that is clearly above a known trivial level is a plateau, not a frozen metric."""
    family = FAMILIES.get(series.base)
    if family is None or family.trivial is None:
        return False
    return (series.first - family.trivial) * (1 if family.higher else -1) > family.effect


class NotTooGoodTooEarly:
    """The held-out score is not near perfect from the first evaluation on."""

    id = "T12"
    name = "not_too_good_too_early"
    subject = "scores"
    needs: tuple[str, ...] = ("rows",)
    on_fail: OnFail = "notes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        series = [one for one in held_out(series_of(record)) if one.base in ("accuracy", "auroc", "f1", "map_50")]
        early = [one for one in series if one.first >= 0.99]
        if not series:
            return not_run("no held-out score with its place in training")
        if not early:
            return passed("no held-out score is near perfect at the first evaluation")
        return failed(
            f"{early[0].place_name()} is already {early[0].first:.4g} at the first evaluation (line "
            f"{early[0].points[0].line})",
            value=early[0].first,
            bound=0.99,
            evidence=early[0].cite(early[0].points[0]),
            to_settle="compare the content and the groups of training and held-out data; score one-feature predictors",
        )


class ValNotAboveTrain:
    """The held-out score is not far above the training score."""

    id = "T13"
    name = "val_not_above_train"
    subject = "scores"
    needs: tuple[str, ...] = ("rows",)
    on_fail: OnFail = "notes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        pairs = _train_and_val(record)
        if not pairs:
            return not_run("no score is given for training and held-out data at the same places")
        for train, val in pairs:
            if _copied(train, val):
                return failed(
                    f"{val.place_name()} equals the training score in all {len(val.points)} evaluations, as printed",
                    value=0.0,
                    bound=0.0,
                    evidence=val.cite(),
                    on_fail="unproves",
                    to_settle="print the sample ids of both splits and intersect them",
                )
            gaps = [b.value - a.value for a, b in zip(train.points, val.points, strict=False)]
            if len(gaps) >= 3 and min(gaps[:3]) > 0 and max(gaps) > 0.05:
                worst = gaps.index(max(gaps))
                return failed(
                    f"{val.place_name()} is above the training score by up to {max(gaps):.3f} (line "
                    f"{val.points[worst].line})",
                    value=max(gaps),
                    bound=0.05,
                    evidence=val.cite(val.points[worst]),
                    to_settle="score the training data in evaluation mode without augmentation",
                )
        return passed("held-out scores are not far above training scores")


def _copied(train: Series, val: Series) -> bool:
    """The same finely printed numbers, all along and not one number for ever: the same measurement twice."""
    fine = all(0 < point.half_ulp <= FINE for point in val.points)
    return fine and len(set(val.values)) >= FLAT_EVALUATIONS and train.values == val.values


def _train_and_val(record: RunRecord) -> list[tuple[Series, Series]]:
    every = series_of(record)
    train = {(one.run, one.name): one for one in every if one.split == "train"}
    scored = [one for one in held_out(every) if (one.run, one.name) in train]
    return [
        (train[(one.run, one.name)], one) for one in scored if len(train[(one.run, one.name)].points) == len(one.points)
    ]


class NoLateOverfit:
    """The held-out loss does not climb while the training loss falls."""

    id = "T14"
    name = "no_late_overfit"
    subject = "scores"
    needs: tuple[str, ...] = ("rows",)
    on_fail: OnFail = "notes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        losses = [
            one for one in series_of(record) if one.name == "loss" and one.split in HELD_OUT and len(one.points) >= 5
        ]
        if not losses:
            return not_run("no held-out loss with at least 5 evaluations")
        for one in losses:
            best = min(one.points, key=lambda point: point.value)
            if best not in one.points[-3:] and one.settled() > 1.2 * best.value > 0:
                return failed(
                    f"{one.place_name()} ends at {one.settled():.4g}, {one.settled() / best.value:.2f} "
                    f"times its best {best.value:.4g} "
                    f"(line {best.line})",
                    value=one.settled(),
                    bound=1.2 * best.value,
                    evidence=one.cite(best, one.points[-1]),
                    to_settle="evaluate the checkpoint of the best epoch on the test split",
                )
        return passed("held-out losses end near their best")

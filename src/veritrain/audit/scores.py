"""Checks of scores: is the held-out number above what needs no input, and does it move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from veritrain.audit.bare_log import MIN_SAMPLES, Confusion, Reading, beaten, confusions_of, read_log, upper_share
from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.record import Evidence, RunRecord

SMALL_EFFECT = 0.02
"""A gain in accuracy that no one would train a network for."""

_SCORE_AGAIN = "evaluate the checkpoint on held-out data at least 3 times and log the score beside its trivial level"


class BeatsTrivial:
    """The held-out score is above what needs no input."""

    id = "J1"
    name = "beats_trivial"
    subject = "scores"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly",)
    per_claim = True

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return _own_run(record)
        matrix = _at_majority(confusions_of(record))
        return matrix if matrix is not None else _bare(record)


def _own_run(record: RunRecord) -> Finding:
    score, claim = record.score(), record.claim
    if score is None or claim is None or not score.get("gain_ci95") or None in score["gain_ci95"]:
        return not_run("no score with the interval of its gain over the best input-free baseline", to_settle="veritrain evaluate RUN")
    low, high = score["gain_ci95"]
    gain = f"{claim.metric} on {claim.split} beats the best input-free baseline by [{low:+.3f}, {high:+.3f}] (95 %, groups)"
    cited = (Citation(file=str(record.path / "results.json")),)
    if low > 0:
        return passed(gain, value=low, bound=0.0, evidence=cited)
    if high < claim.minimal_effect:
        sentence = f"the gain of {claim.metric} on {claim.split} is at most {high:+.3f}, below the least that counts ({claim.minimal_effect:g})"
        return failed(sentence, value=high, bound=claim.minimal_effect, evidence=cited, on_fail="refutes", to_settle=_SCORE_AGAIN)
    sentence = f"the gain of {claim.metric} on {claim.split}, [{low:+.3f}, {high:+.3f}], contains no gain at all"
    return failed(sentence, value=low, bound=0.0, evidence=cited, on_fail="unproves", to_settle="more groups in the test split")


def _at_majority(matrices: Sequence[Confusion]) -> Finding | None:
    """Refuted by the file's own confusion matrix: enough samples, both classes, no better than one constant answer."""
    for matrix in matrices:
        if matrix.largest >= matrix.n or matrix.n < MIN_SAMPLES:
            continue
        upper = upper_share(matrix.correct, matrix.n)
        if upper - matrix.majority < SMALL_EFFECT:
            return failed(
                f"its confusion matrix has {matrix.correct:g} of {matrix.n:g} right ({matrix.accuracy:.4f}); always naming the "
                f"largest class has {matrix.largest:g} ({matrix.majority:.4f}), and the upper 95 % bound is {upper:.4f}",
                value=upper,
                bound=matrix.majority + SMALL_EFFECT,
                evidence=(Citation(file=matrix.file, line=matrix.line),),
                to_settle="report the score per class and a threshold-free score (AUROC, AP) on held-out data",
            )
    return None


def _bare(record: RunRecord) -> Finding:
    readings = read_log(record)
    if not readings:
        return failed(
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


def _f1_stays(readings: Sequence[Reading]) -> list[Reading]:
    """Accuracy that rises while F1 does not may be a change of the favoured class."""
    return [one for one in readings if one.series.base in ("f1", "balanced_accuracy", "mcc", "kappa") and one.word == "open"]


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

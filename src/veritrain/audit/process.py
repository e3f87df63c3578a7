"""Checks of the process that a log tells about: crashes, swallowed errors, glued runs, splits, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.audit.scores import beats_trivial, held_out_rows
from veritrain.record import Evidence, Remark, RunRecord

_FOREIGN = "about artefacts of other tools; our own record has events for it"


def _said(record: RunRecord, kind: str) -> list[Remark]:
    return [remark for remark in record.remarks if remark.kind == kind]


def _cite(remarks: Sequence[Remark]) -> tuple[Citation, ...]:
    return tuple(Citation(file=remark.file, line=remark.line) for remark in remarks[:4])


def _unsaid(record: RunRecord, about: str, absence: str) -> Finding:
    """Nothing is said: a log or a report that could have said it passes, a table of numbers cannot tell at all."""
    if record.kind == "csv_history":
        return not_run(f"a table of numbers cannot tell of {about}")
    return passed(absence)


class RanToTheEnd:
    """The log does not end in a crash."""

    id = "P1"
    name = "ran_to_the_end"
    subject = "process"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run(_FOREIGN)
        crashes = _said(record, "crash")
        if not crashes:
            return _unsaid(record, "a crash", "no crash is logged")
        crash = crashes[-1]
        said = f"'{crash.text[:120]}' is logged on line {crash.line}"
        after = [
            row for row in record.rows if row.line > crash.line and (row.epoch is not None or row.step is not None)
        ]
        scored = any(row.line < crash.line for row in held_out_rows(record)) or _said(record, "all_epochs")
        banners = [remark for remark in _said(record, "success_banner") if remark.line > crash.line]
        if not after and not scored and banners:
            return failed(
                f"{said}, and line {banners[0].line} says '{banners[0].text[:60]}' all the same",
                evidence=_cite([crash, banners[0]]),
                on_fail="refutes",
                to_settle="run it again and keep the exit status",
            )
        effect: OnFail = "notes" if after or scored or held_out_rows(record) else "unproves"
        epochs = {row.epoch for row in record.rows if row.epoch is not None and row.name != "learning_rate"}
        where = "before any epoch was finished" if not epochs else f"in or after epoch {max(epochs):g}"
        return failed(
            f"{said}, {where}", evidence=_cite([crash]), on_fail=effect, to_settle="mend the error and train again"
        )


class ErrorsNotSwallowed:
    """No batch failed in silence."""

    id = "P2"
    name = "errors_not_swallowed"
    subject = "process"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run(_FOREIGN)
        errors = _said(record, "swallowed_exception")
        if not errors:
            return _unsaid(record, "a caught error", "no caught error is logged")
        zeros = [row for row in record.rows if row.name == "loss" and row.value == 0 and row.line > errors[0].line]
        if zeros:
            return failed(
                f"{len(errors)} batches failed (from line {errors[0].line}: '{errors[0].text[:80]}') and "
                f"the epoch is reported with a "
                f"loss of {zeros[0].value:g} on line {zeros[0].line}",
                value=len(errors),
                bound=0,
                evidence=(*_cite(errors[:2]), Citation(file=zeros[0].file, line=zeros[0].line)),
                on_fail="notes" if beats_trivial(record) else "refutes",
                to_settle="let the first error stop the run",
            )
        effect: OnFail = "notes" if beats_trivial(record) else "unproves"
        return failed(
            f"{len(errors)} batches failed and were skipped, the first on line {errors[0].line}",
            value=len(errors),
            bound=0,
            evidence=_cite(errors),
            on_fail=effect,
            to_settle="let the first error stop the run",
        )


class OneRunPerTable:
    """A table of numbers is one run."""

    id = "P3"
    name = "one_run_per_table"
    subject = "process"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run(_FOREIGN)
        restarts = _said(record, "epoch_restart")
        if not restarts:
            return passed("the epoch counter never restarts")
        runs = len({row.run for row in record.rows})
        said = (
            f"the epoch counter restarts {len(restarts)} times (lines "
            f"{', '.join(str(r.line) for r in restarts[:4])}): {runs} runs in one file"
        )
        effect: OnFail = "unproves" if record.kind == "csv_history" else "notes"
        return failed(
            said,
            value=runs,
            bound=1,
            evidence=_cite(restarts),
            on_fail=effect,
            to_settle="write each run to its own file and say which one the claim is about",
        )


class SplitsDiffer:
    """Validation data are not the training data."""

    id = "P4"
    name = "splits_differ"
    subject = "process"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run(_FOREIGN)
        same = _said(record, "same_split")
        if not same:
            return _unsaid(
                record, "where the validation data come from", "nothing says that validation reads the training data"
            )
        return failed(
            f"line {same[0].line} says that validation reads the training data: '{same[0].text[:120]}'",
            evidence=_cite(same),
            to_settle="print the sample ids of both splits and intersect them",
        )


class ValidationHasSamples:
    """No split is empty."""

    id = "P5"
    name = "validation_has_samples"
    subject = "process"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run(_FOREIGN)
        empty = _said(record, "empty_split")
        if not empty:
            return _unsaid(record, "the size of a split", "no split is reported empty")
        effect: OnFail = "notes" if beats_trivial(record) else "unproves"
        return failed(
            f"a held-out split is empty: '{empty[0].text[:100]}'",
            value=0,
            bound=1,
            evidence=_cite(empty),
            on_fail=effect,
            to_settle="split by group so that every split has samples of both classes",
        )


class CheckpointFits:
    """The checkpoint fits the network that loads it."""

    id = "P6"
    name = "checkpoint_fits"
    subject = "process"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run(_FOREIGN)
        keys = _said(record, "key_mismatch")
        if not keys:
            return _unsaid(record, "a checkpoint", "no checkpoint mismatch is logged")
        effect: OnFail = "notes" if beats_trivial(record) else "unproves"
        return failed(
            f"the checkpoint does not fit the network: '{keys[-1].text[:110]}'",
            evidence=_cite(keys),
            on_fail=effect,
            to_settle="build the network from the recipe of that checkpoint and load it strictly",
        )


class FinishedAsPlanned:
    """The last planned epoch is in the log."""

    id = "P7"
    name = "finished_as_planned"
    subject = "process"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "notes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run(_FOREIGN)
        cut = [remark for remark in record.remarks if remark.kind in ("truncated", "torn")]
        if not cut:
            return passed("nothing says that the log was cut short")
        return failed(cut[0].text, evidence=_cite(cut), to_settle="give the whole log")


class NumbersWereMeasured:
    """The file does not say of its own numbers that nobody measured them."""

    id = "P8"
    name = "numbers_were_measured"
    subject = "process"
    needs: tuple[str, ...] = ()
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        if record.kind == "run":
            return not_run(_FOREIGN)
        made_up = _said(record, "numbers_made_up")
        if not made_up:
            return _unsaid(record, "how its numbers came about", "nothing says that numbers were made up")
        return failed(
            f"the file says of its own numbers: '{made_up[0].text.strip()[:110]}'",
            evidence=_cite(made_up),
            to_settle="put the log or the predictions that the numbers come from in their place",
        )

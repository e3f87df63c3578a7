"""Checks of the set-up: the loss reads labels, no constant satisfies it, the network can fit, the metric is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.audit.check import Finding, OnFail, OnNotRun, cite_evidence, failed, not_run, passed
from veritrain.record import Evidence, RunRecord

_SIDES = ("labels", "predictions")


class LossReadsLabels:
    """Exchanging the labels changes the loss of the same outputs."""

    id = "S2"
    name = "loss_reads_labels"
    subject = "setup"
    needs: tuple[str, ...] = ("run", "evidence:loss_under_flipped_labels")
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = False
    least = 1e-6

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        changes = evidence["loss_under_flipped_labels"].values["relative_change"]
        cite = cite_evidence(record, "loss_under_flipped_labels")
        if not changes or None in changes.values():
            return not_run("the loss under exchanged labels is undefined")
        blind = sorted(name for name, change in changes.items() if change < self.least)
        if blind:
            return failed(
                f"The loss term {', '.join(blind)} does not change when all labels are exchanged",
                value=changes,
                bound=self.least,
                evidence=cite,
                to_settle="train with a loss that compares outputs with labels",
            )
        least = min(changes.values())
        return passed(
            f"Every loss term changes when labels are exchanged (least relative change {least:.2g})",
            value=changes,
            bound=self.least,
            evidence=cite,
        )


class TrivialMinimiserNotReached:
    """The trained network's loss is below the best loss that constant outputs reach on the same samples."""

    id = "S3"
    name = "trivial_minimiser_not_reached"
    subject = "setup"
    needs: tuple[str, ...] = ("run", "evidence:best_constant_loss")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        found = evidence["best_constant_loss"].values
        trained, constant = found["trained_total"], found["constant_total"]
        if trained is None or constant is None:
            return not_run("the loss of the trained network or of constants is undefined")
        cite = cite_evidence(record, "best_constant_loss")
        if trained >= constant:
            return failed(
                f"Constant outputs reach a training loss of {constant:.4g}; the trained network's is {trained:.4g}",
                value=trained,
                bound=constant,
                evidence=cite,
                to_settle="train longer or check the loss: a constant must not satisfy it",
            )
        return passed(
            f"The trained network's loss {trained:.4g} is below the best constant's {constant:.4g}",
            value=trained,
            bound=constant,
            evidence=cite,
        )


class OneBatchOverfits:
    """A fresh network can fit one batch of eight: its loss falls by 90 %, or it is scored as learned by heart.

    A score of 1 is; where a loss has a floor above 0 (a varifocal one) the task says which score is enough.
    """

    id = "S4"
    name = "one_batch_overfits"
    subject = "setup"
    needs: tuple[str, ...] = ("run", "evidence:one_batch_overfit")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = False
    share = 0.1

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        found = evidence["one_batch_overfit"].values
        if found["first_loss"] is None or found["last_loss"] is None:
            return not_run("the loss of the one batch is undefined")
        ratio = _largest_share(found)
        metric = record.claim.metric if record.claim else ""
        score, enough = found["scores"].get(metric), found.get("enough", 1.0)
        perfect = score is not None and score >= enough
        cite = cite_evidence(record, "one_batch_overfit")
        losses = f"{found['first_loss']:.4g} to {found['last_loss']:.4g}{_told_tasks(found)}"
        told = f"one batch's loss went from {losses} in {found['steps']} steps"
        if (ratio is not None and ratio <= self.share) or perfect:
            return passed(f"A fresh network fits: {told}", value=ratio, bound=self.share, evidence=cite)
        return failed(
            f"A fresh network did not fit: {told}",
            value=ratio,
            bound=self.share,
            evidence=cite,
            to_settle="check the learning rate, the loss and the path of the gradient",
        )


def _largest_share(found: Mapping[str, Any]) -> float | None:
    """Last over first loss; of several tasks that of the one that fell least."""
    pairs = [(found["first_loss"], found["last_loss"])]
    pairs += [(task["first"], task["last"]) for task in found.get("tasks", {}).values()]
    if any(not first or last is None for first, last in pairs):
        return None
    return max(float(last / first) for first, last in pairs)


def _told_tasks(found: Mapping[str, Any]) -> str:
    parts = [f"{name} {task['first']:.4g} to {task['last']:.4g}" for name, task in found.get("tasks", {}).items()]
    return f" ({', '.join(parts)})" if parts else ""


class MetricUnitTested:
    """On known answers the metric gives its best, its worst and its chance level."""

    id = "S8"
    name = "metric_unit_tested"
    subject = "setup"
    needs: tuple[str, ...] = ("run", "evidence:metric_on_known_answers")
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = True
    answers = ("perfect", "inverted", "constant", "random_mean", "random_standard_error", "chance")
    standard_errors = 5
    """At 3, one honest run in 140 would be refuted: 20 draws, two-sided, t with 19 degrees of freedom."""

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        metric = record.claim.metric if record.claim else ""
        found = evidence["metric_on_known_answers"].values.get(metric)
        cite = cite_evidence(record, "metric_on_known_answers")
        if found is None or None in (found[key] for key in self.answers):
            return not_run(f"no known answers for {metric}, or it is undefined on these labels")
        slack = self.standard_errors * found["random_standard_error"] + 1e-6
        wrong = []
        if found["perfect"] != 1.0:
            wrong.append(f"perfect predictions score {found['perfect']}")
        if abs(found["random_mean"] - found["chance"]) > slack:
            wrong.append(f"random ones average {found['random_mean']:.4f}, chance is {found['chance']:.4f}")
        if not found["inverted"] < found["constant"] + 1e-12:
            wrong.append(f"inverted ones ({found['inverted']:.4f}) are not below constant ones")
        if wrong:
            return failed(
                f"{metric}: " + "; ".join(wrong),
                value=found,
                bound=slack,
                evidence=cite,
                to_settle="correct the metric; every score made with it is void",
            )
        return passed(
            f"{metric} gives 1 for perfect, {found['inverted']:.3f} for inverted and its chance level for random "
            "predictions",
            value=found,
            bound=slack,
            evidence=cite,
        )


class BoxScoreFollowsPlace:
    """Labelled boxes handed in score 1, and shifted ones less and less."""

    id = "S17"
    name = "box_score_follows_place"
    subject = "setup"
    needs: tuple[str, ...] = ("run", "evidence:boxes_shifted")
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ("openvocab",)
    per_claim = True

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        metric = record.claim.metric if record.claim else ""
        curve = evidence["boxes_shifted"].values["curves"].get(metric)
        if curve is None or curve["oracle"] is None:
            return not_run(f"{metric} is no score of boxes, or it is undefined on these labels")
        cite = cite_evidence(record, "boxes_shifted")
        scores, last = curve["scores"], curve["fractions"][-1]
        if curve["problems"]:
            return failed(
                f"{metric}: " + "; ".join(curve["problems"]),
                value=scores,
                bound=curve["fractions"],
                evidence=cite,
                to_settle="correct how predictions and labels are scored; every score made with it is void",
            )
        return passed(
            f"{metric} is {scores[0]:.3g} for the labelled boxes and falls to {scores[-1]:.3g} as they are shifted by "
            f"up to {last:g} of their size",
            value=scores,
            bound=curve["fractions"],
            evidence=cite,
        )


class BoxesShareUnit:
    """Predicted and labelled boxes are corners in one unit."""

    id = "S18"
    name = "boxes_share_unit"
    subject = "setup"
    needs: tuple[str, ...] = ("run", "evidence:boxes_shifted")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ("openvocab",)
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        units = evidence["boxes_shifted"].values["units"]
        if units is None or units["labels"] is None or units["predictions"] is None:
            return not_run("there are no predicted boxes, or no labelled ones")
        cite = cite_evidence(record, "boxes_shifted")
        ranges = " and ".join(f"{side} from {units[side][0]:.4g} to {units[side][1]:.4g}" for side in _SIDES)
        if units["problem"] is None:
            return passed(f"Nothing speaks against one unit: {ranges}", value=units, evidence=cite)
        reached = ""
        if units["best"] is not None:
            reached = (
                f"; average precision at 0.5 is {units['as_they_are']:.3f} as they are, {units['best']:.3f} read so"
            )
        return failed(
            f"Predicted and labelled boxes are not in one unit ({ranges}): {units['problem']}{reached}",
            value=units,
            evidence=cite,
            to_settle="convert both to corners in pixels of the stored image and evaluate again",
        )


class BoxesAnswered:
    """A run that claims boxes answers with some."""

    id = "S19"
    name = "boxes_answered"
    subject = "setup"
    needs: tuple[str, ...] = ("run", "evidence:boxes_shifted")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ("openvocab",)
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        units = evidence["boxes_shifted"].values["units"]
        if units is None or units["labels"] is None:
            return not_run("there are no labelled boxes")
        cite = cite_evidence(record, "boxes_shifted")
        if units["predictions"] is None:
            return failed(
                "The network answers no box on any test image: it is no detector",
                value=0,
                bound=1,
                evidence=cite,
                to_settle="train a network that answers with boxes, or claim what this one answers",
            )
        return passed("The network answers with boxes", value=1, bound=1, evidence=cite)

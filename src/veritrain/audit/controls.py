"""Checks of the controls: what must fail for the claim to hold did fail."""

from __future__ import annotations

from collections.abc import Mapping

from veritrain.audit.check import Finding, OnFail, OnNotRun, cite_evidence, failed, not_run, passed
from veritrain.record import Claim, Evidence, RunRecord


def _better(a: float, b: float, claim: Claim) -> bool:
    return a > b if claim.higher_is_better else a < b


_LONGER = "train longer, and evaluate on more groups"


def _above_chance(value: float, record: RunRecord) -> bool:
    """Above what needs no input, by the least that counts; where chance is not told, anything but 0 is taken to be."""
    assert record.claim is not None
    chance = (record.score() or {}).get("chance")
    if chance is None:
        return value != 0
    gain = value - chance if record.claim.higher_is_better else chance - value
    return bool(gain > 0 and gain >= record.claim.minimal_effect)


class BeatsPermutedLabels:
    """The held-out predictions fit their own groups' labels better than labels of other groups."""

    id = "J14"
    name = "beats_permuted_labels"
    subject = "controls"
    needs: tuple[str, ...] = ("run", "evidence:between_group_permutation")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = True
    level = 0.05

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        assert record.claim is not None
        found = evidence["between_group_permutation"].values.get(record.claim.metric)
        if found is None or found["p_value"] is None:
            return not_run(f"no permutation test of {record.claim.metric}, or it is undefined on these labels")
        p, count = found["p_value"], found["n_permutations"]
        told = (
            f"p = {p:.2g} over {count} exchanges of labels between groups "
            f"(observed {found['observed']:.3f}, under exchange {found['null_mean']:.3f} on average)"
        )
        cite = cite_evidence(record, "between_group_permutation")
        if p <= self.level:
            return passed(f"The predictions fit their own labels: {told}", value=p, bound=self.level, evidence=cite)
        return failed(
            f"The predictions fit other groups' labels about as well: {told}",
            value=p,
            bound=self.level,
            evidence=cite,
            to_settle="more test groups, or a model that reads what differs between groups",
        )


class PermutedRetrainingFails:
    """Retrained on labels exchanged between groups, the same budget scores lower."""

    id = "J2"
    name = "permuted_retraining_fails"
    subject = "controls"
    needs: tuple[str, ...] = ("run", "evidence:permuted_label_retraining")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = True
    least_runs = 2

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        assert record.claim is not None
        found = evidence["permuted_label_retraining"].values
        metric = record.claim.metric
        true = found["true"].get(metric)
        permuted = [scores.get(metric) for scores in found["permuted"]]
        if true is None or None in permuted or len(permuted) < self.least_runs:
            return not_run(f"fewer than {self.least_runs} permuted retrainings with a defined {metric}")
        told = (
            f"{metric} after {found['steps']} steps: true labels {true:.3f}, "
            f"permuted {', '.join(f'{value:.3f}' for value in permuted)}"
        )
        cite = cite_evidence(record, "permuted_label_retraining")
        if all(_better(true, value, record.claim) for value in permuted):
            return passed(
                f"Permuted retrainings stay below the true one: {told}", value=permuted, bound=true, evidence=cite
            )
        best = max(permuted) if record.claim.higher_is_better else min(permuted)
        past_labels = "look for a way past the labels: duplicates, group cues, a metric that rewards the prior"
        return failed(
            f"A retraining on permuted labels did as well as the true one: {told}",
            value=permuted,
            bound=true,
            evidence=cite,
            to_settle=past_labels if _above_chance(best, record) else _LONGER,
        )


class BeatsUntrained:
    """The trained network scores above the best of five re-initialised ones.

    By the lower end of a paired interval over groups (of 90 % since version 3 of the probe, of 95 % in version 2): a
    score that is higher on these groups by chance is none. Not run where the interval is undefined or not there.
    """

    id = "J3"
    name = "beats_untrained"
    subject = "controls"
    needs: tuple[str, ...] = ("run", "score", "evidence:reinitialised_networks")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = True
    least_networks = 5

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        assert record.claim is not None
        metric, score = record.claim.metric, record.score() or {}
        untrained = [scores.get(metric) for scores in evidence["reinitialised_networks"].values["scores"]]
        value = score.get("value")
        known = [number for number in untrained if number is not None]
        if value is None or len(known) < self.least_networks:
            return not_run(f"fewer than {self.least_networks} untrained networks with a defined {metric}")
        best = max(known) if record.claim.higher_is_better else min(known)
        cite = cite_evidence(record, "reinitialised_networks")
        told = f"{metric} {value:.3f}, best of {len(known)} untrained networks {best:.3f}"
        gain = evidence["reinitialised_networks"].values.get("gains", {}).get(metric, {})
        percent = 90 if "ci90" in gain else 95
        interval = [end for end in gain.get(f"ci{percent}", []) if end is not None]
        told += f", gain {interval[0]:+.3f} to {interval[1]:+.3f} ({percent} %, groups)" if len(interval) == 2 else ""
        ahead = _better(value, best, record.claim)
        if ahead and len(interval) != 2:
            return not_run(
                f"no interval of the gain over an untrained network: {told}",
                to_settle="veritrain probe RUN reinitialised_networks",
            )
        if ahead and interval[0] > 0:
            return passed(
                f"The trained network scores above the untrained ones: {told}", value=value, bound=best, evidence=cite
            )
        suspicious = not ahead and _above_chance(best, record)
        return failed(
            f"{'The gain over an untrained network may be none' if ahead else 'An untrained network scores as well'}: "
            f"{told}",
            value=value,
            bound=best,
            evidence=cite,
            to_settle="find what the untrained pipeline reads; the score is not the training's"
            if suspicious
            else _LONGER,
        )

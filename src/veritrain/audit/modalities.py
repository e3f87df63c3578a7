"""Checks of the inputs a model declares: each one matters."""

from __future__ import annotations

from collections.abc import Mapping

from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.record import Evidence, RunRecord


class InputsMatter:
    """Exchanging any declared input between groups lowers the score, by an interval over groups.

    A failure is a note: an unused sensor does not contradict the score. But the check is required, so a model that
    declares an input it does not use is PLAUSIBLE at best.
    """

    id = "J4"
    name = "inputs_matter"
    subject = "modalities"
    needs: tuple[str, ...] = ("run", "evidence:inputs_exchanged")
    on_fail: OnFail = "notes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive")
    per_claim = True

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        assert record.claim is not None
        metric = record.claim.metric
        values = evidence["inputs_exchanged"].values
        falls, declared = values["falls"], values["inputs"]
        found = {name: part[metric] for name, part in falls.items() if metric in part}
        lacking = set(declared) - set(found) or any(None in (part["fall"], *part["ci95"]) for part in found.values())
        if not found or lacking:
            return not_run(f"no interval for the fall of {metric} without each input")
        told = ", ".join(
            f"{name} {part['fall']:+.3f} [{part['ci95'][0]:+.3f}, {part['ci95'][1]:+.3f}]"
            for name, part in found.items()
        )
        unused = [name for name, part in found.items() if not part["ci95"][0] > 0]
        cite = (Citation(file=str(record.path / "evidence" / "inputs_exchanged.json")),)
        value = {name: part["ci95"][0] for name, part in found.items()}
        if unused:
            return failed(
                f"{metric} does not clearly fall without {' and '.join(unused)} (fall when exchanged: {told})",
                value=value,
                bound=0,
                evidence=cite,
                to_settle=f"train without {' and '.join(unused)} and compare, or train longer",
            )
        return passed(f"Every declared input matters (fall of {metric} when exchanged: {told})", value=value, bound=0,
                      evidence=cite)  # fmt: skip

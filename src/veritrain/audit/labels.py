"""Checks of the labels: there, of both kinds, the same at every read, and all of them learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.record import Evidence, RunRecord


class BothLabelsPresent:
    """Every split holds labelled samples of both classes; of all of them where there are more."""

    id = "D1"
    name = "both_labels_present"
    subject = "labels"
    needs: tuple[str, ...] = ("run", "data")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        splits = (record.data or {}).get("splits", {})
        counts = {name: _counts(part) for name, part in splits.items()}
        value = {name: list(found.values()) for name, found in counts.items()}
        cite = (Citation(file=str(record.path / "data.json")),)
        lacking = {name: [label for label, n in found.items() if not n] for name, found in counts.items()}
        lacking = {name: labels for name, labels in lacking.items() if labels}
        told = ", ".join(f"{name} {'/'.join(map(str, found.values()))}" for name, found in counts.items())
        order = "/".join(next(iter(counts.values()), {"positives": 0, "negatives": 0}))
        if lacking or not counts:
            return failed(
                f"The split {', '.join(lacking) or '(none)'} lacks a class ({order}: {told})",
                value=value,
                bound="at least 1 of each",
                evidence=cite,
                to_settle="use more groups, or stratify the split by group",
            )
        every = "Both classes are" if order == "positives/negatives" else "Every class is"
        return passed(f"{every} in every split ({order}: {told})", value=value, evidence=cite)


def _counts(part: Mapping[str, Any]) -> dict[str, int]:
    """Class to its labelled samples: of each kind of label where there are several classes, else of two."""
    kinds: Mapping[str, Mapping[str, int]] = part.get("labelled") or {}
    if kinds:
        return {name: count for kind in kinds.values() for name, count in kind.items()}
    return {"positives": part["positives"], "negatives": part["negatives"]}


class LabelsDeterministic:
    """The same sample has the same label at every read."""

    id = "D4"
    name = "labels_deterministic"
    subject = "labels"
    needs: tuple[str, ...] = ("run", "evidence:labels_read_twice")
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        found = evidence["labels_read_twice"].values
        cite = (Citation(file=str(record.path / "evidence" / "labels_read_twice.json")),)
        differing, checked = found["differing"], found["checked"]
        if not checked:
            return not_run("no label was read twice")
        if differing:
            return failed(
                f"{differing} of {checked} labels changed when the same sample was read again "
                f"(for example {', '.join(found['examples'][:3])})",
                value=differing,
                bound=0,
                evidence=cite,
                to_settle="read labels from files that do not change, then train again",
            )
        return passed(f"{checked} labels were the same when read again", value=0, bound=0, evidence=cite)


class EveryBoxLearned:
    """The loss reads all labelled boxes of an image, not one of them."""

    id = "D9"
    name = "every_box_learned"
    subject = "labels"
    needs: tuple[str, ...] = ("run", "evidence:loss_without_later_boxes")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False
    least = 1e-6

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        found = evidence["loss_without_later_boxes"].values
        images, changes = found["images"], found["relative_change"]
        if not images or not changes:
            return not_run("no image that was looked at has several labelled boxes")
        cite = (Citation(file=str(record.path / "evidence" / "loss_without_later_boxes.json")),)
        most = max(changes.values())
        if most < self.least:
            return failed(
                f"The loss stays the same when {found['dropped']} of {found['boxes']} boxes are taken away, all but "
                f"the first of each image: {images} of {found['looked_at']} images are learned as if each showed one "
                "thing",
                value=changes,
                bound=self.least,
                evidence=cite,
                to_settle="train with a loss that reads every labelled box",
            )
        return passed(
            f"The loss changes when all boxes but the first of each image are taken away ({images} of "
            f"{found['looked_at']} images have several)",
            value=changes,
            bound=self.least,
            evidence=cite,
        )

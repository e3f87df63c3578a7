"""Planted runs: a record of one of our own runs with one thing in it that a check looks for."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from veritrain import catalog
from veritrain.audit.check import Finding
from veritrain.audit.verdict import findings_of
from veritrain.record import (
    Claim,
    Evidence,
    RecordWriter,
    RunFolder,
    RunRecord,
    read_run,
    sha256_of,
    write_evidence,
    write_json,
)

FRAME = Claim(metric="frame_auroc", split="test", higher_is_better=True, minimal_effect=0.02)
POINT = Claim(metric="point_ap", split="test", higher_is_better=True, minimal_effect=0.01)
PATH = Path("runs") / "planted"


def evidence(probe: str, values: dict[str, Any], **more: Any) -> Evidence:
    return Evidence(**{"probe": probe, "version": 1, "inputs_hash": "00", "values": values, "seconds": 1.0, **more})


def planted(*found: Evidence, **more: Any) -> RunRecord:
    """A finished run of the anomaly task that claims frame_auroc first."""
    whole = {"task": "anomaly", "claims": (FRAME, POINT), "claim": FRAME, **more}
    return RunRecord(path=PATH, kind="run", evidence={one.probe: one for one in found}, **whole)


def finding(check: str, record: RunRecord) -> Finding:
    """What one check of the catalogue says, as the verdict sees it."""
    (judged,) = findings_of(record, [catalog.resolve("checks", check)()])
    return judged.finding


def probed(check: str, probe: str, values: dict[str, Any], **more: Any) -> Finding:
    """The finding of a check on a run whose one piece of evidence is given."""
    return finding(check, planted(evidence(probe, values), **more))


def assert_needs(check: str, probe: str, values: dict[str, Any], **more: Any) -> None:
    """Without its evidence, with a crashed probe, or on a foreign file the check does not run."""
    whole = planted(evidence(probe, values), **more)
    assert finding(check, whole).status != "not_run", "the full record must be judged"
    lame = {probe: replace(whole.evidence[probe], status="crashed")}
    for lacking in (replace(whole, evidence={}), replace(whole, evidence=lame), replace(whole, kind="csv_history")):
        found = finding(check, lacking)
        assert found.status == "not_run" and found.sentence.startswith("needs ")


def cites(found: Finding) -> set[str]:
    return {Path(citation.file).relative_to(PATH).as_posix() for citation in found.evidence}


def score(**more: Any) -> dict[str, Any]:
    entry = {"value": 0.9, "ci95": [0.8, 0.95], "gain_ci95": [0.2, 0.4], "n": 288, "groups": 24, "chance": 0.5}
    return {**entry, **more}


def results(**more: Any) -> dict[str, Any]:
    return {"schema": 1, "metrics": {"frame_auroc": score(**more)}}


GOOD_EVIDENCE: dict[str, dict[str, Any]] = {
    "labels_read_twice": {"checked": 300, "differing": 0, "examples": []},
    "loss_under_flipped_labels": {"relative_change": {"frame": 0.8, "point": 0.6}, "total_reads_labels": True},
    "best_constant_loss": {"samples": 96, "terms": {}, "trained_total": 0.2, "constant_total": 0.6},
    "one_batch_overfit": {"first_loss": 2.0, "last_loss": 0.1, "steps": 40, "scores": {}},
    "metric_on_known_answers": {
        metric: {
            "perfect": 1.0,
            "inverted": 0.1,
            "constant": 0.5,
            "random_mean": 0.5,
            "random_standard_error": 0.01,
            "chance": 0.5,
        }
        for metric in ("frame_auroc", "point_ap")
    },
    "between_group_permutation": {
        metric: {"p_value": 0.0001, "observed": 0.9, "null_mean": 0.5, "n_permutations": 9999}
        for metric in ("frame_auroc", "point_ap")
    },
    "inputs_exchanged": {
        "inputs": ["image"],
        "falls": {"image": {name: {"fall": 0.2, "ci95": [0.1, 0.3]} for name in ("frame_auroc", "point_ap")}},
    },
    "reinitialised_networks": {
        "count": 5,
        "scores": [{"frame_auroc": 0.5, "point_ap": 0.4}] * 5,
        "gains": {name: {"network": 0, "gain": 0.4, "ci90": [0.2, 0.5]} for name in ("frame_auroc", "point_ap")},
    },
    "permuted_label_retraining": {
        "steps": 120,
        "true": {"frame_auroc": 0.8, "point_ap": 0.8},
        "permuted": [{"frame_auroc": 0.5, "point_ap": 0.5}] * 2,
    },
    "fresh_process_evaluation": {name: {"here": 0.9, "fresh": 0.9} for name in ("frame_auroc", "point_ap")},
}
"""What every probe finds in a run that learned."""


def write_learned_run(folder: RunFolder, *, task: str = "anomaly", **changed: dict[str, Any]) -> RunFolder:
    """A whole run folder that can be SHOWN, or with other evidence for the probes named in ``changed``."""
    with RecordWriter(folder) as writer:
        writer.event("start", task=task, claims=[asdict(FRAME), asdict(POINT)])
        for step in range(120):
            writer.event("term", step=step, epoch=step // 20, name="loss", value=0.7 * 0.98**step, split="train", n=8)
            if step % 20 == 19:
                score_then = 0.92 - 0.3 * 0.97**step
                writer.event(
                    "metric", step=step, epoch=step // 20, name="frame_auroc", value=score_then, split="val", n=9
                )
                writer.event("look", step=step, split="val", purpose="selection")
        writer.event("look", split="test", purpose="final evaluation")
        writer.event("end", status="done")
    parts = {
        name: {
            "groups": [f"{name} {group}" for group in range(24)],
            "contents": [f"{name} 1", f"{name} 2"],
            "positives": 20,
            "negatives": 40,
        }
        for name in ("train", "val", "test")
    }
    write_json(folder.data, {"schema": 1, "split_sha256": "split", "splits": parts})
    metrics = {"frame_auroc": score(), "point_ap": score()}
    weights = folder.checkpoints / "step-120" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    checkpoint = {"file": "checkpoints/step-120", "sha256": sha256_of(weights)}
    write_json(folder.results, {"schema": 1, "checkpoint": checkpoint, "metrics": metrics})
    basis = read_run(folder.path).basis()
    for probe, values in {**GOOD_EVIDENCE, **changed}.items():
        write_evidence(folder, evidence(probe, values, inputs_hash=basis))
    return folder

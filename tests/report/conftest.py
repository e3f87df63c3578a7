"""A realistic run folder, made in code: what the writers of a run leave behind."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from veritrain.record import Evidence, RecordWriter, RunFolder, write_evidence, write_json

HOSTILE = '<script>alert("x")</script> & "quoted" \'class\''
STEPS, EPOCHS = 30, 10
VOXEL_SCORES = {"auroc": 0.8312, "ap": 0.2911, "fpr95": 0.6123}


def metric_entry(value: float | None, low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
    entry = {"value": value, "ci95": [low, high], "gain_ci95": [0.213, 0.391], "n": 288, "positives": 87}
    return {**entry, "groups": 24, "chance": 0.5, "baseline": 0.561, "baseline_name": "position_map", **more}


def kind_entry(value: float, ends: list[float] | None) -> dict[str, Any]:
    """What ``experiments.breakdown`` writes of one kind: three scores, one of them undefined."""
    entry: dict[str, Any] = {"family": f"scenario type {HOSTILE}", "positives": 43, "groups": 8 if ends else 3}
    for name, one in (("frame_auroc", value), ("point_ap", None), ("object_point_ap", value / 3)):
        known = ends if one is not None else None
        reason = None if known else "groups that hold it: 3, 4 needed"
        beside = {"ci95": known, "no_interval": reason, "chance": 0.5, "baseline": 0.4321, "baseline_name": "range"}
        entry |= {name: one, **{f"{name}_{key}": item for key, item in beside.items()}, f"{name}_positives": 1234}
    return entry


def voxels_of() -> dict[str, Any]:
    scores = {name: metric_entry(value, value - 0.1, value + 0.05) for name, value in VOXEL_SCORES.items()}
    row = {**scores, "missed": 17, "missed_count": "as misses"}
    return {"protocols": {"union": row, HOSTILE: {**row, "ap": metric_entry(None, None, None)}}, "frames": 288}


def components_of() -> dict[str, Any]:
    row: dict[str, Any] = {"least_called": 8, "least_truth": 2, "truths": 91, "called": 120, "groups": 14}
    for name, value in (("mean_siou", 0.4123), ("mean_ppv", None), ("mean_f1", 0.3217)):
        ends = None if value is None else [value - 0.1, value + 0.1]
        row |= {name: value, f"{name}_ci95": ends, f"{name}_baseline": 0.0512, f"{name}_baseline_name": "position map"}
    return {"threshold": 0.7123, "threshold_from": "val", "tracks": {"anomaly": row, HOSTILE: row}}


def reference_of() -> dict[str, Any]:
    """What ``experiments.memory_bank`` writes: one metric undefined, one without a gain."""
    bank = {
        "features": f"random {HOSTILE}",
        "channels": 96,
        "entries": 2000,
        "chosen_from": 50000,
        "parameters": 177600,
    }
    return {
        "memory bank": {
            "about": f"PatchCore {HOSTILE}",
            "metrics": {
                "frame_auroc": metric_entry(0.7654, 0.6543, 0.8432, reliable=True),
                "point_fpr95": metric_entry(None, None, None, reliable=False),
            },
            "by_kind": {"static": kind_entry(0.71, [0.6, 0.8])},
            "model_gain": {"frame_auroc": {"value": 0.1111, "ci95": [0.0123, 0.2345]}},
            "banks": {"image": bank, "points": bank},
            "trainable": 0,
            "normal": {"scenarios": 4, "frames": 48, "scenarios_held_out": 2, "frames_held_out": 24},
            "seconds": {"fit": 13.9, "predict": 39.1},
        }
    }


def results_of(kinds: dict[str, Any]) -> dict[str, Any]:
    fpr = [i / 60 for i in range(61)]
    tpr = [x**0.22 for x in fpr]
    recall, precision = fpr, [1 - 0.55 * x**3 for x in fpr]
    band = {"low": [max(0, y - 0.06) for y in tpr], "high": [min(1, y + 0.05) for y in tpr]}
    pr_band = {"low": [max(0, y - 0.08) for y in precision], "high": [min(1, y + 0.04) for y in precision]}
    curves = {"roc": {"fpr": fpr, "tpr": tpr, **band}, "pr": {"recall": recall, "precision": precision, **pr_band}}
    return {
        "schema": 1,
        "task": "anomaly",
        "made_data": True,
        "checkpoint": {"file": "checkpoints/best.safetensors", "sha256": "ab" * 32, "epoch": 7},
        "metrics": {
            "point_auroc": metric_entry(0.9731, 0.9512, 0.9899, n=1203441, positives=4211, chance=0.5),
            "frame_auroc": metric_entry(0.87654, 0.8012, 0.9345, reliable=True),
            "frame_ap": metric_entry(0.8123, 0.7001, 0.901, chance=0.30344, baseline=0.34),
            "point_ap": metric_entry(0.41234, 0.2871, 0.5513, chance=0.00352, baseline=0.021),
            "point_fpr95": metric_entry(None, None, None, chance=0.95, reliable=False),
            "point_f1": metric_entry(0.3, 0.1, 0.6, groups=6, reliable=False),
        },
        "selection": {
            "split": "val",
            "metrics": {"frame_auroc": metric_entry(0.9012, 0.82, 0.95, groups=12, reliable=True)},
            "threshold": 0.4331,
        },
        "confusion": {"threshold": 0.4331, "tp": 71, "fp": 22, "fn": 16, "tn": 179},
        "by_kind": kinds,
        "by_size": {"1 to 11 returns": kind_entry(0.62, [0.5, 0.7])},
        "voxels": voxels_of(),
        "components": components_of(),
        "reference": reference_of(),
        "curves": {"frame": curves, "point": curves},
        "latency_ms": 8.123,
        "parameters": 412345,
        "size_mb": 1.649,
        "looks": [{"purpose": "final", "t_utc": "2026-01-01T00:00:00Z"}],
    }


def data_of() -> dict[str, Any]:
    def split(groups: int, frames: int, positives: int) -> dict[str, Any]:
        names = [f"{i:012x}" for i in range(groups)]
        counts = {"frames": frames, "positives": positives, "negatives": frames - positives, "unknown": 0}
        return {"groups": names, **counts, "contents": names}

    return {
        "schema": 1,
        "format": "anovox",
        "made_data": True,
        "licence": "CC0-1.0",
        "commercial_use": True,
        "splits": {"train": split(36, 432, 131), "val": split(12, 144, 40), "test": split(24, 288, 87)},
        "classes": ["normal", "anomaly", HOSTILE],
        "kinds": {"normality": 24, "static": 30, "sudden_braking": 18},
        "dropped": [{"file": "Scenario_9/PCD/x.npy", "reason": f"truncated, {HOSTILE}"}],
    }


def finding(id: str, check: str, subject: str, status: str, sentence: str, **more: Any) -> dict[str, Any]:
    whole = {"value": None, "bound": None, "evidence": [], "to_settle": "", "on_fail": "unproves", "required": True}
    return {"id": id, "check": check, "subject": subject, "status": status, "sentence": sentence, **whole, **more}


def verdict_of(folder: Path, word: str = "shown") -> dict[str, Any]:
    record = str(folder / "record.jsonl")
    results = str(folder / "results.json")
    gain = "The gain over the best trivial baseline is 0.316 [0.213, 0.391]"
    cites = {"evidence": [{"file": results, "line": None}]}
    noted = {"on_fail": "notes", "required": False}
    calibrated = {"evidence": [{"file": record, "line": 3}], "to_settle": "fit a temperature on validation"}
    passed = [
        finding("S2", "loss_reads_labels", "loss", "pass", "Flipping labels moves it", value=1.234, bound=1e-6),
        finding("J2", "permuted_retraining_fails", "controls", "pass", "below", value=[0.512, 0.488], bound=0.7912),
        finding("J14", "beats_permuted_labels", "controls", "pass", "p = 0.0001", value=0.0001, bound=0.05),
        finding("G1", "beats_trivial", "generalisation", "pass", gain, value=0.213, bound=0.02, **cites),
    ]
    others = [
        finding("L3", "loss_smooth", "loss", "crashed", "the check itself broke: KeyError: 'x'", **noted),
        finding("N1", "calibrated", "scores", "fail", "ECE is 0.131", value=0.131, bound=0.1, **calibrated, **noted),
        finding("W1", "many_seeds", "claims", "waived", "waived until 2026-12-31: one GPU day", required=False),
    ]
    sentence = (
        "SHOWN (one run): frame_auroc on test = 0.877 [0.801, 0.934], chance 0.500. All 4 required checks passed."
    )
    if word == "refuted":
        more = {"evidence": [{"file": str(folder / "train.log"), "line": 2}], "to_settle": "make labels a function"}
        broken = f"Labels change between reads of {HOSTILE}"
        others.append(
            finding("D4", "labels_deterministic", "labels", "fail", broken, **(more | {"on_fail": "refutes"}))
        )
        sentence = f"REFUTED: frame_auroc on test = 0.877. {broken}."
    findings = passed + others
    claim = {"metric": "frame_auroc", "split": "test", "higher_is_better": True, "minimal_effect": 0.02}
    claim |= {"subgroup": None}
    return {
        "schema": 1,
        "verdict": word,
        "sentence": sentence,
        "claim": claim,
        "claims": [
            {"metric": "frame_auroc", "split": "test", "verdict": word, "sentence": sentence},
            {
                "metric": "point_ap",
                "split": "test",
                "verdict": "plausible",
                "sentence": "PLAUSIBLE: point_ap.",
            },
        ],
        "one_run": True,
        "findings": findings,
        "not_run": [
            {"id": "T9", "check": "seeds_agree", "reason": "needs several runs", "to_settle": "veritrain study"}
        ],
        "waived": [{"id": "W1", "check": "many_seeds", "reason": "only one GPU day", "until": "2026-12-31"}],
        "path": str(folder),
    }


def write_record(folder: RunFolder, *, ended: bool = True, epochs: int = EPOCHS) -> None:
    claims = [
        {"metric": "frame_auroc", "split": "test", "higher_is_better": True, "minimal_effect": 0.02},
        {"metric": "point_ap", "split": "test", "higher_is_better": True, "minimal_effect": 0.01},
    ]
    noise = np.random.default_rng(0)
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly", claims=claims, seed=0)
        writer.event("look", split="val", purpose="threshold")
        writer.event("look", split="test", purpose="final evaluation")
        for step in range(STEPS * epochs):
            epoch = step // STEPS
            for name, scale in (("frame", 0.7), ("point", 0.2), ("pixel", 0.3)):
                value = float(scale * (0.15 + math.exp(-step / 120)) * noise.uniform(0.8, 1.2))
                writer.event("term", step=step, epoch=epoch, name=name, value=value, weight=1.0, n=16, split="train")
            if step % STEPS == STEPS - 1:
                writer.say(f"epoch {epoch} <done> & saved")
                score = 0.9 - 0.4 * math.exp(-epoch / 2) - 0.01 * max(0, epoch - 7)
                writer.event("metric", step=step, epoch=epoch, name="frame_auroc", value=score, split="val", n=144)
        if ended:
            writer.event("stop", reason="epochs")
            writer.event("end", status="done")


def write_evidences(folder: RunFolder) -> None:
    def evidence(probe: str, values: dict[str, Any]) -> None:
        write_evidence(folder, Evidence(probe=probe, version=1, inputs_hash="00", values=values, seconds=1.0))

    null = {"p_value": 0.0001, "observed": 0.8765, "null_mean": 0.501, "null_quantiles": [0.431, 0.5, 0.573]}
    evidence("between_group_permutation", {"frame_auroc": {**null, "n_permutations": 9999, "n_groups": 24}})
    permuted = [{"frame_auroc": 0.512}, {"frame_auroc": 0.488}]
    evidence("permuted_label_retraining", {"steps": 120, "true": {"frame_auroc": 0.7912}, "permuted": permuted})
    scores = [{"frame_auroc": value} for value in (0.43, 0.55, 0.49, 0.52, None)]
    evidence("reinitialised_networks", {"count": 5, "scores": scores})


def write_gallery(folder: RunFolder) -> None:
    noise = np.random.default_rng(1)
    groups = []
    for title, label in (("worst misses", 1), ("worst false alarms", 0), ("random frames", 0)):
        items = []
        for number in range(4):
            id = f"{title[0]}{number}" * 6
            picture = (noise.uniform(0, 90, (96, 160, 3)) + np.linspace(20, 160, 160)[None, :, None]).astype(np.uint8)
            above = np.zeros((120, 120, 3), np.uint8)
            above[noise.integers(0, 120, 400), noise.integers(0, 120, 400)] = (90, 200, 240)
            folder.figures.mkdir(exist_ok=True)
            Image.fromarray(picture).save(folder.figures / f"{id}.png")
            Image.fromarray(above).save(folder.figures / f"{id}_bev.png")
            item = {"id": id, "label": label, "score": 0.1 + 0.2 * number, "image": f"figures/{id}.png"}
            items.append({**item, "points": f"figures/{id}_bev.png", "caption": "static, both sensors"})
        groups.append({"title": title, "items": items})
    groups[0]["items"][3] |= {"image": "../../outside.png", "points": None, "caption": HOSTILE, "score": None}
    (folder.figures / "gallery.json").write_text(json.dumps(groups), encoding="utf-8")


def write_run(path: Path, word: str = "shown") -> RunFolder:
    """A finished run with everything in it."""
    folder = RunFolder(path)
    write_record(folder)
    kinds = {"static": kind_entry(0.91, [0.84, 0.96]), HOSTILE: kind_entry(0.00004, None)}
    write_json(folder.results, results_of(kinds))
    write_json(folder.data, data_of())
    write_json(folder.verdict, verdict_of(path, word))
    environment = {"python": "3.11.7", "packages": {"numpy": "2.1.0", "torch": "2.10.0"}, "machine": {"cpus": 2}}
    write_json(
        folder.environment, {**environment, "command": ["veritrain", "train", "anomaly"], "git": {"dirty": False}}
    )
    recipe = ["data: ../worlds/small-world", "seed: 0", "model: fusion", "fusion: late", "precision: auto"]
    recipe += ["max_seconds: 45.0", f"note: {json.dumps(HOSTILE)}"]
    folder.recipe.write_text("\n".join(recipe) + "\n", encoding="utf-8")
    write_evidences(folder)
    write_gallery(folder)
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> RunFolder:
    return write_run(tmp_path_factory.mktemp("runs") / "demo-run")


@pytest.fixture(scope="session")
def started_run(run, tmp_path_factory) -> RunFolder:
    """The same run, as if its training had started from a weight file."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "started-run")
    shutil.copytree(run.path, folder.path)
    weights = {
        "file": "coco.safetensors",
        "sha256": "cd" * 32,
        "taken": {"backbone and neck": 342},
        "from_scratch": {"view head": "the file has none"},
        "left_out": {"detection head": "does not fit"},
    }
    results = json.loads(folder.results.read_text(encoding="utf-8"))
    write_json(folder.results, {**results, "weights": weights})
    return folder


@pytest.fixture(scope="session")
def refuted_run(tmp_path_factory) -> RunFolder:
    return write_run(tmp_path_factory.mktemp("runs") / "refuted-run", "refuted")


@pytest.fixture(scope="session")
def young_run(tmp_path_factory) -> RunFolder:
    """Still training: a record of two epochs and nothing else."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "young-run")
    write_record(folder, ended=False, epochs=2)
    return folder

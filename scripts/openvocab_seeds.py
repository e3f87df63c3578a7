"""``make results``, second part: open-vocabulary detection from nothing, several seeds, judged.

Made data, one world of images from above that nothing was tuned on. Of each seed: a small CLIP that reads the captions
of the training images (``recipes/contrastive-small.yaml``), then a detector on its towers with its controls, trained
without any image that shows a novel object (``recipes/openvocab-small.yaml``, protocol *images removed*). One run after
the other, each on all processors; a run whose verdict exists is not made again, an interrupted one goes on.

Writes results/openvocab.json after every seed and prints the tables of docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veritrain.record import RunFolder, RunRecord, read_run, write_json

ROOT = Path(__file__).resolve().parent.parent
WORLD = {"images": "3200", "size": "128", "seed": "83", "per_scene": "2", "balance": "even"}
RECIPES = {"contrastive": "contrastive-small.yaml", "openvocab": "openvocab-small.yaml"}
SCORES = ("base_map_50", "novel_map_50", "harmonic_mean", "map_50", "map", "recall_100")
RETRIEVAL = ("text_to_image_r5", "image_to_text_r5")
KEPT = ("value", "ci95", "gain_ci95", "n", "groups", "chance", "baseline", "baseline_name", "baselines")


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "openvocab")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "openvocab.json")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args(words)
    data = made_world(given.runs)
    rows = []
    for seed in range(given.seeds):
        towers, run = (RunFolder(given.runs / f"{task}-{seed}") for task in RECIPES)
        judged(towers, "contrastive", data, seed)
        judged(run, "openvocab", data, seed, "--towers", str(towers.path))
        rows.append(row_of(seed, towers, run))
        content = {"made_data": True, "world": WORLD, "command": "make results", "runs": rows}
        write_json(given.out, content)
        print(told(rows[-1]), flush=True)
    print("\n".join(["", score_table(rows), "", words_table(rows), ""]))
    return 0 if all(row["verdict"] == "shown" for row in rows) else 1


def made_world(runs: Path) -> Path:
    """The images, made unless they are there; seconds in world.seconds beside them."""
    data = runs / "world" / "data"
    if not (data / "veritrain_world.json").is_file():
        start = time.monotonic()
        veritrain("data", "make", "aerial", str(data), *(f"--{key}={value}" for key, value in WORLD.items()))
        (data.parent / "seconds.txt").write_text(f"{time.monotonic() - start:.1f}\n")
    return data


def judged(folder: RunFolder, task: str, data: Path, seed: int, *words: str) -> None:
    """One run with its verdict, unless that exists."""
    if folder.verdict.is_file():
        return
    saved = folder.checkpoints.is_dir() and any(folder.checkpoints.iterdir())
    own = {"config": ROOT / "recipes" / RECIPES[task], "data": data, "run": folder.path, "seed": seed}
    given = [f"--{key}={value}" for key, value in own.items()]
    veritrain("train", task, *given, *words, *(["--resume"] if saved else []))


def veritrain(*words: str) -> None:
    """The command in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "veritrain", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"veritrain {' '.join(words[:2])} ended with {done.returncode}:\n{done.stderr[-2000:]}")


# --- what is told of it -------------------------------------------------------------------------------------------


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def row_of(seed: int, towers: RunFolder, run: RunFolder) -> dict[str, Any]:
    """Everything that is kept of a seed."""
    read_towers, results, verdict = read(towers.results), read(run.results), read(run.verdict)
    return {
        "seed": seed,
        "verdict": verdict["verdict"],
        "sentence": verdict["sentence"],
        "failed": [one["check"] for one in verdict["findings"] if one["status"] == "fail"],
        "metrics": {name: kept(results["metrics"][name]) for name in SCORES},
        "text_controls": results["text_controls"],
        "by_class": results["by_class"]["present"],
        "novel_named": results["pretraining"]["novel_named"],
        "towers": {
            "verdict": read(towers.verdict)["verdict"],
            "metrics": {name: kept(read_towers["metrics"][name]) for name in RETRIEVAL},
            "seconds": round(seconds_of(read_run(towers.path)), 1),
        },
        "seconds": round(seconds_of(read_run(run.path)), 1),
        "world_seconds": float((run.path.parent / "world" / "seconds.txt").read_text()),
    }


def kept(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry.get(key) for key in KEPT}


def seconds_of(record: RunRecord) -> float:
    """From the first to the last line of each segment of the record: training, evaluation and controls."""
    total, first, last = 0.0, None, 0.0
    for line in record.events:
        if line["event"] == "start":
            total += 0.0 if first is None else last - first
            first = line["t_mono"]
        last = line["t_mono"]
    return total + (0.0 if first is None else last - first)


def told(row: Mapping[str, Any]) -> str:
    """A seed in a line."""
    scores = "  ".join(f"{name} {number(row['metrics'][name]['value'])}" for name in SCORES[:3])
    return f"seed {row['seed']}  {row['verdict']:<10} {scores}  {minutes(row)} min  {' '.join(row['failed'])}"


def minutes(row: Mapping[str, Any]) -> str:
    """Of world, towers and detector together."""
    return f"{(row['world_seconds'] + row['towers']['seconds'] + row['seconds']) / 60:.1f}"


def score_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Each seed with its scores, intervals over scenes, chance and the best baseline."""
    lines = ["| seed | verdict | base map_50 | novel map_50 | harmonic mean | recall_100 | minutes |", "|---" * 7 + "|"]
    for row in rows:
        cells = [ranged(row["metrics"][name]) for name in ("base_map_50", "novel_map_50", "harmonic_mean")]
        cells += [number(row["metrics"]["recall_100"]["value"]), minutes(row)]
        lines.append("| " + " | ".join([str(row["seed"]), row["verdict"], *cells]) + " |")
    return "\n".join(lines)


def words_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Each seed's claims beside the same network asked in other words."""
    names = ("names shuffled", "nonsense words")
    head = ["seed", "score", "own names", *(f"{name} | fall" for name in names), "constant boxes", "towers alone"]
    lines = ["| " + " | ".join(head) + " |", "|---" * (len(head) + len(names)) + "|"]
    for row in rows:
        for metric in ("base_map_50", "novel_map_50"):
            own, controls = row["metrics"][metric], row["text_controls"][metric]
            cells = [str(row["seed"]), metric, ranged(own)]
            for name in names:
                one = controls[name]
                cells += [number(one["value"]), f"{number(one['fall'])} ({span(one['fall_ci95'])})"]
            baselines = own["baselines"]
            cells += [number(baselines.get("constant boxes")), number(baselines.get("towers without training"))]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ranged(entry: Mapping[str, Any]) -> str:
    return f"{number(entry['value'])} ({span(entry['ci95'])})"


def span(interval: Sequence[float] | None) -> str:
    return "no interval" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    raise SystemExit(main())

"""``make echo DATA=FOLDER``: the joint task on real echo frames, by patient and on the published split that leaks.

The folder is given and never stands in a file; decoded frames are kept below ``--runs``, so that it is only read. Each
run is a process of its own, ``--jobs`` at a time (with 1 it has all processors, else one thread each); one whose
verdict exists is not made again, an interrupted one goes on. A run of another recipe or of other data in its place is
refused.

Writes results/echo_real.json, **aggregates only**: counts, scores with intervals over patients, the verdict. No frame,
file name or patient (not even as a hash), no weight; a name that slips into a sentence is cut out, and nothing is
written where one stands elsewhere. Prints the tables of docs/results.md. Research software, not a medical device.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veritrain import config
from veritrain.data.detection_cache import open_echo
from veritrain.data.detection_splits import split_detections
from veritrain.data.options import EchoOptions
from veritrain.data.splits import PARTS
from veritrain.experiments.driving_data import short_hash
from veritrain.record import RunFolder, RunRecord, read_run, write_json
from veritrain.study.plan import SURROUNDINGS, changed_keys
from veritrain.tasks.options import JointRecipe

ROOT = Path(__file__).resolve().parent.parent
SPLITS = {"given": "by patient", "published": "published"}
"""Value of ``--split`` to how the tables call it."""
BOX_SCORES = ("map_50", "map", "precision", "recall", "f1")
SCORES = (*BOX_SCORES, "view_accuracy", "view_macro_f1", "view_accuracy_given_valve")
RULE = "most frequent view given the valve"
KEPT = ("value", "ci95", "gain_ci95", "n", "positives", "groups", "reliable", "chance", "baseline", "baseline_name",
        "baselines")  # fmt: skip
"""Of each score."""
COUNTED = ("frames", "videos", "unknown", "largest_group", "groups_with", "labelled")
"""Of each part of the split, beside the number of patients."""
NOTE = """In brackets 95 % intervals over patients; of several seeds the mean (least to most), and the widest brackets.
Then chance and the best trivial baseline. The test splits hold different frames: the difference has no interval."""
OWN_KEYS = ("seed", "split", "weights", *SURROUNDINGS)
"""Recipe keys that say where and which, and are told of each run or not at all."""
LEFT_OUT = "[left out]"
SHORTEST_NAME = 4
"""Shorter names are ordinary numbers and words: their hashes are looked for, they themselves are not."""


@dataclass(frozen=True, kw_only=True)
class Frames:
    """What is known of the data before anything trains.

    Attributes:
        splits: value of ``--split`` to the digest of who trains, selects and tests.
        names: all that must not be told: images, recordings, patients, their hashes, the folder.
    """

    splits: Mapping[str, str]
    names: frozenset[str]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of the frames, or its data.yaml")
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "echo-real.yaml")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "echo-real")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "echo_real.json")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--splits", nargs="+", default=list(SPLITS), choices=list(SPLITS))
    given = parser.parse_args(words)
    recipe = recipe_of(given.recipe, given.data)
    frames = looked_at(given.data, recipe, given.splits, given.runs / "cache")
    asked = [(split, seed) for seed in range(given.seeds) for split in SPLITS if split in given.splits]
    threads = 0 if given.jobs == 1 else 1
    found: dict[tuple[str, int], dict[str, Any]] = {}
    with ThreadPoolExecutor(max_workers=given.jobs) as pool:
        waiting = {pool.submit(judged_run, given, recipe, frames, *one, threads): one for one in asked}
        for done in as_completed(waiting):
            found[waiting[done]] = row = done.result()
            rows = [found[one] for one in asked if one in found]
            write(given.out, rows, recipe_told(given.recipe), frames.names)
            print(told(row), flush=True)
    print("\n".join(["", split_table(rows), "", valve_table(rows), "", *verdict_lines(rows)]))
    return 0


# --- the data and the recipe --------------------------------------------------------------------------------------


def recipe_of(path: Path, data: Path) -> JointRecipe:
    """The recipe file's, of this folder; unknown keys and impossible values are refused before anything runs."""
    config.demand_keys(path, config.names_of(JointRecipe))
    return config.build(JointRecipe, {**config.read_mapping(path), "data": str(data)})


def recipe_told(path: Path) -> dict[str, Any]:
    """The keys of the recipe file that say how it is trained; none says where anything lies."""
    return {key: value for key, value in config.read_mapping(path).items() if key not in OWN_KEYS}


def looked_at(data: Path, recipe: JointRecipe, splits: Sequence[str], cache: Path) -> Frames:
    """Decode the frames once, for all runs, and note who is in which part and what must not be told."""
    options = EchoOptions(
        on_broken=recipe.on_broken,
        geometry=recipe.geometry,
        group_pattern=recipe.group_pattern,
        longest_side=recipe.imgsz,
    )
    source = open_echo(data, options, cache=cache)
    digests = {one: split_detections(source, "published" if one == "published" else "group") for one in splits}
    names = {str(data.resolve()), *([str(data)] if len(data.parts) > 1 else [])}
    for key in source.keys():  # noqa: SIM118 - a method of the data set
        spoken = {key.id, Path(key.id).name, key.video, key.group}
        names |= spoken | {short_hash(name) for name in spoken} | {source.content_hash(key)[:16]}
    names |= {short_hash(problem.file) for problem in source.inventory().problems}
    return Frames(splits={one: found.split.sha256 for one, found in digests.items()}, names=frozenset(names))


# --- one run ------------------------------------------------------------------------------------------------------


def judged_run(
    given: argparse.Namespace, recipe: JointRecipe, frames: Frames, split: str, seed: int, threads: int
) -> dict[str, Any]:
    """The row of one run; it is made, or goes on, unless its verdict exists."""
    folder = RunFolder(given.runs / f"{split}-{seed}")
    demand_recipe(folder, recipe, split, seed)
    if not folder.verdict.is_file():
        trained(folder, words_of(given, folder, split, seed, threads))
    demand_data(folder, frames.splits[split])
    return row_of(folder, split, seed, frames.names)


def words_of(given: argparse.Namespace, folder: RunFolder, split: str, seed: int, threads: int) -> list[str]:
    """What follows ``veritrain``."""
    own = {"config": given.recipe, "data": given.data, "split": split, "seed": seed, "threads": threads}
    own |= {"run": folder.path, "cache": given.runs / "cache"}
    saved = folder.checkpoints.is_dir() and any(folder.checkpoints.iterdir())
    return ["train", "joint", *(f"--{key}={value}" for key, value in own.items()), *(["--resume"] if saved else [])]


def trained(folder: RunFolder, words: Sequence[str]) -> None:
    """``veritrain`` in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "veritrain", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{folder.path.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def demand_recipe(folder: RunFolder, recipe: JointRecipe, split: str, seed: int) -> None:
    """Raises SystemExit where a run of another recipe lies in this one's place."""
    if not folder.recipe.is_file():
        return
    stored = config.load(JointRecipe, folder.recipe)
    changed = [key for key in changed_keys(recipe, stored) if key != "split"]
    changed += [key for key, value in (("split", split), ("seed", seed)) if getattr(stored, key) != value]
    if changed:
        raise SystemExit(
            f"{folder.path.name} is a run of another recipe (it differs in {', '.join(changed)}): "
            "move it away, or choose another --runs"
        )


def demand_data(folder: RunFolder, digest: str) -> None:
    """Raises SystemExit where the run was not made on the frames that are given."""
    if read(folder.data)["split_sha256"] != digest:
        raise SystemExit(f"{folder.path.name} is a run of other frames: move it away, or choose another --runs")


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


# --- what is told of it -------------------------------------------------------------------------------------------


def row_of(folder: RunFolder, split: str, seed: int, names: Collection[str]) -> dict[str, Any]:
    """Everything that is kept of a finished run."""
    results, card, record = read(folder.results), read(folder.data), read_run(folder.path)
    stop = next(line["summary"] for line in reversed(record.events) if line["event"] == "stop")
    metrics = results["metrics"]
    return {
        "split": split,
        "seed": seed,
        **verdict_of(read(folder.verdict), names),
        "made_data": results["made_data"],
        "data": {part: counts_of(card["splits"][part]) for part in PARTS},
        "leaks": card["split"]["leaks"],
        "problems": card["problems"],
        "samples": results["samples"],
        "metrics": {name: kept(metrics[name]) for name in SCORES},
        "by_valve": {
            valve: {name: kept(entries[name]) for name in BOX_SCORES} for valve, entries in results["by_valve"].items()
        },
        "view_given_valve": {valve: kept(entry) for valve, entry in results["view_given_valve"].items()},
        "by_view": results["by_view"],
        "view_confusion": results["view_confusion"],
        "selection": {name: entry["value"] for name, entry in results["selection"]["metrics"].items()},
        "threshold": results["selection"]["threshold"],
        "epoch": results["checkpoint"]["epoch"],
        "steps": stop["steps"],
        "training_seconds": round(stop["seconds"], 1),
        "seconds": round(seconds_of(record), 1),
        "parameters": results["parameters"],
        "starts_from": "scratch" if results["weights"] is None else "a weight file",
        **machine_of(folder),
    }


def verdict_of(verdict: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The word and sentence of each claim, what failed, and which required checks did not run; without names."""
    failed = [one for one in verdict["findings"] if one["status"] == "fail"]
    return {
        "verdict": verdict["verdict"],
        "sentence": without(verdict["sentence"], names),
        "claims": [
            {"metric": one["metric"], "verdict": one["verdict"], "sentence": without(one["sentence"], names)}
            for one in verdict["claims"]
        ],
        "failed": [
            {**{key: one[key] for key in ("check", "on_fail", "required")}, "sentence": without(one["sentence"], names)}
            for one in failed
        ],
        "crashed": [one["check"] for one in verdict["findings"] if one["status"] == "crashed"],
        "required_not_run": [one["check"] for one in verdict["not_run"] if one["required"]],
    }


def counts_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """Of a part of the split: patients, frames, recordings, boxes, views."""
    boxes = sum(part["labelled"]["boxes"].values())
    return {"patients": len(part["groups"]), "boxes": boxes, **{key: part[key] for key in COUNTED}}


def kept(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in KEPT}


def seconds_of(record: RunRecord) -> float:
    """From the first to the last line of each segment of the record: training, evaluation and controls."""
    total, first, last = 0.0, None, 0.0
    for line in record.events:
        if line["event"] == "start":
            total += 0.0 if first is None else last - first
            first = line["t_mono"]
        last = line["t_mono"]
    return total + (0.0 if first is None else last - first)


def machine_of(folder: RunFolder) -> dict[str, Any]:
    """What it ran on, and in which arithmetic."""
    environment = read(folder.environment)
    chosen = re.findall(r"precision auto is (\S+)", folder.train_log.read_text(encoding="utf-8"))
    return {
        "device": environment["gpu"] or f"CPU, {environment['threads']} threads",
        "torch": environment["packages"]["torch"],
        "precision": chosen[-1] if chosen else config.read_mapping(folder.recipe)["precision"],
    }


# --- nothing but aggregates ---------------------------------------------------------------------------------------


def names_in(text: str, names: Collection[str]) -> list[str]:
    """Those names that stand in a text as a whole word, the longest first."""
    there = [name for name in names if len(name) >= SHORTEST_NAME and name in text]
    return sorted((name for name in there if re.search(_whole(name), text)), key=len, reverse=True)


def without(text: str, names: Collection[str]) -> str:
    """A text with every name cut out of it."""
    for name in names_in(text, names):
        text = re.sub(_whole(name), LEFT_OUT, text)
    return text


def _whole(name: str) -> str:
    return rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"


def words_in(content: Any) -> Iterator[str]:
    """Every string of a plain structure, keys too."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from (*words_in(key), *words_in(value))
    elif isinstance(content, list | tuple):
        for value in content:
            yield from words_in(value)


def write(out: Path, rows: Sequence[Mapping[str, Any]], recipe: Mapping[str, Any], names: Collection[str]) -> None:
    """After every run, so that what an ended session computed is not lost.

    Raises:
        SystemExit: a name would be told; nothing is written.
    """
    content = {
        "about": "aggregates; research software, not a medical device",
        "made_data": all(row["made_data"] for row in rows),
        "command": "make echo DATA=FOLDER",
        "recipe": dict(recipe),
        "runs": list(rows),
    }
    count = sum(bool(names_in(text, names)) for text in words_in(content))
    if count:
        raise SystemExit(f"nothing is written: {count} texts of the results hold a name of a frame, patient or folder")
    write_json(out, content)


# --- tables -------------------------------------------------------------------------------------------------------


def told(row: Mapping[str, Any]) -> str:
    """A run in a line."""
    title = f"{SPLITS[row['split']]:<10} seed {row['seed']}"
    scores = "  ".join(f"{name} {number(row['metrics'][name]['value'])}" for name in ("map_50", "view_macro_f1"))
    failed = " ".join(one["check"] for one in row["failed"])
    return f"{title}  {row['verdict']:<10} {scores}  {row['seconds']:.0f} s  {failed}"


def split_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Both splits side by side; the difference is what the leak is worth, on other frames."""
    by = {split: [row for row in rows if row["split"] == split] for split in SPLITS}
    lines = ["| | " + " | ".join(SPLITS.values()) + " | published - by patient |", "|---|---|---|---|"]

    def line(title: str, cells: Iterator[str], last: str = "") -> None:
        lines.append("| " + " | ".join([title, *cells, last]) + " |")

    for key in ("frames", "patients", "boxes"):
        line(f"{key}: train / val / test", (counts_told(by[split], key) for split in SPLITS))
    line("test patients who also train", (leak_told(by[split], "groups") for split in SPLITS))
    line("test frames of such patients", (leak_told(by[split], "frames") for split in SPLITS))
    line("runs: verdicts", (verdicts_told(by[split]) for split in SPLITS))
    for name in SCORES:
        entries = {split: [row["metrics"][name] for row in by[split]] for split in SPLITS}
        honest, leaky = (mean([one["value"] for one in entries[split]]) for split in SPLITS)
        gap = "-" if honest is None or leaky is None else f"{leaky - honest:+.3f}"
        line(name, (score_told(entries[split]) for split in SPLITS), gap)
    return "\n".join([*lines, "", NOTE])


def valve_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each valve and split: its boxes, and the view among its frames."""
    head = ["valve", "split", "test boxes", "test patients", *BOX_SCORES, "constant boxes, map_50"]
    head += ["view accuracy", f"rule ({RULE})"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for valve in dict.fromkeys(valve for row in rows for valve in row["data"]["test"]["labelled"]["boxes"]):
        for split, title in SPLITS.items():
            own = [row for row in rows if row["split"] == split]
            if own:
                lines.append("| " + " | ".join([valve, title, *valve_cells(own, valve)]) + " |")
    return "\n".join(lines)


def valve_cells(rows: Sequence[Mapping[str, Any]], valve: str) -> list[str]:
    """Counts and scores of one valve on one split."""
    test = rows[0]["data"]["test"]
    scores = [row["by_valve"].get(valve, {}) for row in rows]
    given = [row["view_given_valve"][valve] for row in rows if valve in row["view_given_valve"]]
    entries = {name: [one[name] for one in scores if name in one] for name in BOX_SCORES}
    return [
        str(test["labelled"]["boxes"][valve]),
        str(test["groups_with"][valve]),
        *(value_told(entries[name]) for name in BOX_SCORES),
        number(mean([one["baseline"] for one in entries["map_50"]])),
        value_told(given),
        number(mean([one["baselines"].get(RULE) for one in given])),
    ]


def verdict_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each claim of each run in its sentence, and the checks that failed."""
    lines = []
    for row in rows:
        failed = ", ".join(one["check"] for one in row["failed"]) or "none"
        lines.append(f"- {SPLITS[row['split']]}, seed {row['seed']} (failed checks: {failed}):")
        lines += [f"  - {one['sentence']}" for one in row["claims"]]
    return lines


def counts_told(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    return " / ".join(f"{rows[0]['data'][part][key]:,}" for part in PARTS) if rows else "-"


def leak_told(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    if not rows:
        return "-"
    leak = rows[0]["leaks"]["train/test"]
    return f"{leak[key]} of {leak[f'of_{key}']}"


def verdicts_told(rows: Sequence[Mapping[str, Any]]) -> str:
    """``2 not shown, 1 shown``."""
    words = [str(row["verdict"]).replace("_", " ") for row in rows]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)) or "-"


def score_told(entries: Sequence[Mapping[str, Any]]) -> str:
    """Value, interval, chance and the best trivial baseline."""
    if not entries:
        return "-"
    chance, trivial = (mean([one[key] for one in entries]) for key in ("chance", "baseline"))
    name = entries[0]["baseline_name"]
    return f"{value_told(entries)}; {number(chance)}; {number(trivial)}" + (f" ({name})" if name else "")


def value_told(entries: Sequence[Mapping[str, Any]]) -> str:
    """``0.512 [0.40, 0.61]``; of several ``0.512 (0.480 to 0.530) [0.37, 0.64]``, the lowest and highest ends."""
    known = [one["value"] for one in entries if one["value"] is not None]
    if not known:
        return "-"
    several = f" ({min(known):.3f} to {max(known):.3f})" if len(known) > 1 else ""
    ends = [one["ci95"] for one in entries if one["ci95"] and None not in one["ci95"]]
    within = f" [{min(low for low, _ in ends):.2f}, {max(high for _, high in ends):.2f}]" if ends else ""
    return f"{number(mean(known))}{several}{within}"


def mean(values: Sequence[float | None]) -> float | None:
    """Of those that are defined; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    raise SystemExit(main())

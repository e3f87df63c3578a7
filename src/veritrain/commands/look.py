"""``veritrain evaluate``, ``predict`` and ``probe``: looking at a finished run again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from veritrain import catalog
from veritrain.audit.verdict import as_json, judge_all, waivers_of
from veritrain.errors import UsageError, did_you_mean
from veritrain.record import RecordWriter, RunFolder, demand_run, read_run, write_json
from veritrain.report.box_sheet import write_box_sheet
from veritrain.report.breakdown import breakdown_text
from veritrain.report.publish import publish
from veritrain.report.reference import metrics_text, reference_text
from veritrain.report.sheet import write_sheet
from veritrain.report.terminal import print_verdict

Parser = Callable[[str, str, str], ArgumentParser]
Parse = Callable[[ArgumentParser, list[str]], Namespace]

WITHOUT_SINGLE_SAMPLES = ("contrastive",)
"""Tasks whose answers are places among all the others."""
SAMPLES = 8
"""Frames of a split that are predicted when nobody says how many."""


def evaluate(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """evaluate RUN: score the best checkpoint on the test split again."""
    parser = new_parser("evaluate", evaluate.__doc__ or "", "veritrain evaluate runs/mine --json")
    parser.add_argument("run", type=str)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scores_only", action="store_true", help="no intervals, and nothing is written")
    given = parse(parser, words)
    folder = demand_run(given.run)
    from veritrain.experiments.of_task import experiment_of_run

    experiment = experiment_of_run(folder)
    prepared, model = experiment.reopen(folder)
    if given.scores_only:
        print(json.dumps(experiment.plain_scores(prepared, model), indent=1))
        return 0
    results, _ = experiment.results_of(prepared, model)
    stored = json.loads(folder.results.read_text(encoding="utf-8")) if folder.results.is_file() else {}
    with RecordWriter(folder) as writer:
        writer.event("look", split="test", purpose="evaluation again")
    write_json(folder.results, {**stored, **results})
    parts = (metrics_text(results), breakdown_text(results), reference_text(results))
    print(json.dumps(results, indent=1) if given.json else "\n\n".join(part for part in parts if part))
    return 0


def predict(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """predict RUN INPUT... | predict RUN --samples N: scores and pictures of single frames.

    INPUT is a folder of frames, labelled or not, that a driving format recognises; for the tasks joint and openvocab
    images, or a folder of them."""
    example = "veritrain predict runs/mine --samples 8 --split test --attention --voxels"
    parser = new_parser("predict", predict.__doc__ or "", example)
    parser.add_argument("run", type=str)
    parser.add_argument("inputs", nargs="*", type=str, help="folders of frames; the run's own data without any")
    parser.add_argument(
        "--samples", type=int, help=f"evenly spaced frames; without it {SAMPLES} of a split, all of an input"
    )
    parser.add_argument("--split", choices=("", "train", "val", "test"), default="", help="of the run's data: test")
    parser.add_argument(
        "--layout", choices=("auto", "2024", "2023"), default="auto", help="of an INPUT that holds both"
    )
    parser.add_argument("--out", type=str, default="", help="a folder; RUN/predictions/SPLIT (or input) without it")
    parser.add_argument("--attention", action="store_true", help="also who looked at whom")
    parser.add_argument("--voxels", action="store_true", help="also scored voxels in three dimensions")
    parser.add_argument("--labels_out", type=str, default="", help="a new folder for the predictions as labels")
    parser.add_argument("--as", choices=("", "coco", "csv", "npy"), default="", help="the form of --labels_out: coco")
    parser.add_argument("--classes", type=str, default="", help="openvocab: what to look for, as 'ship,red roof'")
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="of the page")
    parser.add_argument("--json", action="store_true", help="print predictions.json")
    given = parse(parser, words)
    if given.samples is not None and given.samples < 1:
        found = f"--samples {given.samples}"
        raise UsageError("nothing to predict", expected="--samples of at least 1", found=found, fix="--samples 8")
    _refuse_idle(given)
    folder = demand_run(given.run)
    task = read_run(folder.path).task
    if task in WITHOUT_SINGLE_SAMPLES:
        raise UsageError(
            f"a run of the task '{task}' has no predictions of single samples",
            expected="a run of anomaly, joint or openvocab",
            found=str(folder.path),
            fix="RUN/predictions and RUN/figures hold its retrievals on test; `veritrain evaluate RUN` scores it again",
        )
    if given.classes and task != "openvocab":
        raise UsageError("--classes is for a run of openvocab", found=f"a run of {task}", fix="leave it out")
    if task in ("joint", "openvocab"):
        return _predict_boxes(given, folder, task)
    document, out = _predicted(given, folder)
    page = write_sheet(document, out, given.language)
    if given.json:
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    for row in document["frames"]:
        decision = {None: "-", True: "anomalous", False: "normal"}[row["decision"]]
        label = {None: "unknown", 1: "anomalous", 0: "normal"}[row["label"]]
        print(f"{row['frame'] or row['id']}  score {row['score']:.3f}  {decision}  label {label}")
    for note in (document["attention_note"], *(f"{one['frame']}: {one['reason']}" for one in document["broken"])):
        if note:
            print(note)
    if given.labels_out:
        print(f"labels ({document['labels']['form']}): {document['labels']['path']}")
    print(page)
    return 0


def _predict_boxes(given: Namespace, folder: RunFolder, task: str) -> int:
    """Boxes of single images, and their view where the task has views."""
    idle = [f"--{name}" for name in ("attention", "voxels", "labels_out") if given[name]]
    idle += ["--layout"] * (given.layout != "auto")
    if idle:
        raise UsageError(
            f"{', '.join(idle)} changes nothing for the {task} task", found=" ".join(idle), fix="leave it out"
        )
    samples = given.samples or (0 if given.inputs else SAMPLES)
    wanted = {"samples": samples, "split": given.split or "test", "out": given.out}
    if task == "joint":
        from veritrain.experiments import joint_predicting

        document, out = joint_predicting.predict_run(folder, given.inputs, **wanted)
    else:
        from veritrain.experiments import openvocab_predicting

        classes = [name.strip() for name in given.classes.split(",") if name.strip()]
        document, out = openvocab_predicting.predict_run(folder, given.inputs, **wanted, classes=classes)
    page = write_box_sheet(document, out, given.language)
    if given.json:
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    if document["medical"]:
        print("research software, not a medical device")
    for row in document["frames"]:
        boxes = ", ".join(f"{one['class']} {one['score']:.2f}" for one in row.get("boxes", ())) or "nothing called"
        view = f"  view {row['view']} {max(row['view_probabilities'].values()):.2f}" if "view" in row else ""
        labels = ", ".join([*row["labelled"], *([row["view_label"]] if row.get("view_label") else [])]) or "none"
        print(f"{row['id']}  {boxes}{view}  labels {labels}")
    print(page)
    return 0


def _refuse_idle(given: Namespace) -> None:
    """Options that would change nothing together with the others."""
    if given.inputs and given.split:
        raise UsageError(
            "--split is for the run's own data", found=f"--split {given.split} beside an INPUT", fix="leave one out"
        )
    if given.layout != "auto" and not given.inputs:
        raise UsageError("--layout is for an INPUT", found=f"--layout {given.layout} without one", fix="leave it out")
    if given["as"] and not given.labels_out:
        raise UsageError("--as without --labels_out", found=f"--as {given['as']}", fix="add --labels_out FOLDER")


def _predicted(given: Namespace, folder: RunFolder) -> tuple[dict[str, Any], Path]:
    """The content of ``predictions.json``, written, and the folder it lies in."""
    from veritrain.data.labels_out import LabelWriter
    from veritrain.experiments import inputs, predicting

    split = given.split or "test"
    out = Path(given.out) if given.out else folder.predictions / ("input" if given.inputs else split)
    thresholds = predicting.thresholds_of(folder)
    about = {"description": "predictions of a network, by veritrain", "run": folder.path.resolve().name}
    form = given["as"] or "coco"
    writer = LabelWriter(folder=Path(given.labels_out), form=form, about=about) if given.labels_out else None
    wanted = predicting.Wanted(out=out, attention=given.attention, voxels=given.voxels, labels=writer)
    if given.inputs:
        parts = [inputs.open_inputs(folder, path, given.samples or 0, given.layout) for path in given.inputs]
    else:
        if split == "test":
            with RecordWriter(folder) as record:
                record.event("look", split="test", purpose="pictures of single samples")
        parts = [inputs.open_samples(folder, split, given.samples or SAMPLES)]
    rows = [row for opened, chosen in parts for row in predicting.predict_frames(opened, chosen, thresholds, wanted)]
    document = predicting.document_of(folder, parts, rows, thresholds, wanted, None if given.inputs else split)
    if writer is not None:
        document["labels"] = {"form": form, "path": str(writer.close())}
    predicting.write_document(out, document)
    return document, out


def probe(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """probe RUN [NAME...]: make the evidence again (or what was left out), then judge and report."""
    parser = new_parser("probe", probe.__doc__ or "", "veritrain probe runs/mine permuted_label_retraining")
    parser.add_argument("run", type=str)
    parser.add_argument("names", nargs="*", type=str, help=", ".join(catalog.PROBES))
    given = parse(parser, words)
    for name in given.names:
        if name not in catalog.PROBES:
            raise UsageError(f"no probe '{name}'", found=name, fix=did_you_mean(name, catalog.PROBES))
    folder = demand_run(given.run)
    from veritrain.experiments.of_task import experiment_of_run

    experiment = experiment_of_run(folder)
    prepared, model = experiment.reopen(folder)
    scored, predictions = experiment.scored(prepared, model)
    with RecordWriter(folder) as writer:
        names = tuple(given.names) or tuple(catalog.PROBES)
        experiment.make_evidence(scored, model, predictions, folder, writer, names=names)
    verdict = as_json(judge_all(read_run(folder.path), waivers_of(folder.recipe)), folder.path)
    publish(folder, verdict)
    print_verdict(verdict)
    return 0

"""``veritrain evaluate``, ``predict`` and ``probe``: looking at a finished run again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from veritrain import catalog
from veritrain.audit.verdict import as_json, judge_all, waivers_of
from veritrain.errors import UsageError, did_you_mean
from veritrain.record import RecordWriter, demand_run, read_run, write_json
from veritrain.report.breakdown import breakdown_text
from veritrain.report.publish import publish
from veritrain.report.reference import metrics_text, reference_text
from veritrain.report.terminal import print_verdict

Parser = Callable[[str, str, str], ArgumentParser]
Parse = Callable[[ArgumentParser, list[str]], Namespace]


def evaluate(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """evaluate RUN: score the best checkpoint on the test split again."""
    parser = new_parser("evaluate", evaluate.__doc__ or "", "veritrain evaluate runs/mine --json")
    parser.add_argument("run", type=str)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scores_only", action="store_true", help="no intervals, and nothing is written")
    given = parse(parser, words)
    folder = demand_run(given.run)
    from veritrain.experiments import anomaly

    prepared, model = anomaly.reopen(folder)
    if given.scores_only:
        print(json.dumps(anomaly.plain_scores(prepared, model), indent=1))
        return 0
    results, _ = anomaly.results_of(prepared, model)
    stored = json.loads(folder.results.read_text(encoding="utf-8")) if folder.results.is_file() else {}
    with RecordWriter(folder) as writer:
        writer.event("look", split="test", purpose="evaluation again")
    write_json(folder.results, {**stored, **results})
    parts = (metrics_text(results), breakdown_text(results), reference_text(results))
    print(json.dumps(results, indent=1) if given.json else "\n\n".join(part for part in parts if part))
    return 0


def predict(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """predict RUN --samples N: scores and pictures of single samples."""
    parser = new_parser("predict", predict.__doc__ or "", "veritrain predict runs/mine --samples 8 --split test")
    parser.add_argument("run", type=str)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--out", type=str, default="", help="a folder; RUN/predictions/SPLIT without it")
    given = parse(parser, words)
    folder = demand_run(given.run)
    from veritrain.experiments import anomaly, pictures

    prepared, model = anomaly.reopen(folder)
    out = Path(given.out) if given.out else folder.predictions / given.split
    rows = pictures.predict_samples(
        prepared.task, prepared.data, model, split=given.split, count=given.samples, out=out
    )
    if given.split == "test":
        with RecordWriter(folder) as writer:
            writer.event("look", split="test", purpose="pictures of single samples")
    for row in rows:
        print(f"{row['id']}  score {row['score']:.3f}  label {row['label']}  {row['image']}")
    return 0


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
    from veritrain.experiments import anomaly

    prepared, model = anomaly.reopen(folder)
    predictions = anomaly.results_of(prepared, model)[1]
    with RecordWriter(folder) as writer:
        names = tuple(given.names) or tuple(catalog.PROBES)
        anomaly.make_evidence(prepared, model, predictions, folder, writer, names=names)
    verdict = as_json(judge_all(read_run(folder.path), waivers_of(folder.recipe)), folder.path)
    publish(folder, verdict)
    print_verdict(verdict)
    return 0

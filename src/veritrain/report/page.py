"""The report: one HTML file without a network, the verdict first, every number traceable to its file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import veritrain
from veritrain.errors import RecordError
from veritrain.record import RunFolder, RunRecord, read_run
from veritrain.report import figures
from veritrain.report.balance_curves import balance_charts, balance_told
from veritrain.report.breakdown import breakdown_metrics
from veritrain.report.chart import STYLE
from veritrain.report.class_curves import class_charts
from veritrain.report.kind_curves import kind_charts, left_out
from veritrain.report.language import WORDS, Language, both, check_language, pair
from veritrain.report.numbers import Source, brief, shown
from veritrain.report.pictures import embedded
from veritrain.report.quotes import Quotes
from veritrain.report.reasons import reasons_of, sorted_findings, to_settle
from veritrain.report.recipe_facts import also_needed, cautions, commands, data_facts, network_of, recipe_of

TEMPLATES = Path(__file__).parent / "templates"
UNJUDGED: Mapping[str, Any] = {
    "verdict": "unjudged",
    "sentence": "",
    "path": "",
    "claim": None,
    "claims": [],
    "one_run": True,
    "findings": [],
    "not_run": [],
    "waived": [],
}
"""What a verdict holds before anybody judged; missing keys of a written one are filled from here."""


def write_report(folder: RunFolder, language: str = "en") -> Path:
    """Write ``report.html`` of a run, finished or not; the page holds both languages and opens in ``language``.

    Raises:
        RecordError: no record, or a file of the run that is not what it should be.
        UsageError: no such language.
    """
    chosen = check_language(language)
    record = read_run(folder.path)
    verdict = _read(folder.verdict)
    page = rendered("run.html", chosen, **_run_context(folder, record, verdict, chosen))
    return written(folder.report, page)


def write_foreign_report(verdict: Mapping[str, Any], out: Path, language: str = "en") -> Path:
    """Write the report of an audited file from its verdict; cited lines are quoted where the file is still there."""
    chosen = check_language(language)
    name = Path(str(verdict.get("path", ""))).name or str(verdict.get("path", ""))
    context = _verdict_context(verdict, Quotes(Path.cwd()))
    return written(out, rendered("foreign.html", chosen, title=name, made_data=False, finished=True, **context))


def _read(path: Path) -> Any:
    """The JSON document of a file, None where there is no file."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError("not JSON", expected="a JSON document", found=str(error), file=path) from error


def written(path: Path, page: str) -> Path:
    """The page at its place, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(page, encoding="utf-8")
    beside.replace(path)
    return path


def rendered(template: str, language: Language, **context: Any) -> str:
    """A page of ours; everything in ``context`` is escaped."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        t=both, shown=shown, brief=brief, breakable=breakable, named=named, pair=pair,
        breakdown_metrics=breakdown_metrics,
        metric_words=figures.metric_words, language=language, version=veritrain.__version__,
        style=Markup(STYLE + (TEMPLATES / "page.css").read_text(encoding="utf-8")),  # ours, without user text
    )  # fmt: skip
    contents: list[tuple[str, str]] = []  # (id, key) of each heading, as the page comes to it
    return environment.get_template(template).render(contents=contents, **context)


def named(column: str) -> Markup:
    """The words for a column of a results table; a metric's name where there are none."""
    return both(column) if column in WORDS else Markup.escape(figures.metric_words(column))


def breakable(text: str, after: str) -> Markup:
    """The text, which may break after each of some characters when a line is short; copying gives the plain text."""
    parts = re.split(f"(?<=[{re.escape(after)}])", text)
    return Markup("<wbr>").join(Markup.escape(part) for part in parts if part)


def _verdict_context(verdict: Mapping[str, Any] | None, quotes: Quotes) -> dict[str, Any]:
    """What both kinds of report say about the verdict."""
    judged = {**UNJUDGED, **(verdict or {})}
    return {
        "verdict": judged,
        "said": Source("verdict.json", verdict),
        "reasons": reasons_of(judged),
        "settle": to_settle(judged),
        "findings": sorted_findings(judged),
        "counts": {status: _count(judged, status) for status in ("pass", "fail", "crashed", "waived")},
        "quotes": quotes,
    }


def _count(verdict: Mapping[str, Any], status: str) -> int:
    return sum(finding["status"] == status for finding in verdict["findings"])


def _run_context(
    folder: RunFolder, record: RunRecord, verdict: Mapping[str, Any] | None, language: Language
) -> dict[str, Any]:
    results, data = record.results, record.data
    curves = (results or {}).get("curves") or {}
    metrics = (results or {}).get("metrics") or {}
    return {
        "title": folder.path.resolve().name,
        "made_data": bool((results or {}).get("made_data") or (data or {}).get("made_data")),
        "medical": bool((results or {}).get("medical") or (data or {}).get("medical")),
        "leaky_split": bool((results or {}).get("leaky_split")),
        "task": record.task or "",
        "finished": bool(record.of("end")),
        "state": _state(record),
        "results": Source("results.json", results) if results is not None else None,
        "metric_names": _metric_names(record),
        "uncounted": any("positives" in one and one["positives"] is None for one in metrics.values()),
        "scales": {name: _scale(entry) for name, entry in metrics.items()},
        "data": Source("data.json", data) if data is not None else None,
        "curves": _svgs([figures.loss_curves(record, language), figures.metric_curves(record, language)]),
        "balance": balance_told(record),
        "balance_curves": _svgs(balance_charts(record, language)),
        "looks": [str(look.get("purpose", "")) for look in record.of("look") if look.get("split") == "test"],
        "banded": any((part or {}).get("low") for level in curves.values() for part in level.values()),
        "rankings": _svgs(_rankings(results or {}, language)),
        "kind_charts": _svgs(kind_charts(results or {}, language)),
        "class_charts": _svgs(class_charts(results or {}, language)),
        "kinds_left_out": left_out(results or {}),
        "nulls": _svgs(_nulls(record, language)),
        "controls": _svgs([figures.controls_chart(record, language)]),
        "gallery": _gallery(folder),
        "recipe": _text(folder.recipe),
        **_recipe_context(folder, record),
        "environment": _flat(_read(folder.environment) or {}),
        **_verdict_context(verdict, Quotes(folder.path)),
    }


def _recipe_context(folder: RunFolder, record: RunRecord) -> dict[str, Any]:
    """What the recipe says of the network and of making the run again."""
    recipe = recipe_of(folder.recipe)
    return {
        "network": network_of(recipe),
        "again": commands(folder.path.resolve().name, record.task or ""),
        "data_facts": data_facts(recipe, record.data or {}),
        "also_needed": also_needed(recipe),
        "cautions": cautions(recipe),
    }


def _svgs(drawn: Sequence[str | None]) -> list[Markup]:
    """Our own drawings; their words were escaped where they were drawn."""
    return [Markup(svg) for svg in drawn if svg is not None]


def _state(record: RunRecord) -> dict[str, Any]:
    """Where the run stands: its last line, how it ended and why it stopped."""
    last = record.events[-1] if record.events else {}
    end = (record.of("end") or [{}])[-1]
    stop = (record.of("stop") or [{}])[-1]
    broken = record.of("nonfinite")
    return {
        "line": last.get("line"),
        "time": last.get("t_utc"),
        "step": last.get("step"),
        "epoch": last.get("epoch"),
        "status": end.get("status"),
        "stop": stop.get("reason"),
        "nonfinite": len(broken),
    }


def _metric_names(record: RunRecord) -> list[str]:
    """Names in ``results.json``, those of the claims first."""
    names = list(((record.results or {}).get("metrics") or {}).keys())
    claimed = [claim.metric for claim in record.claims if claim.metric in names]
    return list(dict.fromkeys([*claimed, *names]))


def _scale(entry: Mapping[str, Any]) -> dict[str, float] | None:
    """Places, in percent of a 0-to-1 scale, of what a metric's row draws; None when it does not fit that scale."""
    ends = entry.get("ci95") or (None, None)
    named = {"value": entry.get("value"), "low": ends[0], "high": ends[1]}
    named |= {"chance": entry.get("chance"), "baseline": entry.get("baseline")}
    known = {name: float(value) for name, value in named.items() if isinstance(value, int | float)}
    if "value" not in known or not all(0 <= value <= 1 for value in known.values()):
        return None
    return {name: round(100 * value, 2) for name, value in known.items()}


def _rankings(results: Mapping[str, Any], language: Language) -> list[str | None]:
    """ROC and precision-recall of every level that has curves."""
    drawn: list[str | None] = []
    for level, curves in (results.get("curves") or {}).items():
        chosen = _chosen_point(results.get("confusion") or {}) if level == "frame" else (None, None)
        metric = (results.get("metrics") or {}).get(f"{level}_ap") or {}
        drawn_at_random = metric["positives"] / metric["n"] if metric.get("n") and metric.get("positives") else None
        drawn.append(figures.roc_chart(curves.get("roc") or {}, level, chosen[0], language))
        drawn.append(figures.pr_chart(curves.get("pr") or {}, level, drawn_at_random, chosen[1], language))
    return drawn


def _chosen_point(
    counts: Mapping[str, Any],
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """(fpr, tpr) and (recall, precision) at the chosen threshold, each None where undefined."""
    cells = [counts.get(name) for name in ("tp", "fp", "fn", "tn")]
    if None in cells:
        return None, None
    tp, fp, fn, tn = (int(cell) for cell in cells if cell is not None)
    roc = (fp / (fp + tn), tp / (tp + fn)) if fp + tn and tp + fn else None
    return roc, (tp / (tp + fn), tp / (tp + fp)) if tp + fn and tp + fp else None


def _nulls(record: RunRecord, language: Language) -> list[str | None]:
    found = record.evidence.get("between_group_permutation")
    if found is None or found.status != "done":
        return []
    return [
        figures.null_chart(values, metric, language)
        for metric, values in found.values.items()
        if isinstance(values, Mapping)
    ]


def _gallery(folder: RunFolder) -> list[dict[str, Any]]:
    """The picture groups with their pictures embedded; the places keep the file's own order."""
    content = _read(folder.figures / "gallery.json") or []
    source = Source("figures/gallery.json", content)
    return [
        {
            "title": str(group.get("title", "")),
            "titled": group.get("title") in WORDS,
            "judged": "threshold" in group,
            "items": [
                {
                    **item,
                    "place": (place, "items", number),
                    "camera": embedded(folder.path, item.get("image")),
                    "above": embedded(folder.path, item.get("points")),
                }
                for number, item in enumerate(group.get("items", ()))
            ],
            "source": source,
        }
        for place, group in enumerate(content)
    ]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested keys as dotted names, values as text; what there is none of (a GPU, say) has no row."""
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}.")
        elif isinstance(value, list):
            rows.append((name, " ".join(str(item) for item in value)))
        else:
            rows += [] if value is None else [(name, str(value))]
    return rows

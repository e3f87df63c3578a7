from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from report.markup import Node, parse
from veritrain.errors import RecordError, UsageError
from veritrain.record import RunFolder, write_json
from veritrain.report.page import TEMPLATES, write_foreign_report, write_report

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def page(run) -> Node:
    return parse(write_report(run).read_text(encoding="utf-8"))


def resolved(folder: Path, source: str) -> Any:
    """What a ``file#/json/pointer`` points at; None where the path ends early."""
    file, _, path = source.partition("#")
    content = json.loads((folder / file).read_text(encoding="utf-8"))
    for key in (part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]):
        if isinstance(content, list):
            content = content[int(key)]
        elif isinstance(content, dict) and key in content:
            content = content[key]
        else:
            return None
    return content


def agrees(text: str, value: Any) -> bool:
    """Is ``text`` how ``value`` reads, to the places that are displayed?"""
    if value is None or (isinstance(value, list) and None in value):
        return text in ("undefined", "\N{EN DASH}")
    if isinstance(value, str):
        return text == value or (bool(text) and value.endswith(f": {text}"))  # a sentence without the verdict's word
    if isinstance(value, list):
        return text == str(len(value))
    plain = text.replace(",", "")
    digits, _, exponent = plain.partition("e")
    places = len(digits.partition(".")[2]) - int(exponent or 0)
    return abs(float(plain) - value) <= 0.5000001 * 10.0**-places


def test_every_number_is_recomputed_from_its_file(page, run):
    traced = [node for node in page.walk() if "data-source" in node.attributes]
    wrong = [
        f"{node.attributes['data-source']}: {node.text()!r}"
        for node in traced
        if not agrees(node.text(), resolved(run.path, str(node.attributes["data-source"])))
    ]
    assert len(traced) > 80
    assert not wrong


def test_every_entry_of_the_results_is_on_the_page(page, run):
    sources = {node.attributes.get("data-source") for node in page.walk()}
    results = json.loads(run.results.read_text(encoding="utf-8"))
    for name in results["metrics"]:
        for key in ("value", "chance", "baseline", "n", "positives", "groups"):
            assert f"results.json#/metrics/{name}/{key}" in sources
    for cell in ("tp", "fp", "fn", "tn", "threshold"):
        assert f"results.json#/confusion/{cell}" in sources


def test_no_number_of_the_result_tables_is_untraced(page):
    def untraced(node: Node) -> str:
        if {"data-source", "data-share"} & set(node.attributes) or node.tag in ("svg", "th"):
            return ""
        return " ".join(child if isinstance(child, str) else untraced(child) for child in node.words)

    tables = [n for n in page.walk() if n.tag == "table" and n.attributes.get("class") in ("numbers", "matrix")]
    bodies = [node for table in tables for node in table.walk() if node.tag == "tbody"]
    assert len(bodies) >= 4
    for body in bodies:
        assert not re.findall(r"\d", untraced(body).replace("fewer than 10 groups", "").replace("组数不足 10", ""))


def test_few_groups_are_named_as_the_reason(page):
    assert page.text().count("fewer than 10 groups: unreliable") == 1


def test_shares_are_of_their_row(page, run):
    counts = json.loads(run.results.read_text(encoding="utf-8"))["confusion"]
    whole = {"tp": "fn", "fn": "tp", "fp": "tn", "tn": "fp"}
    shares = {
        str(n.attributes["data-share"]).rpartition("/")[2]: n.text()
        for n in page.walk()
        if "data-share" in n.attributes
    }
    for name, other in whole.items():
        assert shares[name] == f"{100 * counts[name] / (counts[name] + counts[other]):.1f} %"


def test_the_verdict_stands_first_with_reasons(page):
    banner = page.by_id("verdict").text()
    assert "SHOWN" in banner and "(one run)" in banner
    assert banner.count("SHOWN") == 1 and "frame_auroc on test = 0.877" in banner
    assert banner.index("beats_trivial") < banner.index("beats_permuted_labels")
    order = [node.attributes.get("id") for node in page.walk() if node.tag == "section" or node.tag == "h2"]
    named = [name for name in order if name]
    before = ["verdict", "metrics", "checks", "not-run", "waivers", "training", "ranking", "confusion", "by-kind"]
    before += ["voxels", "components", "reference"]
    assert named == [*before, "gallery", "controls", "data-card", "model-card", "reproduce"]


def test_every_section_is_linked_in_the_order_of_the_page(page):
    nav = next(node for node in page.walk() if node.tag == "nav")
    links = [str(node.attributes["href"]).removeprefix("#") for node in nav.walk() if node.tag == "a"]
    assert links == [n.attributes["id"] for n in page.walk() if n.tag in ("h2", "h3") and "id" in n.attributes]
    assert {"by-kind", "by-size", "voxels", "components", "reference"} <= set(links)


def test_a_count_that_does_not_apply_is_a_dash_and_a_lacking_one_undefined(tmp_path):
    folder = RunFolder(tmp_path)
    folder.record.write_text("")
    lacking = {"frame_auroc": {"value": 0.9}}
    write_json(
        folder.results, {"schema": 1, "metrics": {"view_accuracy": {"value": 0.9, "positives": None}, **lacking}}
    )
    tree = parse(write_report(folder).read_text(encoding="utf-8"))
    traced = {node.attributes["data-source"]: node.text() for node in tree.walk() if "data-source" in node.attributes}
    assert traced["results.json#/metrics/view_accuracy/positives"] == "\N{EN DASH}"
    assert traced["results.json#/metrics/frame_auroc/positives"] == "undefined"
    assert "A dash under Positives" in tree.text()
    write_json(folder.results, {"schema": 1, "metrics": lacking})
    assert "A dash under Positives" not in parse(write_report(folder).read_text(encoding="utf-8")).text()


def test_hashes_are_short_and_whole_when_pointed_at(tmp_path):
    folder = RunFolder(tmp_path)
    folder.record.write_text("")
    digest = "ab" * 32
    found = {"id": "S14", "check": "checkpoint_unchanged", "subject": "integrity", "status": "pass", "sentence": "so"}
    found |= {
        "value": digest,
        "bound": digest,
        "evidence": [{"file": str(tmp_path / "evidence/a_b.json"), "line": None}],
    }
    write_json(folder.verdict, {"verdict": "shown", "findings": [{**found, "to_settle": "", "on_fail": "unproves"}]})
    html = write_report(folder).read_text(encoding="utf-8")
    row = parse(html).by_id("check-S14")
    assert "Value abababababab · Bound abababababab" in row.text() and digest not in row.text()
    assert [n.attributes["title"] for n in row.walk() if "title" in n.attributes] == [digest] * 2
    assert "evidence/<wbr>a_<wbr>b.json" in html


def test_an_empty_group_of_pictures_says_none_and_the_rest_is_explained(run, tmp_path):
    folder = RunFolder(tmp_path)
    shutil.copytree(run.path, folder.path, dirs_exist_ok=True)
    write_json(folder.figures / "gallery.json", [{"title": "worst false alarms", "items": [], "threshold": 0.5}])
    part = next(n for n in parse(write_report(folder).read_text(encoding="utf-8")).walk()
                if n.attributes.get("aria-labelledby") == "gallery").text()  # fmt: skip
    assert re.search(r"Worst false alarms\s+none\s", part)
    assert "one a scenario" in part and "one a scenario" not in parse(run.report.read_text(encoding="utf-8")).text()
    assert "bright yellow" in part and "green outline" in part


def test_what_there_is_none_of_has_no_row(tmp_path):
    folder = RunFolder(tmp_path)
    folder.record.write_text("")
    write_json(folder.environment, {"gpu": None, "processors": 2})
    text = parse(write_report(folder).read_text(encoding="utf-8")).text()
    assert "processors" in text and "gpu" not in text


def test_made_data_is_called_made_in_the_banner(page):
    assert "Made data." in page.by_id("verdict").text()
    assert "人造数据" in page.by_id("verdict").text("zh")


def test_hostile_words_stay_words(run, refuted_run):
    for folder in (run, refuted_run):
        html = write_report(folder).read_text(encoding="utf-8")
        tree = parse(html)
        assert "<script" not in html
        assert HOSTILE in tree.text()
        assert not [node for node in tree.walk() if any(name.startswith("on") for name in node.attributes)]


def test_nothing_reaches_outside_the_file(page, run):
    html = run.report.read_text(encoding="utf-8")
    policy = next(n for n in page.walk() if n.attributes.get("http-equiv") == "Content-Security-Policy")
    assert str(policy.attributes["content"]).startswith("default-src 'none'")
    for node in page.walk():
        for name in ("src", "href", "action", "data", "srcset", "xlink:href"):
            address = node.attributes.get(name)
            assert address is None or address.startswith(("#", "data:image/webp;base64,")), address
    assert "url(" not in html and "@import" not in html and "://" not in re.sub(r"http://www.w3.org/2000/svg", "", html)


def test_anchors_lead_somewhere_and_ids_are_unique(page):
    ids = [node.attributes["id"] for node in page.walk() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for node in page.walk():
        for name in ("href", "for", "aria-labelledby"):
            target = str(node.attributes.get(name) or "")
            assert not target or target.startswith("data:") or target.removeprefix("#") in ids, target


def test_pictures_and_drawings_have_words(page):
    pictures = [node for node in page.walk() if node.tag == "img"]
    assert len(pictures) == 22 and all(str(node.attributes.get("alt", "")).strip() for node in pictures)
    charts = [node for node in page.walk() if node.tag == "svg" and node.attributes.get("class") == "chart"]
    assert len(charts) == 8
    for chart in charts:
        assert {child.tag for child in chart.words if isinstance(child, Node)} >= {"title", "desc"}
    assert all("scope" in node.attributes for node in page.walk() if node.tag == "th")


def test_the_worst_errors_stand_beside_random_frames(page):
    text = page.text()
    assert text.index("Worst misses") < text.index("Worst false alarms") < text.index("Random frames")
    assert "The picture is missing or cannot be read." in text


def test_not_run_and_waivers_are_shown(page):
    text = page.text()
    assert "seeds_agree" in text
    assert "A check that did not run never counts as passed." in text
    assert "only one GPU day" in text and "2026-12-31" in text


def test_no_word_of_python_leaks(page):
    for language in ("en", "zh"):
        words = set(re.findall(r"[A-Za-z_]+", page.text(language)))
        assert not words & {"nan", "NaN", "None", "Undefined", "inf", "Markup", "dict", "null"}


def test_the_weights_that_training_started_from_are_in_the_model_card(page, started_run):
    text = parse(write_report(started_run).read_text(encoding="utf-8")).text()
    assert "coco.safetensors" in text and "cd" * 32 in text and "from scratch: view head" in text
    assert "What that file was trained on is not known" in text
    assert "Training started from" not in page.text()


def test_the_page_says_how_to_make_the_run_again(page):
    part = next(n for n in page.walk() if n.attributes.get("aria-labelledby") == "reproduce").text()
    assert "veritrain train anomaly --config demo-run/recipe.yaml --data DATA --run demo-run-again\n" in part
    assert "DATA is called small-world, format anovox" in part
    assert "had a time budget" in part and "trained with precision auto" in part
    card = next(n for n in page.walk() if n.attributes.get("aria-labelledby") == "model-card").text()
    assert "fusion" in card and "late" in card


def test_a_young_run_says_that_it_is_not_done(young_run):
    text = parse(write_report(young_run).read_text(encoding="utf-8")).text()
    assert "NOT JUDGED YET" in text and "This run has not ended." in text
    assert "There are no test results yet" in text and "record.jsonl:" in text


def test_an_empty_record_still_has_a_page(tmp_path):
    (tmp_path / "record.jsonl").write_text("")
    assert "No loss or metric has been recorded yet." in write_report(RunFolder(tmp_path)).read_text(encoding="utf-8")


def test_the_language_opens_first(run, tmp_path):
    html = write_report(run, "zh").read_text(encoding="utf-8")
    assert '<html lang="zh">' in html
    checked = [n.attributes["id"] for n in parse(html).walk() if "checked" in n.attributes]
    assert checked == ["say-zh"]
    write_report(run)
    with pytest.raises(UsageError):
        write_report(run, "fr")


def test_broken_files_are_named(tmp_path):
    with pytest.raises(RecordError, match="not a run folder"):
        write_report(RunFolder(tmp_path))
    folder = RunFolder(tmp_path)
    folder.record.write_text("")
    folder.verdict.write_text("{")
    with pytest.raises(RecordError, match=r"verdict\.json"):
        write_report(folder)


def test_sparse_results_are_undefined_not_invented(tmp_path):
    folder = RunFolder(tmp_path)
    folder.record.write_text("")
    write_json(folder.results, {"schema": 1, "metrics": {"frame_auroc": {"value": None}}, "confusion": {"tp": 0}})
    write_json(folder.data, {"schema": 1, "splits": {"test": {"frames": 3}}})
    tree = parse(write_report(folder).read_text(encoding="utf-8"))
    traced = {node.attributes["data-source"]: node.text() for node in tree.walk() if "data-source" in node.attributes}
    assert traced["results.json#/metrics/frame_auroc/value"] == "undefined"
    assert traced["results.json#/metrics/frame_auroc/ci95"] == "undefined"
    assert traced["results.json#/confusion/fn"] == "undefined"
    assert traced["data.json#/splits/test/frames"] == "3"


def test_the_page_stays_small(run):
    assert run.report.stat().st_size < 1_000_000


def test_a_foreign_file_gets_a_page_that_quotes_its_lines(tmp_path):
    log = tmp_path / "log & <b>.txt"
    log.write_text("epoch 1 loss 0.5\nepoch 2 loss <i>-3</i>\n", encoding="utf-8")
    finding = {"id": "L2", "check": "loss_possible", "subject": "loss", "status": "fail", "on_fail": "refutes"}
    finding |= {"sentence": "below zero", "value": -3.0, "bound": None, "to_settle": "log it", "required": False}
    finding |= {"evidence": [{"file": str(log), "line": 2}]}
    verdict = {"schema": 1, "verdict": "refuted", "sentence": "REFUTED: below zero.", "path": str(log), "claims": []}
    verdict |= {"findings": [finding], "not_run": [], "waived": [], "claim": None, "one_run": True}
    out = write_foreign_report(verdict, tmp_path / "out" / "report.html")
    tree = parse(out.read_text(encoding="utf-8"))
    text = tree.text()
    assert "REFUTED" in text and "epoch 2 loss <i>-3</i>" in text and "Made data" not in text
    assert not [node for node in tree.walk() if node.tag in ("i", "b")]


def rgb(colour: str) -> tuple[float, float, float]:
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def luminance(colour: str) -> float:
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, two: str) -> float:
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("which", ["light", "dark"])
def test_colours_can_be_read(which):
    """WCAG 2.2 AA: 4.5 for words, 3 for lines of a chart."""
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root\{([^}]*)\}", css)
    colours = dict(re.findall(r"--([\w]+):(#\w+)", blocks[0] if which == "light" else blocks[1]))
    for paper in (colours["paper"], colours["tint"]):
        for name in ("ink", "soft", "link", "shown", "plausible", "not_shown", "refuted", "unjudged"):
            assert contrast(colours[name], paper) >= 4.5, (name, paper)
        for i in range(6):
            assert contrast(colours[f"c{i}"], paper) >= 3, (f"c{i}", paper)

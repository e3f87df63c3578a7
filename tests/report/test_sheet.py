"""The page of predicted frames: self-contained, traceable, in both languages, and never too heavy."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from veritrain.errors import UsageError
from veritrain.report.sheet import MOST_FRAMES, write_sheet


def row(number, **more):
    plain = {
        "id": f"{number:012x}", "frame": f"Town/<b>{number}</b>", "kind": "static", "label": None,
        "score": number / 100,
        "decision": None, "returns": 9, "returns_scored": 7, "highest_return": 0.5, "highest_pixel": None,
        "image": "a.png", "points": "a.png", "attention": None, "voxels": None,
    }  # fmt: skip
    return plain | more


def document(rows, **more):
    return {
        "schema": 1, "run": "mine", "split": None, "made_data": None, "weights_sha256": "0",
        "thresholds": {"frame": 0.4, "pixel": None, "chosen_on": "val"}, "image_size": [64, 96], "resized": [],
        "attention_note": None, "broken": [], "count": len(rows), "frames": rows,
    } | more  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (30, 20), (9, 90, 9)).save(tmp_path / "a.png")
    return tmp_path


def test_a_frame_shows_what_is_known_and_says_what_is_not(folder):
    rows = [row(1), row(2, label=1, decision=True, attention="a.png")]
    page = write_sheet(document(rows), folder).read_text(encoding="utf-8")
    assert page.count("data:image/webp") == 5
    assert "<b>1</b>" not in page and "&lt;b&gt;1&lt;/b&gt;" in page
    assert page.count('lang="en">Unknown<') == 1 and page.count('lang="en">decision<') == 1
    assert 'data-source="predictions.json#/frames/1/score">0.020' in page
    assert 'href="#verdict"' not in page


def test_resized_broken_and_missing_attention_are_said(folder):
    told = document(
        [row(1)], resized=[[128, 192]], attention_note="no <attention>", broken=[{"frame": "f/3", "reason": "torn"}]
    )
    page = write_sheet(told, folder, "zh").read_text(encoding="utf-8")
    assert "128 × 192 → 64 × 96" in page and "no &lt;attention&gt;" in page and "torn" in page
    assert '<html lang="zh">' in page
    with pytest.raises(UsageError):
        write_sheet(told, folder, "fr")


def test_a_long_list_is_cut_evenly_and_the_page_says_so(folder):
    rows = [row(number) for number in range(3 * MOST_FRAMES)]
    page = write_sheet(document(rows), folder).read_text(encoding="utf-8")
    assert page.count('class="seen"') == MOST_FRAMES and f"({MOST_FRAMES} " in page
    assert "Town/&lt;b&gt;0&lt;" in page and f"&lt;b&gt;{len(rows) - 1}&lt;" in page
    json.dumps(document(rows), allow_nan=False)

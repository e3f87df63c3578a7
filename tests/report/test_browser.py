"""A real browser opens the page from a file, as people do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from report.test_balance_curves import balance
from report.test_box_sheet import document, errors, row
from veritrain.record import RecordWriter, RunFolder
from veritrain.report.box_sheet import write_box_sheet
from veritrain.report.page import write_foreign_report, write_report

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

OVERLAPS = """() => {
  const found = [];
  for (const chart of document.querySelectorAll('svg.chart')) {
    const labels = [...chart.querySelectorAll('text')].filter(t => t.getClientRects().length && t.textContent.trim());
    const boxes = labels.map(t => [t.textContent, t.getBoundingClientRect()]);
    const frame = chart.getBoundingClientRect();
    for (const [i, [name, a]] of boxes.entries()) {
      if (a.left < frame.left - 2 || a.right > frame.right + 2) found.push(name + ' leaves its chart');
      for (const [other, b] of boxes.slice(i + 1)) {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 2 && high > 4) found.push(name + ' x ' + other);
      }
    }
  }
  const blocks = [...document.querySelectorAll('main > *')].map(b => b.getBoundingClientRect()).filter(b => b.height);
  for (let i = 1; i < blocks.length; i++) if (blocks[i].top < blocks[i - 1].bottom - 1) found.push('block ' + i);
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


def opened(browser: Any, path: Any, *, width: int = 1280, scheme: str = "light", chinese: bool = False) -> Any:
    """The page, open; ``page.complaints`` collects what the console said."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "request", lambda request: request.url.startswith(("file:", "data:")) or page.complaints.append(request.url)
    )
    page.goto(path.as_uri())
    if chinese:
        page.click('label[for="say-zh"]')
    return page


@pytest.mark.parametrize(
    ("width", "scheme", "chinese"),
    [(1280, "light", False), (1280, "dark", True), (390, "light", False), (390, "dark", True)],
)
def test_the_page_opens_clean_at_every_size(browser, run, width, scheme, chinese):
    page = opened(browser, write_report(run), width=width, scheme=scheme, chinese=chinese)
    text = page.inner_text("body")
    assert page.complaints == []
    assert not {"nan", "NaN", "None", "undefined value"} & set(text.split())
    assert ("已证实" in text) == chinese and ("No check contradicts" in text) != chinese
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == []
    page.close()


def test_pictures_are_decoded(browser, run):
    page = opened(browser, write_report(run))
    sizes = page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert len(sizes) == 22 and min(sizes) > 0
    page.close()


def test_verdict_and_made_data_are_on_the_first_screen(browser, run):
    page = opened(browser, write_report(run))
    for selector in (".word", ".sentence", ".made"):
        box = page.locator(selector).bounding_box()
        assert box is not None and box["y"] + box["height"] < 900
    page.close()


def test_dark_is_dark_and_the_keyboard_reaches_the_language(browser, run):
    page = opened(browser, write_report(run), scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(20, 24, 29)"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert "已证实" in page.inner_text("#verdict")
    page.close()


def test_unfinished_refuted_and_foreign_pages_open_clean(browser, young_run, refuted_run, tmp_path):
    import json

    verdict = json.loads(refuted_run.verdict.read_text(encoding="utf-8"))
    for path in (
        write_report(young_run),
        write_report(refuted_run),
        write_foreign_report(verdict, tmp_path / "report.html"),
    ):
        page = opened(browser, path, width=390)
        assert page.complaints == [] and page.evaluate(OVERLAPS) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.close()


@pytest.mark.parametrize(("width", "scheme", "chinese"), [(1280, "light", False), (390, "dark", True)])
def test_curves_of_a_balancer_have_room_for_their_words(browser, tmp_path, width, scheme, chinese):
    folder = RunFolder(tmp_path / "joint")
    with RecordWriter(folder) as writer:
        writer.event("start", task="joint", claims=[], seed=0)
        for step in range(1, 400, 3):
            drift = step / 500
            told = balance(step, weight=1 + drift, cosine=0.4 - 2 * drift, norm=5 * 0.97**step, ratio=1.4 - drift)
            writer.event(told.pop("event"), **told)
    page = opened(browser, write_report(folder), width=width, scheme=scheme, chinese=chinese)
    assert page.complaints == [] and page.evaluate(OVERLAPS) == []
    assert page.evaluate("document.querySelectorAll('svg.chart').length") == 4
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert ("任务之间的平衡" in page.inner_text("body")) == chinese
    page.close()


@pytest.mark.parametrize(
    ("width", "scheme", "chinese"), [(1280, "light", False), (1280, "dark", True), (390, "light", True)]
)
def test_the_page_of_boxes_opens_clean(browser, tmp_path, width, scheme, chinese):
    Image.new("RGB", (512, 384), (9, 90, 9)).save(tmp_path / "a.png")
    box = {"class": "AR", "score": 0.5, "box": [0, 0, 1, 1]}
    rows = [row(n, boxes=[box] * n, errors=errors(missed=n % 3, view_wrong=n % 2 == 0)) for n in range(7)]
    page = opened(browser, write_box_sheet(document(rows), tmp_path), width=width, scheme=scheme, chinese=chinese)
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    places = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.getBoundingClientRect().width])")
    assert len(places) == 7 and all(natural == 512 and 300 < shown <= 560 for natural, shown in places)
    assert ("切面正确" in page.inner_text("body")) == chinese and ("view right" in page.inner_text("body")) != chinese
    page.close()

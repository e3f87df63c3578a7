"""The page of predicted boxes and views: one file, the worst first, every number traceable, nothing claimed."""

from __future__ import annotations

import pytest
from PIL import Image

from report.markup import Node, parse
from report.test_page import agrees, resolved
from veritrain.errors import UsageError
from veritrain.record import write_json
from veritrain.report.box_sheet import worst_first, write_box_sheet
from veritrain.report.sheet import MOST_FRAMES

HOSTILE = '<b>AR</b> & "x"'


def errors(missed=0, false_alarms=0, view_wrong=False, surest=0.0):
    return {"missed": missed, "false_alarms": false_alarms, "view_wrong": view_wrong, "surest": surest}


def row(number, **more):
    plain = {
        "id": f"{number:012x}", "image": "a.png", "size": [128, 96], "labelled": ["AR"], "view": "PLAX",
        "boxes": [{"class": "AR", "score": 0.4 + number / 1000, "box": [1.0, 2.0, 30.0, 40.0]}],
        "view_probabilities": {"PLAX": 0.875, "A4C": 0.125}, "view_label": "PLAX", "errors": errors(),
    }  # fmt: skip
    return plain | more


def document(rows, **more):
    return {
        "schema": 1, "task": "joint", "run": "mine", "split": "test", "medical": True, "made_data": True,
        "weights_sha256": "0", "thresholds": {"box": 0.31, "called_from": 0.31, "chosen_on": "val"},
        "count": len(rows), "frames": rows,
    } | more  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (90, 60), (9, 90, 9)).save(tmp_path / "a.png")
    return tmp_path


def page_of(folder, content, language="en") -> Node:
    write_json(folder / "predictions.json", content)
    return parse(write_box_sheet(content, folder, language).read_text(encoding="utf-8"))


def ids_on(page: Node) -> list[int]:
    return [int(node.text(), 16) for figure in page.walk() if figure.tag == "figure" for node in [code_of(figure)]]


def code_of(figure: Node) -> Node:
    return next(node for node in figure.walk() if node.tag == "code")


def test_the_worst_come_first_and_equal_ones_keep_their_order():
    rows = [
        row(0, errors=errors()),
        row(1, errors=errors(missed=1)),
        row(2, errors=errors(view_wrong=True, surest=0.6)),
        row(3, errors=errors(missed=1, false_alarms=2, surest=0.3)),
        row(4, errors=errors(false_alarms=1, surest=0.9)),
        row(5, errors=errors(missed=None, false_alarms=None, view_wrong=None)),
        row(6, errors=None),
    ]
    assert worst_first(rows) == [3, 4, 2, 1, 0, 5, 6]


def test_an_image_shows_boxes_view_labels_and_what_is_wrong(folder):
    rows = [row(1), row(2, labelled=["AR", "MR"], view_label="A4C", errors=errors(1, 0, True, 0.875))]
    page = page_of(folder, document(rows))
    assert ids_on(page) == [2, 1]
    worst, fine = (" ".join(node.text().split()) for node in page.walk() if node.tag == "figcaption")
    for part in ("Boxes AR 0.402", "View PLAX 0.875", "Labels AR, MR · View A4C"):
        assert part in worst
    assert "missed 1" in worst and "false alarms 0" in worst and "view wrong" in worst
    assert "missed 0" in fine and "view right" in fine
    marks = [node.attributes["class"] for node in page.walk() if "mark" in str(node.attributes.get("class")).split()]
    assert marks == ["mark is-fail", "mark is-pass", "mark is-fail", "mark is-pass", "mark is-pass", "mark is-pass"]


def test_every_number_is_that_of_the_document(folder):
    boxes = [{"class": "AR", "score": score, "box": [0, 0, 1, 1]} for score in (0.9, 0.4)]
    page = page_of(folder, document([row(1), row(2, boxes=boxes, errors=errors(2, 1, True, 0.9))]))
    traced = [node for node in page.walk() if "data-source" in node.attributes]
    assert len(traced) == 2 + 2 * 4 + 1
    for node in traced:
        assert agrees(node.text(), resolved(folder, str(node.attributes["data-source"]))), node.attributes
    assert [node.text() for node in traced if node.attributes["data-source"].endswith("/score")] == [
        "0.900",
        "0.400",
        "0.401",
    ]


def test_it_is_one_file_that_asks_for_nothing_and_escapes_names(folder):
    boxes = [{"class": HOSTILE, "score": 0.5, "box": [0, 0, 1, 1]}]
    rows = [row(1, boxes=boxes, labelled=[HOSTILE]), row(2, image="../outside.png"), row(3, image="gone.png")]
    page = page_of(folder, document(rows, run=HOSTILE))
    assert not [node for node in page.walk() if node.tag in ("b", "script", "link")]
    assert page.text().count(HOSTILE) == 3, "the heading, a box, a label"
    pictures = [node for node in page.walk() if node.tag == "img"]
    assert len(pictures) == 1 and all(
        str(node.attributes["src"]).startswith("data:image/webp;base64,") for node in pictures
    )
    assert all(node.attributes["alt"] for node in pictures) and page.text().count("The picture is missing") == 2
    policy = next(n for n in page.walk() if n.attributes.get("http-equiv") == "Content-Security-Policy")
    assert str(policy.attributes["content"]).startswith("default-src 'none'")


def test_it_is_called_no_medical_device_in_both_languages_and_made_data_only_where_it_is(folder):
    made, given = page_of(folder, document([row(1)])), document([row(1, errors=None)], made_data=None, split=None)
    assert "not a medical device" in made.text() and "并非医疗器械" in made.text("zh")
    assert "Made data." in made.text() and "keep it where the recordings may be" not in made.text()
    given_page = page_of(folder, given, "zh")
    assert "Made data" not in given_page.text() and "keep it where the recordings may be" in given_page.text()
    assert "并非医疗器械" in given_page.text("zh")
    with pytest.raises(UsageError):
        write_box_sheet(given, folder, "fr")


def test_images_without_labels_keep_their_order_and_claim_nothing(folder):
    page = page_of(folder, document([row(n, errors=None, labelled=[]) for n in (3, 1, 2)], split=None))
    assert ids_on(page) == [3, 1, 2] and "no labels" in page.text() and "worst come first" not in page.text()
    captions = " ".join(node.text() for node in page.walk() if node.tag == "figcaption")
    assert "Labels" not in captions and "missed" not in captions and "right" not in captions


@pytest.mark.parametrize(
    ("thresholds", "words"),
    [
        ({"box": 0.31, "called_from": 0.31}, "Threshold: 0.310 (best F1 on validation)"),
        ({"box": None, "called_from": 0.25}, "No threshold was chosen on validation; boxes are drawn from this score"),
    ],
)
def test_from_which_score_boxes_are_called_is_said(folder, thresholds, words):
    page = page_of(folder, document([row(1, boxes=[])], thresholds={**thresholds, "chosen_on": "val"}))
    assert words in page.text() and "Boxes none" in " ".join(page.text().split())


def test_the_view_alone_says_nothing_of_boxes(folder):
    alone = row(1, errors=errors(None, None, True, 0.875), view_label="A4C")
    del alone["boxes"]
    page = page_of(folder, document([alone], thresholds={"box": None, "called_from": None, "chosen_on": "val"}))
    assert "box" not in page.text().lower() and "missed" not in page.text() and "view wrong" in page.text()


def test_boxes_alone_say_nothing_of_views(folder):
    alone = row(1, errors=errors(1, 0, None))
    for key in ("view", "view_probabilities", "view_label"):
        del alone[key]
    caption = next(node for node in page_of(folder, document([alone])).walk() if node.tag == "figcaption").text()
    assert "iew" not in caption and "missed 1" in " ".join(caption.split())


def test_a_long_list_keeps_the_worst_or_is_cut_evenly_and_says_so(folder):
    count = 2 * MOST_FRAMES
    judged = [row(n, errors=errors(missed=n)) for n in range(count)]
    page = page_of(folder, document(judged))
    assert ids_on(page) == list(range(count - 1, count - 1 - MOST_FRAMES, -1))
    assert f"({MOST_FRAMES} the worst ones on this page" in page.text()
    page = page_of(folder, document([row(n, errors=None) for n in range(count)]))
    assert len(ids_on(page)) == MOST_FRAMES and {0, count - 1} <= set(ids_on(page))
    assert f"({MOST_FRAMES} evenly spaced ones on this page" in page.text()

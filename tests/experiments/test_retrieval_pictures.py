"""Strips of retrieved images: right ones framed in green, and what was wanted beside what was found."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tiny_captions import tiny_recipe
from veritrain.experiments.caption_data import open_caption_data
from veritrain.experiments.retrieval_pictures import FRAME, GAP, GREEN, RED, SIDE, WHITE, strip, write_gallery
from veritrain.record import RunFolder
from veritrain.tasks.retrieval_tables import known_retrieval_answers


@pytest.fixture(scope="module")
def data(aerial_world):
    return open_caption_data(tiny_recipe(aerial_world))


@pytest.fixture(scope="module")
def known(data):
    """Answers with known scores on the captions of test."""
    test = data.sets["test"]
    ids = np.concatenate([test.rows_of(index)[1] for index in range(len(test))])
    return known_retrieval_answers(
        {"caption_counts": np.array([len(one) for one in test.captions]), "caption_ids": ids}
    )


def test_frames_tell_right_from_wrong_and_the_missed_one_stands_apart():
    images = [np.full((40, 80, 3), grey, np.uint8) for grey in (10, 20, 30)]
    sheet = np.array(strip(images, [False, True, True], apart=True))
    step = SIDE + 2 * FRAME + GAP
    assert sheet.shape == (SIDE // 2 + 2 * FRAME, 3 * step - GAP + 4 * GAP, 3)
    assert tuple(sheet[0, 0]) == RED and tuple(sheet[0, step]) == GREEN
    assert tuple(sheet[0, 2 * step]) == WHITE and tuple(sheet[0, 2 * step + 4 * GAP]) == GREEN
    assert abs(int(sheet[40, step + 40, 0]) - 20) <= 1


@pytest.mark.parametrize(("answers", "found", "missed"), [("perfect", 3, 3), ("inverted", 0, 3)])
def test_the_gallery_has_found_missed_and_random_sentences(data, known, tmp_path, answers, found, missed):
    folder = RunFolder(tmp_path)
    write_gallery(data, known[answers], folder)
    content = {one["title"]: one["items"] for one in json.loads((folder.figures / "gallery.json").read_text())}
    assert list(content) == ["sentences found", "sentences missed", "random sentences"]
    assert [len(those) for those in content.values()] == [found, missed, 3]
    texts = {text for those in data.sets["test"].captions for text in those}
    n = len(data.sets["test"])
    for item in (item for those in content.values() for item in those):
        assert (tmp_path / item["image"]).is_file() and item["caption"][1:].partition("”")[0] in texts
        assert item["caption"].endswith("the last one shown") is (answers == "inverted")
        assert f"of {n}" in item["caption"]


def test_of_real_images_no_picture_is_given_to_the_report(data, known, tmp_path):
    from dataclasses import replace

    real = replace(data, card={**data.card, "made_data": False})
    write_gallery(real, known["perfect"], RunFolder(tmp_path))
    assert not (tmp_path / "figures" / "gallery.json").exists() and (tmp_path / "figures" / "retrievals.json").is_file()

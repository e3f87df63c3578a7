"""Towers without training on the made aerial world: predictions as a network's, and what is said about them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from veritrain.data.caption_tokens import CaptionTokens
from veritrain.data.open_vocabulary import NOVEL_DIOR
from veritrain.data.options import AerialDataOptions
from veritrain.experiments.aerial_data import open_aerial_data
from veritrain.experiments.aerial_windows import window_baseline
from veritrain.models.language import AERIAL_WORDS, TEMPLATES, Vocabulary
from veritrain.models.options import SmallClipOptions
from veritrain.models.small_clip import SmallClip
from veritrain.models.window_options import WindowOptions
from veritrain.tasks.box_tables import BoxTables


@pytest.fixture(scope="module")
def data(aerial_world, tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("decoded"))
    return open_aerial_data(AerialDataOptions(data=str(aerial_world), cache=cache, novel=NOVEL_DIOR, imgsz=64))


@pytest.fixture(scope="module")
def towers():
    said = Vocabulary(names=NOVEL_DIOR, templates=TEMPLATES, words=AERIAL_WORDS)
    words = CaptionTokens.learn([prompt for name in said.names for prompt in said.prompts(name)])
    torch.manual_seed(0)
    return SmallClip(SmallClipOptions(width=8, text_width=32, embed_dim=32), words)


@pytest.mark.parametrize("options", [WindowOptions(most_boxes=15), WindowOptions(way="crops", sizes=(0.6,), pixels=32)])
def test_predictions_are_those_of_a_detector(data, towers, options):
    frames, names = data.asked["novel"], data.names_of("novel")
    towers.train()
    found = window_baseline(towers, frames, names, options)
    assert towers.training
    predictions = found.predictions
    assert len(predictions["box_counts"]) == len(frames) and predictions["box_counts"].max() <= options.most_boxes
    assert predictions["boxes"].min() >= 0 and predictions["boxes"].max() <= 128, "pixels of the stored images"
    tables = BoxTables.of(predictions, [key.group for key in frames.keys], names)
    assert 0 <= tables.value("map_50") < 0.5
    again = window_baseline(towers, frames, names, options).predictions
    assert all(np.array_equal(predictions[key], again[key]) for key in predictions)


def test_the_record_says_what_was_asked_in_which_words(data, towers):
    about = window_baseline(towers, data.asked["novel"], NOVEL_DIOR, WindowOptions(most_boxes=5)).about
    assert "satellite" in json.dumps(about), "it can be recorded"
    assert about["vocabulary"]["prompts"]["basketballcourt"][0] == "a satellite photo of basketball court"
    assert "a satellite photo of water" in about["background"]["prompts"]["water"] and about["windows"] > 100
    assert len(about["towers"]["image"]) == 64
    without = window_baseline(towers, data.asked["novel"], NOVEL_DIOR, WindowOptions(most_boxes=5), background=()).about
    assert without["background"] is None

"""The recipe: what it makes of its keys, and what it refuses."""

from __future__ import annotations

import pytest

from veritrain.errors import ConfigError
from veritrain.models.options import DetectorOptions
from veritrain.tasks.openvocab_options import OpenVocabRecipe


def test_keys_reach_the_detector_and_the_data():
    off = {"gate": False, "text_conditioning": False, "context_anchor": False}
    seen = {"protocol": "boxes-removed", "flip": 0.25, "novel": ["ship"]}
    recipe = OpenVocabRecipe(data="d", head="detr", queries=7, towers="t", **off, **seen)
    shape, data = recipe.shape_of_detector(), recipe.data_options()
    assert (shape.kind, shape.queries, shape.tower) == ("query", 7, "low_rate")
    assert not (shape.gate or shape.text_conditioning or shape.context_anchor)
    assert (data.protocol, data.novel, data.changes.flip) == ("boxes-removed", ("ship",), 0.25)
    assert OpenVocabRecipe(data="d").shape_of_detector() == DetectorOptions(width=128)
    voting = OpenVocabRecipe(data="d", towers="t", base_vote=0.2, novel_vote=0.6).shape_of_detector()
    assert (voting.base_vote, voting.novel_vote) == (0.2, 0.6)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tower": "frozen"}, "tower frozen needs towers"),
        ({"queries": 100}, "queries 100 means nothing here"),
        ({"activation": "gelu"}, "activation changes nothing"),
        ({"network": "origin002", "gate": False}, "gate changes nothing"),
        ({"max_detections": 0}, "max_detections"),
        ({"contrast_weight": -1.0}, "contrast_weight"),
        ({"imgsz": 100}, "imgsz"),
        ({"novel_vote": 0.5}, "a vote needs towers"),
        ({"novel_vote": 1.0, "towers": "t"}, "novel_vote is out of its range"),
        ({"base_vote": -0.1, "towers": "t"}, "base_vote is out of its range"),
        ({"network": "origin002", "towers": "t", "novel_vote": 0.5}, "novel_vote changes nothing"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_changes_nothing_or_fits_nothing_is_refused(changes, named):
    with pytest.raises(ConfigError, match=named):
        OpenVocabRecipe(data="d", **changes)


def test_report_002_reads_bare_names():
    assert OpenVocabRecipe(data="d", network="origin002").bare
    assert OpenVocabRecipe(data="d", prompts="bare").bare and not OpenVocabRecipe(data="d").bare

"""What a made world says of its anomalies: found beside the data, and only there."""

from __future__ import annotations

import json

import pytest

from veritrain.errors import BrokenFileError
from veritrain.experiments.driving_data import MADE_DATA_FILE
from veritrain.experiments.world_facts import sensors_needed


def test_static_scenarios_have_a_sensor_and_no_others(small_world, held):
    found = sensors_needed(small_world)
    stored = json.loads((small_world / MADE_DATA_FILE).read_text(encoding="utf-8"))["scenarios"]
    assert found == {group: one["visible_by"] for group, one in stored.items() if one["type"] == "static"}
    assert set(found.values()) <= {"camera", "lidar", "both", "pair"} and len(found) == 8
    kinds = {key.group: key.kind for keys in held.data.keys.values() for key in keys}
    assert {kinds[group] for group in found} == {"static"}, "the groups are those of the reader"


def test_an_archive_of_a_world_finds_the_file_above_it(small_world):
    archive = next(path for path in small_world.iterdir() if path.is_dir())
    assert sensors_needed(archive) == sensors_needed(small_world)


def test_data_that_nobody_made_have_no_facts(tmp_path):
    assert sensors_needed(tmp_path) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"scenarios": []}', '{"scenarios": {"a": {"type": "static"}}}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / MADE_DATA_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(BrokenFileError, match=MADE_DATA_FILE):
        sensors_needed(tmp_path)

from __future__ import annotations

import numpy as np
import pytest

from veritrain.data.anovox_labels import (
    ANOMALY_IDS,
    IGNORED_IDS,
    NAMES,
    OBJECT_IDS,
    frame_label,
    labels_from_ids,
    read_anomaly,
    read_pairs,
)
from veritrain.data.sample import UNKNOWN
from veritrain.errors import BrokenFileError

STATIC = {"frame_id": 5, "scenario_id": "s", "anomaly_id": 1, "anomaly_type_id": "t", "anomaly_is_alive": "True"}
VEHICLE = {"frame_id": 5, "scenario_id": "s", "vehicle_id": 1, "vehicle_type_id": "t", "speed (km/h)": 3, "brake": 1}


def write(path, pairs):
    path.write_text("".join(f"{key} ; {value}\n" for key, value in pairs.items()))
    return path


def test_the_official_ids():
    assert {29, 30, 31, 32, 33, 34, 100} == ANOMALY_IDS
    assert {112, 113, 114, 115, 116, 118, 119, 214} == IGNORED_IDS
    assert {12, 14, 18, 20, 22} <= OBJECT_IDS and not OBJECT_IDS & (ANOMALY_IDS | IGNORED_IDS | {1, 3, 9, 24})
    assert (NAMES[24], NAMES[29], NAMES[34], NAMES[14]) == ("road_line", "home", "falling", "car")


def test_every_id_has_one_of_three_labels():
    ids = np.arange(-5, 70_000)
    labels = labels_from_ids(ids)
    assert set(ids[labels == 1]) == ANOMALY_IDS
    assert set(ids[labels == 0]) == set(NAMES) - ANOMALY_IDS - IGNORED_IDS - {0}


@pytest.mark.parametrize(
    ("points", "pixels", "expected"),
    [
        (12, 0, 1),
        (0, 12, 1),
        (11, 11, 0),
        (None, 12, 1),
        (12, None, 1),
        (None, 11, UNKNOWN),
        (11, None, UNKNOWN),
        (None, None, UNKNOWN),
    ],
)
def test_a_frame_is_normal_only_if_both_labels_were_read(points, pixels, expected):
    def ids(count):
        return None if count is None else np.array([30] * count + [1] * 50)

    assert frame_label(ids(points), ids(pixels), 12) == expected


def test_both_key_sets_are_read(tmp_path):
    assert read_anomaly(write(tmp_path / "a.csv", STATIC)).is_alive is True
    assert read_anomaly(write(tmp_path / "b.csv", STATIC | {"anomaly_is_alive": "False"})).is_alive is False
    assert read_anomaly(write(tmp_path / "c.csv", VEHICLE)).is_alive is None


@pytest.mark.parametrize("pairs", [STATIC, VEHICLE])
def test_each_missing_key_is_named(tmp_path, pairs):
    for key in pairs:
        rest = {name: value for name, value in pairs.items() if name != key}
        with pytest.raises(BrokenFileError) as caught:
            read_anomaly(write(tmp_path / "a.csv", rest))
        assert caught.value.file == str(tmp_path / "a.csv")
        assert key in str(caught.value) or key == "vehicle_id"


def test_a_liveness_that_is_no_truth_value_is_refused(tmp_path):
    with pytest.raises(BrokenFileError, match="anomaly_is_alive"):
        read_anomaly(write(tmp_path / "a.csv", STATIC | {"anomaly_is_alive": ""}))


def test_lines_without_separator_and_other_encodings_are_named_with_their_line(tmp_path):
    (tmp_path / "a.csv").write_text("frame_id ; 3\nnonsense\n")
    with pytest.raises(BrokenFileError) as caught:
        read_pairs(tmp_path / "a.csv")
    assert caught.value.line == 2
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BrokenFileError, match="cannot be read as text"):
        read_pairs(tmp_path / "b.csv")
    with pytest.raises(BrokenFileError):
        read_pairs(tmp_path / "none.csv")


def test_values_may_hold_separators(tmp_path):
    (tmp_path / "a.csv").write_text("key ; one ; two\n\nempty ; \n")
    assert read_pairs(tmp_path / "a.csv") == {"key": "one ; two", "empty": ""}

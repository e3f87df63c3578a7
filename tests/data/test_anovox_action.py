"""ACTION files, as the world writes them and damaged."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.anovox_action import read_action
from veritrain.errors import BrokenFileError


@pytest.fixture
def file(small_world, tmp_path):
    copy = tmp_path / "ACTION_1.csv"
    copy.write_bytes(sorted(small_world.rglob("ACTION_*.csv"))[0].read_bytes())
    return copy


def test_the_typed_fields_and_all_the_text(file):
    record = read_action(file)
    assert record.vehicle == "vehicle.made.car" and record.speed > 0 and record.brake == 0.0
    assert (record.throttle, record.steer, record.hand_brake, record.reverse) == (0.5, 0.0, False, False)
    assert str(record.frame_id) == record.values["frame_id"]
    assert len(record.matrices) == 4 and len(record.values) == 28
    forth, back = (record.matrices[f"camera_{word}transformation_matrix"] for word in ("", "inverse_"))
    np.testing.assert_allclose(forth @ back, np.eye(4), atol=1e-6)


def test_every_frame_of_the_world_has_one(small_world):
    source = AnoVoxFormat(small_world)
    for key in source.keys()[::11]:
        assert str(source.read_action(key).frame_id) == key.id.rsplit("/", 1)[-1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("speed (km/h)", "fast"),
        ("brake", "nan"),
        ("frame_id", "inf"),
        ("hand_brake", "maybe"),
        ("lidar_transformation_matrix", "[[1, 2], [3, 4]]"),
        ("lidar_transformation_matrix", "__import__('os')"),
        ("lidar_transformation_matrix", "[" * 9000),
        ("lidar_transformation_matrix", "[[NaN,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]"),
    ],
)
def test_a_value_of_another_type_is_named(file, key, value):
    lines = [line if not line.startswith(f"{key} ;") else f"{key} ; {value}" for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines))
    with pytest.raises(BrokenFileError, match="another value") as caught:
        read_action(file)
    assert key in caught.value.message and caught.value.file == str(file)


def test_a_missing_key_is_named(file):
    file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith("brake")))
    with pytest.raises(BrokenFileError, match="'brake' is missing"):
        read_action(file)


def test_what_older_generators_left_out_is_none(file):
    kept = [line for line in file.read_text().splitlines() if not line.startswith(("throttle", "steer", "reverse"))]
    file.write_text("\n".join(kept))
    record = read_action(file)
    assert (record.throttle, record.reverse) == (None, None)

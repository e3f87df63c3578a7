"""The named networks have the parameters of the original's, to the last one."""

from __future__ import annotations

import pytest
import torch

from veritrain import catalog
from veritrain.models.options import named_yolo

PARAMETERS = {
    "yolov5n-nc80": 1_872_157,
    "yolov5s-nc80": 7_235_389,
    "yolov5m-nc80": 21_190_557,
    "yolov5l-nc80": 46_563_709,
    "yolov5x-nc80": 86_749_405,
    "yolov5n-nc4": 1_769_329,
    "yolov5s-nc4": 7_030_417,
    "yolov5m-nc4": 20_883_441,
    "yolov5l-nc4": 46_154_449,
    "yolov5x-nc4": 86_238_001,
    "yolov5s-nc4-view": 7_030_804,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_count_is_exact_and_stands_in_its_row(name):
    build = catalog.resolve("models", name)
    with torch.device("meta"):
        network = build()
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]
    assert f"({PARAMETERS[name]:,} parameters)" in build.__doc__
    assert all(p.requires_grad for p in network.parameters())


def test_the_catalogue_has_them_in_this_order():
    assert [name for name in catalog.MODELS if name.startswith("yolo")] == list(named_yolo()) == list(PARAMETERS)

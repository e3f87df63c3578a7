"""Windows compared with texts: what towers know of an image, asked of its parts."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import box_iou

from models.colour_towers import COLOURS, colour_towers
from veritrain.errors import ConfigError
from veritrain.models.language import Vocabulary, embed
from veritrain.models.window_detector import WindowDetector, windows_of
from veritrain.models.window_options import WindowOptions

SIDE = 128
NAMES = ("red", "blue")


def detector_of(**options) -> WindowDetector:
    towers = colour_towers().eval()
    texts = embed(towers.text, Vocabulary(names=NAMES))
    background = embed(towers.text, Vocabulary(names=("grey",)))
    return WindowDetector(towers, texts, background, WindowOptions(**options))


def picture(boxes: dict[str, tuple[int, int, int, int]], grey: float = 1.0) -> torch.Tensor:
    image = torch.full((1, 3, SIDE, SIDE), grey)
    for name, (left, top, right, bottom) in boxes.items():
        image[0, :, top:bottom, left:right] = torch.tensor(COLOURS[name]).float()[:, None, None]
    return image


WHOLE = torch.tensor([[SIDE, SIDE, SIDE, SIDE, 0, 0]])


@pytest.mark.parametrize("options", [{"way": "dense"}, {"way": "crops", "pixels": 32}, {"way": "dense", "pixels": 4}])
def test_what_is_there_is_found_where_it_is(options):
    boxes = {"red": (16, 24, 56, 64), "blue": (70, 60, 120, 110)}
    detector = detector_of(**options, sizes=(0.3,), aspects=(1.0,), step=0.25)
    found = detector.found(detector({"image": picture(boxes), "placed": WHOLE}))[0]
    assert found.shape[1] == 6 and (found[:-1, 4] >= found[1:, 4]).all()
    for number, name in enumerate(NAMES):
        own = found[found[:, 5] == number]
        assert box_iou(own[:1, :4], torch.tensor([boxes[name]]).float())[0, 0] > 0.4 and own[0, 4] > 0.8
    assert len(found[found[:, 4] > 0.5]) < len(detector.windows) / 4, "background is no answer"


def test_a_picture_of_nothing_is_background():
    detector = detector_of()
    scores = detector({"image": picture({}), "placed": WHOLE})["window_scores"]
    assert scores.shape[2] == 2 and float(scores.max()) < 0.1


def test_windows_lie_in_the_image_and_not_in_the_grey_around_it():
    detector = detector_of()
    placed = torch.tensor([[100, 200, 64, 128, 32, 0], [200, 100, 128, 64, 0, 32]])
    boxes = detector({"image": torch.zeros(2, 3, SIDE, SIDE), "placed": placed})["window_boxes"]
    assert float(boxes[0, :, 1].min()) == 32 and float(boxes[0, :, 3].max()) == 96
    assert float(boxes[1, :, 0].min()) == 32 and float(boxes[1, :, 2].max()) == 96
    assert float(boxes[0, :, 0].min()) == 0 and float(boxes[0, :, 2].max()) == SIDE


def test_suppressed_boxes_do_not_overlap_within_a_class():
    detector = detector_of(overlap=0.3, most_boxes=20)
    found = detector.found(detector({"image": picture({"red": (0, 0, 128, 128)}), "placed": WHOLE}))[0]
    red = found[found[:, 5] == 0][:, :4]
    overlap = box_iou(red, red).fill_diagonal_(0)
    assert len(found) <= 20 and float(overlap.max()) <= 0.3 + 1e-6


def test_windows_are_spread_evenly_and_reach_the_borders():
    found = windows_of(WindowOptions(sizes=(0.5,), aspects=(1.0,), step=0.5))
    assert found.shape == (9, 4) and found[:, :2].unique().tolist() == [0.0, 0.25, 0.5]
    wide = windows_of(WindowOptions(sizes=(0.6,), aspects=(4.0,)))
    assert (wide[:, 2] - wide[:, 0] == 1).all() and torch.allclose(wide[:, 3] - wide[:, 1], torch.tensor(0.3))


def test_towers_stay_as_they_are():
    detector = detector_of()
    before = {name: value.clone() for name, value in detector.towers.state_dict().items()}
    output = detector({"image": picture({"red": (0, 0, 64, 64)}), "placed": WHOLE})
    assert not output["window_scores"].requires_grad
    assert all(torch.equal(before[name], value) for name, value in detector.towers.state_dict().items())


def test_texts_of_another_space_are_refused():
    with pytest.raises(ConfigError, match="another space"):
        WindowDetector(colour_towers(), torch.zeros(2, 5), torch.zeros(0, 3), WindowOptions())


@pytest.mark.parametrize("wrong", [{"way": "tiles"}, {"sizes": ()}, {"sizes": (1.5,)}, {"step": 0}, {"most_boxes": 0}])
def test_options_that_mean_nothing(wrong):
    with pytest.raises(ConfigError):
        WindowOptions(**wrong)

"""The memory: cells where they are, padding that is nothing, levels that hear of each other."""

from __future__ import annotations

import pytest
import torch

from veritrain.data.letterbox import place
from veritrain.models.detr_memory import HybridEncoder, area_of, cells_of, sines, valid_cells
from veritrain.models.options import DetectorOptions

CHANNELS = (8, 16, 24)


def encoder(**chosen) -> HybridEncoder:
    torch.manual_seed(0)
    return HybridEncoder(CHANNELS, DetectorOptions(width=16, heads=4, **chosen))


def maps_of(images: int = 2, side: int = 64, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    strides = zip(CHANNELS, (8, 16, 32), strict=True)
    return [torch.randn(images, one, side // stride, side // stride, generator=generator) for one, stride in strides]


def whole(images: int = 2) -> torch.Tensor:
    return torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(images, 4)


def test_cells_tile_the_image():
    cells = cells_of(((2, 4), (1, 2)), torch.zeros(1))
    assert cells.shape == (10, 4)
    assert cells[0].tolist() == [0.125, 0.25, 0.25, 0.5] and cells[5].tolist() == [0.375, 0.75, 0.25, 0.5]
    assert cells[9].tolist() == [0.75, 0.5, 0.5, 1.0]
    assert cells[:8, 2:].prod(1).sum() == cells[8:, 2:].prod(1).sum() == 1


def test_the_area_is_where_the_letterbox_has_an_image():
    placed = place((100, 50), (64, 64))
    row = torch.tensor([[*placed.original, *placed.scaled, placed.top, placed.left]])
    assert placed.scaled == (64, 32)
    assert area_of(row, 64, 64).tolist() == [[0.25, 0.0, 0.75, 1.0]]
    beyond = torch.tensor([[100, 100, 128, 128, -32, -16]])
    assert area_of(beyond, 64, 64).tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_a_cell_is_valid_where_its_centre_is():
    cells = cells_of(((2, 2),), torch.zeros(1))
    area = torch.tensor([[0.0, 0.0, 0.76, 0.74], [0.3, 0.0, 1.0, 1.0]])
    assert valid_cells(cells, area).tolist() == [[True, True, False, False], [False, True, False, True]]


def test_sines_tell_places_apart_and_nearness():
    found = sines(torch.rand(50, 2, generator=torch.Generator().manual_seed(0)), 32)
    assert found.shape == (50, 32) and found.abs().max() <= 1
    apart = torch.cdist(found, found) + 10 * torch.eye(50)
    assert apart.min() > 1e-3
    near = sines(torch.tensor([[0.5, 0.5], [0.51, 0.5], [0.9, 0.5]]), 32)
    assert (near[0] - near[1]).norm() < (near[0] - near[2]).norm()


@torch.no_grad()
@pytest.mark.parametrize(("chosen", "sides"), [({}, (8, 4, 2, 1)), ({"finest": 4}, (16, 8, 4, 2, 1))])
def test_levels_and_shapes(chosen, sides):
    memory = encoder(**chosen)(torch.randn(2, 3, 64, 64), maps_of(), whole())
    cells = sum(side * side for side in sides)
    assert memory.shapes == tuple((side, side) for side in sides)
    assert memory.tokens.shape == (2, cells, 16) and memory.places.shape == (cells, 16) and memory.valid.all()


@torch.no_grad()
@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_level_hears_of_every_map(level):
    """A change of one map is seen in all levels, whatever the direction."""
    net, image, maps = encoder(), torch.zeros(1, 3, 64, 64), maps_of(1)
    before = net(image, maps, whole(1))
    maps[level] = maps[level] + torch.randn(maps[level].shape)
    after = net(image, maps, whole(1))
    counts = [rows * columns for rows, columns in before.shapes]
    for one, two in zip(before.tokens.split(counts, 1), after.tokens.split(counts, 1), strict=True):
        assert (one - two).abs().max() > 1e-4


@torch.no_grad()
def test_attention_lets_the_coarsest_map_hear_of_itself_from_end_to_end():
    for layers, heard in ((0, False), (1, True)):
        net, maps = encoder(encoder_layers=layers), [torch.randn(1, 24, 8, 8)]
        coarse = maps[0].new_zeros(1, 16, 8, 8)
        other = coarse.clone()
        other[:, :, 0, 0] = 3.0
        one, two = net._attended(coarse, whole(1)), net._attended(other, whole(1))
        assert bool((one - two)[:, :, 7, 7].abs().max() > 1e-5) == heard


@torch.no_grad()
def test_padding_is_nothing_and_says_nothing():
    net, image, maps = encoder(), torch.zeros(2, 3, 64, 64), maps_of()
    area = torch.tensor([[0.0, 0.0, 1.0, 0.5], [0.0, 0.0, 1.0, 1.0]])
    before = net(image, maps, area)
    assert not before.tokens[0][~before.valid[0]].any() and before.valid[1].all()
    for one in maps:
        one[0, :, one.shape[2] // 2 :] = 9.0
    after = net(image, maps, area)
    torch.testing.assert_close(before.tokens, after.tokens)


@torch.no_grad()
def test_a_tower_with_one_map_has_two_levels():
    net = HybridEncoder((24,), DetectorOptions(width=16, heads=4))
    memory = net(torch.zeros(1, 3, 96, 96), [torch.randn(1, 24, 3, 3)], whole(1))
    assert memory.shapes == ((3, 3), (2, 2)) and net.levels == 2


@torch.no_grad()
def test_odd_sizes_of_towers_that_read_whole_cells_alone():
    maps = [torch.randn(1, 8, 13, 13), torch.randn(1, 16, 6, 6), torch.randn(1, 24, 3, 3)]
    memory = encoder()(torch.zeros(1, 3, 104, 104), maps, whole(1))
    assert memory.shapes == ((13, 13), (6, 6), (3, 3), (2, 2))

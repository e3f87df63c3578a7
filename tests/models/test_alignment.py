"""Reading the image between its cells, and a map refined behind a gate."""

from __future__ import annotations

import torch

from tiny_street import VIEWS, batch_of, tiny_set
from veritrain.models.alignment import AlignmentNetwork, bilinear_windows


def test_bilinear_is_the_interpolation_worked_by_hand():
    """Cells of 4 pixels, centres at 2, 6, 10: pixel (5, 3) lies 3/4 between columns 0 and 1, 1/4 between rows."""
    cells = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]).view(1, 1, 2, 3)
    found = bilinear_windows(cells, torch.tensor([[[5.0, 3.0]]]), stride=4, side=1)
    top, bottom = 1 + 0.75 * (2 - 1), 8 + 0.75 * (16 - 8)
    torch.testing.assert_close(found, torch.tensor([[[top + 0.25 * (bottom - top)]]]))


def test_at_the_middle_of_a_cell_it_is_the_cell_and_beyond_the_border_the_nearest():
    cells = torch.randn(2, 5, 6, 7)
    column, row = torch.meshgrid(torch.arange(7), torch.arange(6), indexing="xy")
    middles = torch.stack([column, row], -1).reshape(1, -1, 2).expand(2, -1, -1) * 4.0 + 2
    found = bilinear_windows(cells, middles, stride=4, side=1)
    torch.testing.assert_close(found, cells.flatten(2).mT, rtol=1e-4, atol=1e-5)
    corner = bilinear_windows(cells, torch.tensor([[[0.0, 23.9]]] * 2), stride=4, side=1)
    torch.testing.assert_close(corner[:, 0], cells[:, :, -1, 0], rtol=1e-4, atol=1e-5)


def test_a_window_is_the_places_a_cell_apart_in_the_order_of_the_batch():
    """At cell middles the interpolated window is the gathered one, place by place."""
    batch = batch_of(tiny_set(), [1, 2])
    grid = (8, 12)
    cells = torch.randn(2, 3, *grid)
    centre = batch["window"][..., VIEWS.window**2 // 2]
    middles = torch.stack([centre % grid[1], centre // grid[1]], -1) * 4.0 + 2
    found = bilinear_windows(cells, middles, stride=4, side=VIEWS.window).view(2, -1, VIEWS.window**2, 3)
    index = batch["window"].flatten(1).unsqueeze(-1).expand(-1, -1, 3)
    gathered = cells.flatten(2).mT.gather(1, index).view_as(found)
    mask = batch["window_mask"]
    assert mask.any() and not mask.all()
    torch.testing.assert_close(found[mask], gathered[mask], rtol=1e-4, atol=1e-5)


def test_the_gate_decides_between_the_map_and_its_refinement():
    torch.manual_seed(0)
    part = AlignmentNetwork(8).eval()
    image = torch.randn(2, 8, 4, 6)
    last = part.gate[2]
    torch.nn.init.zeros_(last.weight)
    for bias, expected in ((-60.0, image), (60.0, part.net(image)), (0.0, (image + part.net(image)) / 2)):
        torch.nn.init.constant_(last.bias, bias)
        torch.testing.assert_close(part(image), expected, rtol=1e-4, atol=1e-5)

"""A 3-D network on voxels before the car."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from veritrain.data.sample import UNKNOWN
from veritrain.models.positional import metres_of
from veritrain.models.raw_points import pool_by_cell

VOXELS = (48, 48, 8)
EDGE = 1.0
CORNER = (0.0, -24.0, -3.0)
"""48 x 48 x 8 cells of 1 m in the LiDAR frame: 0 to 48 m ahead, 24 m to each side, 3 m below the sensor to 5 above."""


def voxel_of(places: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N, 3) metres -> (B, N) int64 flat voxel (0 outside) and (B, N) bool inside the grid."""
    cells = ((places - places.new_tensor(CORNER)) / EDGE).floor().long()
    size = torch.tensor(VOXELS, device=places.device)
    inside = ((cells >= 0) & (cells < size)).all(-1)
    flat = (cells[..., 0] * VOXELS[1] + cells[..., 1]) * VOXELS[2] + cells[..., 2]
    return torch.where(inside, flat, 0), inside


def voxel_labels(view: Tensor, labels: Tensor) -> Tensor:
    """Labels of voxels from those of range-view cells: anomalous if any is, unknown only if all are.

    Args:
        view: (B, 6, R, A) range view.
        labels: (B, R, A) int8 of 1, 0, UNKNOWN.

    Returns:
        (B, 48, 48, 8) int8; UNKNOWN where there is no return.
    """
    voxel, inside = voxel_of(metres_of(view))
    known = torch.where(inside & (view[:, -1] > 0).flatten(1), labels.flatten(1).long(), UNKNOWN)
    empty = known.new_full((len(view), VOXELS[0] * VOXELS[1] * VOXELS[2]), UNKNOWN)
    return empty.scatter_reduce(1, voxel, known, "amax").view(-1, *VOXELS).to(torch.int8)


class VoxelHead(nn.Module):
    """Logits of voxels from features of returns: largest feature in each voxel, then 3x3x3 convolutions.

    A linear layer brings features to half of ``width``; convolutions to a half and to a quarter, each with batch
    normalisation, ReLU and dropout of whole channels; 1x1x1 to a logit (the pattern d-128-64-32, narrowed).
    """

    def __init__(self, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        half, quarter = max(4, width // 2), max(4, width // 4)
        self.enter = nn.Sequential(nn.Linear(channels, half), nn.ReLU())
        layers: list[nn.Module] = []
        for before, after in ((half, half), (half, quarter)):
            layers += [nn.Conv3d(before, after, 3, padding=1, bias=False), nn.BatchNorm3d(after), nn.ReLU()]
            layers += [nn.Dropout3d(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers, nn.Conv3d(quarter, 1, 1))

    def forward(self, features: Tensor, places: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, C), (B, N, 3) metres, (B, N) bool -> (B, 48, 48, 8) logits, and (B, N): each return's voxel's.

        The second is 0 for what is not there or lies outside the grid.
        """
        voxel, inside = voxel_of(places)
        inside = inside & there
        cells = pool_by_cell(self.enter(features), voxel, VOXELS[0] * VOXELS[1] * VOXELS[2], inside)
        logits = self.layers(cells.mT.reshape(len(cells), -1, *VOXELS)).squeeze(1)
        return logits, logits.flatten(1).gather(1, voxel) * inside

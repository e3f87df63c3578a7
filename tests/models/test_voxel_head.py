"""Voxels before the car: where they lie, their labels, and that a logit comes back to its returns."""

from __future__ import annotations

import numpy as np
import torch

from tiny_street import batch_of, tiny_set
from veritrain.data.sample import UNKNOWN
from veritrain.models.positional import metres_of
from veritrain.models.voxel_head import CORNER, VOXELS, VoxelHead, voxel_labels, voxel_of


def test_voxels_are_cubes_of_a_metre_before_the_car():
    places = torch.tensor([[[0.0, -24.0, -3.0], [47.9, 23.9, 4.9], [5.5, 0.2, -1.7], [-0.1, 0, 0], [3, 24.0, 0]]])
    flat, inside = voxel_of(places)
    assert inside.tolist() == [[True, True, True, False, False]]
    expected = [0, 48 * 48 * 8 - 1, (5 * 48 + 24) * 8 + 1, 0, 0]
    assert flat.tolist() == [expected]


def test_labels_of_voxels_equal_brute_force():
    batch = batch_of(tiny_set(), [1, 2, 7])
    found = voxel_labels(batch["view"], batch["view_labels"]).numpy()
    expected = np.full((3, *VOXELS), UNKNOWN, np.int8)
    places = metres_of(batch["view"]).numpy()
    for b in range(3):
        for cell in np.flatnonzero(batch["view"][b, -1].numpy().ravel()):
            at = tuple(np.floor(places[b, cell] - np.array(CORNER, np.float32)).astype(int))
            if all(0 <= i < n for i, n in zip(at, VOXELS, strict=True)):
                expected[b][at] = max(expected[b][at], batch["view_labels"][b].numpy().ravel()[cell])
    assert np.array_equal(found, expected)
    assert (found == 1).any() and (found == 0).any()


def test_anomalous_wins_and_unknown_needs_all():
    view = torch.zeros(1, 6, 4, 2)
    view[:, 1] = 5.5 / 30
    view[:, 5] = 1
    view[0, 1, 2:] = 9.5 / 30
    labels = torch.tensor([[[UNKNOWN, 0], [1, 0], [UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN]]], dtype=torch.int8)
    found = voxel_labels(view, labels)
    assert found[0, 5, 24, 3] == 1 and found[0, 9, 24, 3] == UNKNOWN
    labels[0, 1, 0], labels[0, 3, 1] = UNKNOWN, 0
    found = voxel_labels(view, labels)
    assert found[0, 5, 24, 3] == 0 and found[0, 9, 24, 3] == 0
    view[:, 5] = 0
    assert (voxel_labels(view, labels) == UNKNOWN).all(), "no return, no label"


def head() -> VoxelHead:
    torch.manual_seed(0)
    return VoxelHead(6, 8, 0.0).eval()


def test_each_return_reads_its_own_voxel_and_nothing_outside():
    places = torch.tensor([[[5.5, 0.5, 0.5], [5.6, 0.4, 0.6], [20.5, 3.5, 0.5], [-9.0, 0.0, 0.0], [5.5, 0.5, 0.5]]])
    there = torch.tensor([[True, True, True, True, False]])
    logits, back = head()(torch.rand(1, 5, 6), places, there)
    assert logits.shape == (1, *VOXELS)
    assert back[0, 0] == back[0, 1] == logits[0, 5, 24, 3] and back[0, 2] == logits[0, 20, 27, 3]
    assert back[0, 3] == 0 and back[0, 4] == 0


def test_what_is_not_there_or_outside_changes_nothing():
    torch.manual_seed(1)
    features, places = torch.rand(1, 9, 6), torch.rand(1, 9, 3) * 10
    there = torch.arange(9).view(1, -1) < 6
    places[0, 5] = -50.0
    model = head()
    expected = model(features[:, :5], places[:, :5], there[:, :5])[0]
    assert torch.equal(model(features, places, there)[0], expected)
    assert not torch.equal(model(features * 2, places, there)[0], expected)


def test_a_voxel_sees_its_neighbours_and_nothing_far_away():
    features = torch.rand(1, 3, 6, requires_grad=True)
    places = torch.tensor([[[10.5, 0.5, 0.5], [12.5, 0.5, 0.5], [13.5, 0.5, 0.5]]])
    logits, _ = head()(features, places, torch.ones(1, 3, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(logits[0, 10, 24, 3], features)
    assert gradient[0, :2].abs().sum(1).all() and not gradient[0, 2].any(), "two 3x3x3 layers reach two voxels"

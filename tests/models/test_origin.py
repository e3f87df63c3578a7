"""The networks of the reports: their own parameter counts, and none of their faults."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from veritrain import catalog
from veritrain.models.origin import FrozenResNet18, ReturnTower, back_in_place, strongest

COUNTS = {
    "report000-simple": (1_146_497, 1_146_497),
    "report001-attention": (792_321, 792_321),
    "report001-focal": (14_110_849, 2_934_337),
    "report001-voxelwise": (12_566_401, 1_389_889),
    "report001-scene": (5_491_393, 5_491_393),
    "report001-image-only": (4_824_193, 4_824_193),
    "report001-lidar-only": (339_521, 339_521),
    "report001-late-fusion": (5_098_178, 5_098_178),
    "report001-lightweight": (1_377_633, 1_377_633),
}
"""Total and trainable parameters that the reports state or that their layer lists add up to."""

WITH_POINTS = [name for name in COUNTS if name != "report001-image-only"]
FROZEN = ["report001-focal", "report001-voxelwise"]


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = catalog.resolve("models", name)()
    return made


def batch_of(*, frames: int = 3, size: tuple[int, int] = (32, 48), returns: int = 40, seed: int = 0) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    cloud = torch.randn(frames, returns, 4, generator=generator) * torch.tensor([30.0, 30.0, 2.0, 0.3])
    image = torch.rand(frames, 3, *size, generator=generator) * 2 - 1
    return {"image": image, "cloud": cloud, "cloud_mask": torch.ones(frames, returns, dtype=torch.bool)}


def ragged(batch: dict[str, Any]) -> dict[str, Any]:
    """Frame k has lost its last 5 k returns."""
    mask = batch["cloud_mask"].clone()
    for row in range(1, len(mask)):
        mask[row, -5 * row :] = False
    return {**batch, "cloud_mask": mask}


def padded(batch: dict[str, Any], more: int, value: float) -> dict[str, Any]:
    """The same returns, each frame with ``more`` rows of padding in front of and behind its own."""
    cloud, mask = batch["cloud"], batch["cloud_mask"]
    cloud = torch.where(mask.unsqueeze(-1), cloud, torch.full_like(cloud, value))
    room = torch.full((len(cloud), more, 4), value)
    empty = torch.zeros(len(cloud), more, dtype=torch.bool)
    return {**batch, "cloud": torch.cat([room, cloud, room], 1), "cloud_mask": torch.cat([empty, mask, empty], 1)}


def answers(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    """All logits of real places as one vector."""
    with torch.no_grad():
        output = model(batch)
    return torch.cat([output["frame"], *([output["point"][batch["cloud_mask"]]] if "point" in output else [])])


@pytest.mark.parametrize("name", list(COUNTS))
def test_the_counts_are_those_of_the_reports(name):
    with torch.device("meta"):
        parameters = list(catalog.resolve("models", name)().parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    assert (sum(p.numel() for p in parameters), trainable) == COUNTS[name]


@pytest.mark.parametrize("name", list(COUNTS))
@pytest.mark.parametrize("size", [(96, 144), (512, 768)])
def test_it_runs_at_both_sizes(name, size):
    batch = batch_of(frames=1, size=size, returns=300)
    output = network(name).eval()(batch)
    assert output["frame"].shape == (1,) and torch.isfinite(output["frame"]).all()
    assert ("point" in output) == (name == "report001-voxelwise")
    if "point" in output:
        assert output["point"].shape == (1, 300) and torch.isfinite(output["point"]).all()


@pytest.mark.parametrize("name", list(COUNTS))
def test_the_output_depends_on_exactly_the_inputs_that_it_names(name):
    model, batch, other = network(name).eval(), batch_of(), batch_of(seed=1)
    own = answers(model, batch)
    changed = {
        "image": answers(model, {**batch, "image": other["image"]}),
        "points": answers(model, {**batch, "cloud": other["cloud"]}),
    }
    matter = {sensor for sensor, values in changed.items() if not torch.allclose(values, own, atol=1e-6)}
    assert matter == set(model.inputs)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", WITH_POINTS)
def test_padding_changes_nothing(name, training):
    """Neither its amount nor its content, nor, in training, through batch statistics."""
    model = network(name)
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.MultiheadAttention):
            module.p = module.dropout = 0.0  # random masks would differ with the shape
    batch = ragged(batch_of())
    own = answers(copy.deepcopy(model).train(training), batch)
    for value in (0.0, 1e4):
        found = answers(copy.deepcopy(model).train(training), padded(batch, 7, value))
        torch.testing.assert_close(found, own, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", WITH_POINTS)
def test_the_order_of_the_returns_changes_nothing(name):
    model, batch = network(name).eval(), ragged(batch_of())
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    turned = {**batch, "cloud": batch["cloud"][:, order], "cloud_mask": batch["cloud_mask"][:, order]}
    with torch.no_grad():
        own, found = model(batch), model(turned)
    torch.testing.assert_close(found["frame"], own["frame"], rtol=1e-4, atol=1e-5)
    if "point" in own:
        torch.testing.assert_close(found["point"], own["point"][:, order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", [False, True])
def test_masked_and_unmasked_pooling_agree_where_there_is_no_padding(norm):
    torch.manual_seed(0)
    tower, batch = ReturnTower((8, 16), norm=norm), batch_of()
    mask = batch["cloud_mask"]
    features = tower(batch["cloud"], mask)
    plain = copy.deepcopy(tower).layers(batch["cloud"].flatten(0, 1)).view(3, 40, 16)
    torch.testing.assert_close(features, plain)
    torch.testing.assert_close(strongest(features, mask), plain.amax(1))


def test_a_masked_maximum_by_hand():
    features = torch.tensor([[[1.0, -3.0], [2.0, -2.0], [9.0, 9.0]], [[5.0, 5.0], [5.0, 5.0], [5.0, 5.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert strongest(features, mask).tolist() == [[2.0, -2.0], [0.0, 0.0]]


def test_rows_return_to_their_places():
    mask = torch.tensor([[False, True], [True, True]])
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert back_in_place(rows, mask).tolist() == [[[0, 0], [1, 2]], [[3, 4], [5, 6]]]


@pytest.mark.parametrize("name", WITH_POINTS)
def test_a_batch_without_any_return_is_no_error_and_no_nan(name):
    batch = batch_of()
    batch["cloud_mask"][:] = False
    model = network(name).train()
    assert all(torch.isfinite(values).all() for values in model(batch).values())
    assert all(torch.isfinite(buffer.float()).all() for buffer in model.buffers())


@pytest.mark.parametrize("name", list(COUNTS))
def test_a_gradient_reaches_every_trainable_parameter(name):
    model, batch = network(name).train(), ragged(batch_of(frames=4))
    output = model(batch)
    logits = output["point"][batch["cloud_mask"]] if "point" in output else output["frame"]
    nn.functional.softplus(logits).sum().backward()
    for label, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, label
        else:
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), label
            assert parameter.dim() == 1 or parameter.grad.abs().sum() > 0, label


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_is_frozen_to_the_last_bit(name):
    """Parameters and batch statistics of the tower are those from before, the rest is not."""
    model, batch = network(name).train(), batch_of(frames=4)
    before = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        sum(values.sum() for values in model(batch).values()).backward()
        optimiser.step()
    after = model.state_dict()
    same = {key for key in before if torch.equal(before[key], after[key])}
    tower = {key for key in before if key.startswith("image.")}
    assert tower <= same and len([key for key in tower if "running_" in key]) == 40
    assert not same - tower - {"attention.out_proj.bias"}
    assert not model.image.training and not any(module.training for module in model.image.modules())


def test_the_frozen_tower_sees_imagenets_scale():
    tower, seen = FrozenResNet18(), []
    tower.layers[0].register_forward_hook(lambda module, given, output: seen.append(given[0]))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    tower((torch.stack([mean, mean + std]) * 2 - 1).view(2, 3, 1, 1).expand(-1, -1, 32, 32))
    torch.testing.assert_close(seen[0].mean((1, 2, 3)), torch.tensor([0.0, 1.0]), rtol=0, atol=1e-6)


def test_late_fusion_is_the_mean_of_two_logits():
    model, batch = network("report001-late-fusion").eval(), batch_of()
    points = strongest(model.points(batch["cloud"], batch["cloud_mask"]), batch["cloud_mask"])
    with torch.no_grad():
        image, lidar = model.head_image(model.image(batch["image"])), model.head_points(points)
        torch.testing.assert_close(model(batch)["frame"], ((image + lidar) / 2).squeeze(1))


@pytest.mark.parametrize("name", list(COUNTS))
def test_shared_parameters_train_and_leave_the_heads_out(name):
    model = network(name)
    shared = {id(parameter) for parameter in model.shared_parameters()}
    names = {key for key, parameter in model.named_parameters() if id(parameter) in shared}
    trainable = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert names == {key for key in trainable if not key.startswith("head")} and names


def test_outputs_are_logits_and_not_scores():
    """A fresh head's output is on both sides of 0 when its last bias is moved; a sigmoid could not be."""
    model, batch = network("report000-simple").eval(), batch_of()
    with torch.no_grad():
        model.head[-1].bias.fill_(-30.0)
    assert (answers(model, batch) < -10).all()

"""CLIP's image towers: any size, the dense map, and the pool that it is taken from."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer

from veritrain.errors import DataError
from veritrain.models.clip_image import ClipResNet, ClipViT, Normalise, resized_positions


def resnet() -> ClipResNet:
    """RN50's image tower; every weight is random, none is zero."""
    torch.manual_seed(3)
    visual = open_clip.CLIP(**open_clip.get_model_config("RN50")).visual
    assert isinstance(visual, ModifiedResNet)
    with torch.no_grad():
        for name, one in visual.named_parameters():
            if one.dim() == 1 and not name.startswith("attnpool"):
                one.copy_(torch.rand_like(one) * 0.4 + 0.8)
    return ClipResNet(visual, "RN50").eval()


def narrow_vit(**chosen: Any) -> ClipViT:
    """A vision transformer of CLIP's form, but small."""
    torch.manual_seed(3)
    shape = {
        "image_size": 64,
        "patch_size": 16,
        "width": 32,
        "layers": 3,
        "heads": 4,
        "mlp_ratio": 2.0,
        "output_dim": 24,
    }
    return ClipViT(VisionTransformer(**{**shape, **chosen}), "a small ViT").eval()


@pytest.fixture(scope="module")
def rn50() -> ClipResNet:
    return resnet()


def same(one: torch.Tensor, two: torch.Tensor) -> bool:
    return float((one - two).abs().max()) <= 1e-5 * max(float(two.abs().max()), 1.0)


@torch.no_grad()
def test_with_equal_weights_the_pool_is_the_mean_of_the_dense_map_and_the_mean_token():
    tower = resnet()
    for layer in (tower.visual.attnpool.q_proj, tower.visual.attnpool.k_proj):
        layer.weight.zero_()
        layer.bias.zero_()
    image = torch.rand(2, 3, 224, 224) * 2 - 1
    found = tower(image)
    cells = found.dense.flatten(2)
    assert cells.shape == (2, 1024, 49)
    c5 = found.maps[-1]
    mean_cell = c5.mean((2, 3)) + tower.visual.attnpool.positional_embedding[0]
    tokens = torch.cat([tower.project(mean_cell)[:, :, None], cells], 2)
    there = tower.visual(Normalise()(image))
    assert same(tokens.mean(2), there) and same(found.embedding, there)


@torch.no_grad()
def test_the_dense_map_is_two_1x1_convolutions(rn50):
    found = rn50(torch.rand(1, 3, 224, 224) * 2 - 1)
    pool = rn50.visual.attnpool
    placed = found.maps[-1] + pool.positional_embedding[1:].T.unflatten(1, (7, 7))
    values = F.conv2d(placed, pool.v_proj.weight[:, :, None, None], pool.v_proj.bias)
    assert same(found.dense, F.conv2d(values, pool.c_proj.weight[:, :, None, None], pool.c_proj.bias))


@torch.no_grad()
def test_800_by_800_runs_and_has_the_shapes_of_c3_to_c5(rn50):
    found = rn50(torch.rand(1, 3, 800, 800) * 2 - 1)
    assert [tuple(one.shape) for one in found.maps] == [
        (1, channels, 800 // stride, 800 // stride)
        for channels, stride in zip(rn50.channels, rn50.strides, strict=True)
    ]
    assert found.dense.shape == (1, 1024, 25, 25) and found.embedding.shape == (1, 1024)
    assert found.embedding.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(64, 96), (250, 33), (32, 32)])
def test_any_size_runs(rn50, height, width):
    found = rn50(torch.rand(1, 3, height, width) * 2 - 1)
    assert found.dense.shape[2:] == (height // 32, width // 32) == found.maps[-1].shape[2:]


def test_an_image_of_less_than_a_cell_is_refused(rn50):
    with pytest.raises(DataError, match="31 x 64"):
        rn50(torch.zeros(1, 3, 31, 64))
    with pytest.raises(DataError, match="16 x 16"):
        narrow_vit()(torch.zeros(1, 3, 15, 64))


@torch.no_grad()
def test_the_pool_of_another_size_is_open_clips_with_positions_of_that_size(rn50):
    """open_clip's own pool, given interpolated positions, is the reference for 3 x 2 cells."""
    image = torch.rand(2, 3, 96, 64) * 2 - 1
    found = rn50(image)
    pool = resnet().visual.attnpool
    pool.load_state_dict(rn50.visual.attnpool.state_dict())
    pool.positional_embedding = torch.nn.Parameter(resized_positions(pool.positional_embedding, 3, 2))
    assert same(found.embedding, pool(found.maps[-1]))


def test_positions_stay_where_they_are_and_smooth_ones_stay_smooth():
    ramp = torch.linspace(0, 1, 8)[:, None] + torch.linspace(0, 3, 8)[None]
    positions = torch.cat([torch.tensor([[9.0]]), ramp.flatten()[:, None]])
    assert resized_positions(positions, 8, 8) is positions
    resized = resized_positions(positions, 24, 16)
    assert resized.shape == (1 + 24 * 16, 1) and resized[0] == 9
    grid = resized[1:].view(24, 16)
    # Cell centres: cell i of n lies at (i + 0.5) / n of the grid, which in cells of the old grid is 8 times that.
    rows, columns = (((torch.arange(n) + 0.5) / n * 8 - 0.5) / 7 for n in (24, 16))
    wanted = rows[:, None] + 3 * columns[None]
    inside = (slice(6, -6), slice(4, -4))
    assert torch.allclose(grid[inside], wanted[inside], atol=0.02)
    smaller = resized_positions(positions, 4, 4)[1:].view(4, 4)
    assert smaller[0, 0] < smaller[1, 1] < smaller[3, 3] and abs(float(smaller.mean() - ramp.mean())) < 1e-3


@torch.no_grad()
def test_a_vit_embeds_as_open_clips_own():
    tower = narrow_vit()
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    assert same(tower(image).embedding, tower.visual(Normalise()(image)))
    assert (tower.channels, tower.strides, tower.embed_dim) == ((32,), (16,), 24)


@torch.no_grad()
def test_the_dense_map_of_a_vit_is_the_value_path_of_its_last_block():
    tower = narrow_vit()
    image = torch.rand(2, 3, 96, 48) * 2 - 1
    found = tower(image)
    assert found.dense.shape == (2, 24, 6, 3) and found.maps[0].shape == (2, 32, 6, 3)
    inputs: list[torch.Tensor] = []
    last = tower.visual.transformer.resblocks[-1]
    handle = last.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    tower(image)
    handle.remove()
    x = inputs[0]
    width = x.shape[-1]
    normed = last.ln_1(x)
    values = F.linear(normed, last.attn.in_proj_weight[2 * width :], last.attn.in_proj_bias[2 * width :])
    x = x + last.attn.out_proj(values)
    x = x + last.mlp(last.ln_2(x))
    cells = tower.visual.ln_post(x[:, 1:]) @ tower.visual.proj
    assert same(found.dense, cells.mT.unflatten(2, (6, 3)))


@torch.no_grad()
def test_half_precision_by_autocast_runs_and_stays_near(rn50):
    image = torch.rand(1, 3, 64, 96) * 2 - 1
    for tower in (rn50, narrow_vit()):
        with torch.autocast("cpu", torch.bfloat16):
            half = tower(image)
        full = tower(image)
        assert F.cosine_similarity(half.embedding.float(), full.embedding).min() > 0.99
        assert F.cosine_similarity(half.dense.float(), full.dense).min() > 0.98


def test_images_are_normalised_by_clips_own_numbers():
    zero = Normalise()(torch.full((1, 3, 1, 1), -1.0)).flatten()
    assert torch.allclose(
        zero, torch.tensor([-0.48145466 / 0.26862954, -0.4578275 / 0.26130258, -0.40821073 / 0.27577711])
    )
    assert open_clip.OPENAI_DATASET_MEAN == (0.48145466, 0.4578275, 0.40821073)
    assert open_clip.OPENAI_DATASET_STD == (0.26862954, 0.26130258, 0.27577711)

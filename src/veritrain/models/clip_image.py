"""CLIP's image towers for any input size, with a dense map in the space of texts.

The networks are open_clip's own (``ModifiedResNet``, ``VisionTransformer``) with their names of tensors; what is
written here is how they are read: the whole-image embedding equals open_clip's ``encode_image`` at the size the network
was made for, and other sizes get interpolated positions.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.models.tower import ImageFeatures, ImageTower, demand_size

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Of RGB in [0, 1]: what CLIP and RemoteCLIP were trained with; not ImageNet's."""


class Normalise(nn.Module):
    """Images in [-1, 1], as every tower gets them, to CLIP's mean 0 and deviation 1."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(CLIP_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(CLIP_STD).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) float in [-1, 1] -> the same shape."""
        return ((image + 1) / 2 - self.mean) / self.std


class ClipResNet(ImageTower):
    """CLIP's ResNet (Radford et al. 2021, section 2.4): C3, C4, C5 and the attention pool.

    Its weighting of the cells is what the pool adds to the dense map: with equal weights, the embedding is the mean of
    the dense map's cells and of the mean cell (``project`` of :meth:`tokens`), which a test shows.

    Args:
        visual: open_clip's ``ModifiedResNet``; its tensors keep their names behind ``visual.``.
        about: which network it is.
    """

    channels = (512, 1024, 2048)
    strides = (8, 16, 32)

    def __init__(self, visual: Any, about: str) -> None:
        super().__init__()
        self.visual, self.about = visual, about
        self.normalise = Normalise()
        self.embed_dim = int(visual.output_dim)

    def forward(self, image: Tensor) -> ImageFeatures:
        """(B, 3, H, W) float in [-1, 1], 32 x 32 or larger.

        Raises:
            DataError: a smaller image.
        """
        demand_size(image, self.strides[-1])
        net = self.visual
        x = net.layer1(net.stem(self.normalise(image)))
        maps = []
        for layer in (net.layer2, net.layer3, net.layer4):
            x = layer(x)
            maps.append(x)
        tokens = self.tokens(x)
        cells = self.project(tokens[1:])
        dense = cells.permute(1, 2, 0).unflatten(2, (x.shape[2], x.shape[3]))
        return ImageFeatures(embedding=self._pooled(tokens), dense=dense, maps=tuple(maps))

    def tokens(self, cells: Tensor) -> Tensor:
        """(B, 2048, h, w) -> (1 + h w, B, 2048): the mean of the cells, then the cells; with their positions added."""
        flat = cells.flatten(2).permute(2, 0, 1)
        tokens = torch.cat([flat.mean(0, keepdim=True), flat])
        places = resized_positions(self.visual.attnpool.positional_embedding, cells.shape[2], cells.shape[3])
        return tokens + places[:, None].to(tokens.dtype)

    def project(self, tokens: Tensor) -> Tensor:
        """(..., 2048) -> (..., D): the pool's value and output projections, which are 1x1 convolutions of a map.

        What the pool would answer if it looked at one token alone (MaskCLIP; Zhou et al. 2022).
        """
        pool = self.visual.attnpool
        projected: Tensor = pool.c_proj(pool.v_proj(tokens))
        return projected

    def _pooled(self, tokens: Tensor) -> Tensor:
        """(1 + n, B, 2048) -> (B, D). Only the mean token asks: the pool throws away what all others would be told."""
        pool = self.visual.attnpool
        answer, _ = F.multi_head_attention_forward(
            query=tokens[:1],
            key=tokens,
            value=tokens,
            embed_dim_to_check=tokens.shape[-1],
            num_heads=pool.num_heads,
            in_proj_weight=None,
            in_proj_bias=torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=pool.c_proj.weight,
            out_proj_bias=pool.c_proj.bias,
            training=self.training,
            need_weights=False,
            use_separate_proj_weight=True,
            q_proj_weight=pool.q_proj.weight,
            k_proj_weight=pool.k_proj.weight,
            v_proj_weight=pool.v_proj.weight,
        )
        return answer[0]


class ClipViT(ImageTower):
    """CLIP's vision transformer: the class token's embedding, and a dense map of the patches.

    The dense map is what the last block would give if each token attended to itself alone, as MaskCLIP (Zhou et al.
    2022) reads the values; it costs one block more. ``maps`` has one map, the last block's own patches.

    Args:
        visual: open_clip's ``VisionTransformer``; its tensors keep their names behind ``visual.``.
        about: which network it is.
    """

    def __init__(self, visual: Any, about: str) -> None:
        super().__init__()
        self.visual, self.about = visual, about
        self.normalise = Normalise()
        self.embed_dim = int(visual.output_dim)
        self.patch = int(visual.patch_size[0])
        self.channels, self.strides = (int(visual.class_embedding.shape[0]),), (self.patch,)

    def forward(self, image: Tensor) -> ImageFeatures:
        """(B, 3, H, W) float in [-1, 1], one patch or larger; columns and rows beyond the last whole patch are unread.

        Raises:
            DataError: a smaller image.
        """
        demand_size(image, self.patch)
        net = self.visual
        patches = net.conv1(self.normalise(image))
        grid = (patches.shape[2], patches.shape[3])
        first = net.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        tokens = torch.cat([first, patches.flatten(2).mT], 1)
        tokens = net.ln_pre(tokens + resized_positions(net.positional_embedding, *grid).to(tokens.dtype))
        *blocks, last = net.transformer.resblocks
        for block in blocks:
            tokens = block(tokens)
        whole, alone = last(tokens), last(tokens, attn_mask=_itself_alone(tokens))
        return ImageFeatures(
            embedding=net.ln_post(whole[:, 0]) @ net.proj,
            dense=_as_map(net.ln_post(alone[:, 1:]) @ net.proj, grid),
            maps=(_as_map(whole[:, 1:], grid),),
        )


def _itself_alone(tokens: Tensor) -> Tensor:
    """(L, L) to add to attention scores: 0 on the diagonal, minus infinity elsewhere."""
    length = tokens.shape[1]
    mask = torch.full((length, length), float("-inf"), device=tokens.device, dtype=tokens.dtype)
    return mask.fill_diagonal_(0)


def _as_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, h w, C) -> (B, C, h, w)."""
    return tokens.mT.unflatten(2, grid)


def resized_positions(positions: Tensor, rows: int, columns: int) -> Tensor:
    """Positions of a square grid for another grid: (1 + n n, C) -> (1 + rows x columns, C).

    The first row belongs to the token that is no cell and stays. The others are interpolated (bicubic, antialiased
    where the grid shrinks); for the grid they were learned on they are the same bits.
    """
    side = round((len(positions) - 1) ** 0.5)
    if (rows, columns) == (side, side):
        return positions
    grid = positions[1:].float().mT.unflatten(1, (side, side))[None]
    resized = F.interpolate(grid, (rows, columns), mode="bicubic", align_corners=False, antialias=True)
    return torch.cat([positions[:1], resized[0].flatten(1).mT.to(positions.dtype)])

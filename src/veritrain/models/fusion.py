"""The fusion detector: image and LiDAR look at each other where the calibration says they meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.models.heads import DenseHead, FrameHead
from veritrain.models.image import SmallImageEncoder
from veritrain.models.options import FusionOptions
from veritrain.models.points import RangeViewEncoder

VIEW_CHANNELS = 6
"""Range view: range, x, y, z (scaled metres), intensity, 1 where there is a return."""


class GatheredAttention(nn.Module):
    """Multi-head attention of each token over its own few neighbours (Vaswani et al. 2017, section 3.2).

    The neighbours are gathered by index, so that the cost grows with tokens x neighbours and not with
    tokens x tokens. A token without neighbours keeps its own features.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.inner = heads, width // 2
        self.query = nn.Linear(width, self.inner)
        self.key_value = nn.Linear(width, 2 * self.inner)
        self.output = nn.Linear(self.inner, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, others: Tensor, index: Tensor, mask: Tensor) -> Tensor:
        """tokens (B, N, C), others (B, M, C), index (B, N, K) int64 into M, mask (B, N, K) bool -> (B, N, C)."""
        batch, n, _ = tokens.shape
        k, depth = index.shape[2], self.inner // self.heads
        both = self.key_value(others)
        near = both.gather(1, index.reshape(batch, n * k, 1).expand(-1, -1, 2 * self.inner))
        key, value = near.view(batch, n, k, 2, self.heads, depth).unbind(3)
        query = self.query(tokens).view(batch, n, 1, self.heads, depth) / depth**0.5
        scores = (query * key).sum(-1).masked_fill(~mask.unsqueeze(-1), -1e4)
        seen = (scores.softmax(2).unsqueeze(-1) * value).sum(2).reshape(batch, n, self.inner)
        has_any = mask.any(2, keepdim=True)
        return torch.where(has_any, self.norm(tokens + self.output(seen)), tokens)


class FusionDetector(nn.Module):
    """Image and LiDAR to anomaly logits per frame, return and pixel.

    The batch holds ``image`` (B, 3, H, W); ``view`` (B, 6, R, A); ``seen`` (B, S) int64, the LiDAR tokens (4 x 2
    blocks of the range view) that project into the image, nearest first, with ``seen_mask``; ``window``
    (B, S, K) int64 image cells around the pixel where each of them projects, with ``window_mask``; ``neighbours``
    (B, H/4 * W/4, K') int64 LiDAR tokens that project into an image cell, with ``neighbours_mask``. ``inputs``
    names the sensors whose values the network reads; of the other it uses at most where things project.
    """

    def __init__(self, options: FusionOptions) -> None:
        super().__init__()
        width = options.width
        self.options = options
        self.sees_image = options.fusion != "points_only"
        self.sees_points = options.fusion != "image_only"
        self.inputs: tuple[str, ...] = ("image",) * self.sees_image + ("points",) * self.sees_points
        if self.sees_image:
            self.image_encoder = SmallImageEncoder(width)
            self.pixel_head = DenseHead(width, width)
        if self.sees_points:
            self.point_encoder = RangeViewEncoder(VIEW_CHANNELS, width)
            self.point_context = nn.Conv2d(width, self.point_encoder.fine_width, 1)
            self.point_head = DenseHead(2 * self.point_encoder.fine_width, self.point_encoder.fine_width)
        if options.fusion == "attention":
            self.points_to_image = GatheredAttention(width, options.heads)
            self.image_to_points = GatheredAttention(width, options.heads)
        if options.fusion == "concat":
            self.join_points = nn.Linear(2 * width, width)
            self.join_image = nn.Linear(2 * width, width)
        views = self.sees_image + self.sees_points
        self.frame_head = FrameHead(views)
        self.dropout = nn.Dropout2d(options.dropout) if options.dropout else nn.Identity()

    def shared_parameters(self) -> list[nn.Parameter]:
        """The encoders: what every term's gradient passes through."""
        towers = [self.image_encoder] if self.sees_image else []
        return [
            p for tower in [*towers, *([self.point_encoder] if self.sees_points else [])] for p in tower.parameters()
        ]

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,), ``point`` (B, R, A) per range-view cell, ``pixel`` (B, H, W).

        ``pixel`` is missing for points_only; for image_only, ``point`` is the pixel logit at the place where the
        cell projects and the image's mean logit where it does not.
        """
        image = self.image_encoder(batch["image"]) if self.sees_image else None
        fine, coarse = self.point_encoder(batch["view"]) if self.sees_points else (None, None)
        if image is not None and coarse is not None:
            image, coarse = self._fuse(image, coarse, batch)
        output: dict[str, Tensor] = {}
        dense: list[tuple[Tensor, Tensor]] = []
        if image is not None:
            cells = self.pixel_head(self.dropout(image))
            output["pixel"] = _enlarge(cells, batch["image"].shape[-2:])
            dense.append((cells.flatten(1), torch.ones_like(cells, dtype=torch.bool).flatten(1)))
        if coarse is not None and fine is not None:
            up = self.point_context(coarse).repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
            rows = self.point_head(self.dropout(torch.cat([up, fine], dim=1)))
            output["point"] = rows.repeat_interleave(2, dim=1)
            dense.append((output["point"].flatten(1), (batch["view"][:, -1] > 0).flatten(1)))
        elif image is not None:
            output["point"] = _at_projection(cells, batch)
        output["frame"] = self.frame_head(dense)
        return output

    def _fuse(self, image: Tensor, coarse: Tensor, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        cells, tokens = image.flatten(2).mT, coarse.flatten(2).mT
        place = batch["seen"].unsqueeze(-1).expand(-1, -1, tokens.shape[2])
        inside = tokens.gather(1, place)
        window, window_mask = batch["window"], batch["window_mask"]
        near, near_mask = batch["neighbours"], batch["neighbours_mask"]
        if self.options.fusion == "attention":
            new_inside = self.points_to_image(inside, cells, window, window_mask)
            new_cells = self.image_to_points(cells, tokens, near, near_mask)
        else:
            new_inside = F.relu(self.join_points(torch.cat([inside, _mean_of(cells, window, window_mask)], -1)))
            new_cells = F.relu(self.join_image(torch.cat([cells, _mean_of(tokens, near, near_mask)], -1)))
        alone = self._alone(len(tokens), tokens.device)
        new_cells = torch.where(alone, cells, new_cells)
        change = (new_inside - inside) * (batch["seen_mask"].unsqueeze(-1) & ~alone)
        new_tokens = tokens.scatter_add(1, place, change)
        return new_cells.mT.reshape_as(image), new_tokens.mT.reshape_as(coarse)

    def _alone(self, batch: int, device: torch.device) -> Tensor:
        """(B, 1, 1) bool: in training, samples whose views do not hear of each other, so that each learns to see."""
        share = self.options.modality_dropout if self.training else 0.0
        return torch.rand(batch, 1, 1, device=device) < share


def _mean_of(others: Tensor, index: Tensor, mask: Tensor) -> Tensor:
    """(B, M, C), (B, N, K), (B, N, K) -> (B, N, C): mean over the masked neighbours, 0 where there is none."""
    batch, n, k = index.shape
    near = others.gather(1, index.reshape(batch, n * k, 1).expand(-1, -1, others.shape[2])).view(batch, n, k, -1)
    inside = mask.unsqueeze(-1)
    return (near * inside).sum(2) / inside.sum(2).clamp(min=1)


def _enlarge(features: Tensor, size: torch.Size) -> Tensor:
    """Bilinear to ``size``; (B, h, w) maps keep their three axes."""
    flat = features.dim() == 3
    wide = F.interpolate(features.unsqueeze(1) if flat else features, size=size, mode="bilinear", align_corners=False)
    return wide.squeeze(1) if flat else wide


def _at_projection(cells: Tensor, batch: Mapping[str, Any]) -> Tensor:
    """The pixel logit where each range-view token projects; the image's mean logit where it does not."""
    flat = cells.flatten(1)
    window, mask = batch["window"], batch["seen_mask"]
    rows, columns = batch["view"].shape[-2] // 4, batch["view"].shape[-1] // 2
    everywhere = flat.mean(1, keepdim=True)
    change = torch.where(mask, flat.gather(1, window[..., window.shape[2] // 2]) - everywhere, torch.zeros(()))
    logits = everywhere.repeat(1, rows * columns).scatter_add(1, batch["seen"], change)
    return _enlarge(logits.view(-1, rows, columns), batch["view"].shape[-2:])

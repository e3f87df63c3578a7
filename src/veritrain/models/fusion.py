"""The fusion detector: image and LiDAR look at each other where the calibration says they meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.errors import ConfigError
from veritrain.models.alignment import AlignmentNetwork, bilinear_windows
from veritrain.models.heads import DenseHead, FrameHead, MultiscaleHead
from veritrain.models.image import SmallImageEncoder
from veritrain.models.late import LateAverage, strongest_of_tokens, to_cells
from veritrain.models.options import FusionOptions
from veritrain.models.points import RangeViewEncoder
from veritrain.models.positional import PositionalEncoding, metres_of, token_places
from veritrain.models.raw_points import RawPointsEncoder, grid_of_returns, returns_of
from veritrain.models.tower_weights import load_tower
from veritrain.models.voxel_head import VoxelHead

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
        self.keeps = False
        self.kept: Tensor | None = None

    def forward(self, tokens: Tensor, others: Tensor, index: Tensor, mask: Tensor) -> Tensor:
        """tokens (B, N, C), others (B, M, C), index (B, N, K) int64 into M, mask (B, N, K) bool -> (B, N, C)."""
        batch, n, _ = tokens.shape
        seen = self._read(self.query(tokens).flatten(0, 1), self.key_value(others), index, mask)
        has_any = mask.any(2, keepdim=True)
        return torch.where(has_any, self.norm(tokens + self.output(seen.view(batch, n, self.inner))), tokens)

    def _read(self, query: Tensor, both: Tensor, index: Tensor, mask: Tensor) -> Tensor:
        """query (B * N, D), keys beside values (B, M, 2 D) -> (B * N, D): each token's weighted mean of its values.

        Neighbours come first (K, B * N, D) and heads stay within D, summed and spread by a 0-1 matrix: rows are then
        long enough for vector units, and a step of the quick recipe on a CPU 17 % shorter (docs/LOG.md). In no less
        than float32, since mixed precision would convert every one of these many small products.
        """
        size, n, k = index.shape
        offset = torch.arange(size, device=index.device).view(-1, 1, 1) * both.shape[1]
        flat = (index + offset).permute(2, 0, 1).flatten()
        exact = torch.promote_types(both.dtype, torch.float32)
        of_head = torch.eye(self.heads, device=both.device, dtype=exact)
        of_head = of_head.repeat_interleave(self.inner // self.heads, dim=0)
        with torch.autocast(both.device.type, enabled=False):
            keys, values = both.flatten(0, 1).to(exact).split(self.inner, dim=1)
            near = keys.contiguous().index_select(0, flat).view(k, size * n, self.inner)
            scores = (query.to(exact) * near) @ (of_head / (self.inner // self.heads) ** 0.5)
            inside = mask.permute(2, 0, 1).reshape(k, size * n, 1)
            weights = scores.masked_fill(~inside, -1e4).softmax(0)
            if self.keeps:
                self.kept = (weights.detach() * inside).view(k, size, n, self.heads).permute(1, 2, 0, 3)
            read = values.contiguous().index_select(0, flat).view(k, size * n, self.inner)
            return ((weights @ of_head.mT) * read).sum(0)


@dataclass(frozen=True)
class PointScores:
    """What the LiDAR branch says.

    Attributes:
        grid: (B, R, A) logits of range-view cells. there: (B, R, A) bool, a return is there.
        returns: (B, N) logits of single returns (raw tower), and tokens: (B, N) int64 where they lie.
        voxels: (B, 48, 48, 8) logits (voxel head).
    """

    grid: Tensor
    there: Tensor
    returns: Tensor | None = None
    tokens: Tensor | None = None
    voxels: Tensor | None = None


class FusionDetector(nn.Module):
    """Image and LiDAR to anomaly logits per frame, return and pixel.

    The batch holds ``image`` (B, 3, H, W); ``view`` (B, 6, R, A); ``seen`` (B, S) int64, the LiDAR tokens (4 x 2
    blocks of the range view) that project into the image, nearest first, with ``seen_mask``; ``window``
    (B, S, K) int64 image cells around the pixel where each of them projects, with ``window_mask``; ``neighbours``
    (B, H/4 * W/4, K') int64 LiDAR tokens that project into an image cell, with ``neighbours_mask``. ``inputs``
    names the sensors whose values the network reads; of the other it uses at most where things project.

    Some options need more (``data.view_extras``): bilinear alignment ``seen_pixels``, a positional encoding of image
    cells ``cell_places``, raw points ``returns`` and their companions.

    Raises:
        ConfigError, CheckpointError: ``image_weights`` cannot be used.
    """

    def __init__(self, options: FusionOptions) -> None:
        super().__init__()
        width = options.width
        self.options = options
        self.sees_image, self.sees_points = options.sees_image, options.sees_points
        self.inputs: tuple[str, ...] = ("image",) * self.sees_image + ("points",) * self.sees_points
        dense = MultiscaleHead if options.head == "multiscale" else DenseHead
        if self.sees_image:
            self._build_image_tower()
            self.pixel_head = dense(width, width)
        if self.sees_points:
            raw = options.points_tower == "raw"
            blocks = options.blocks
            self.point_encoder = (
                RawPointsEncoder(width, blocks) if raw else RangeViewEncoder(VIEW_CHANNELS, width, blocks)
            )
            fine = self.point_encoder.fine_width
            self.point_context = nn.Conv2d(width, fine, 1)
            self.point_head = dense(2 * fine, fine)
        if options.fusion == "attention":
            self.points_to_image = GatheredAttention(width, options.heads)
            self.image_to_points = GatheredAttention(width, options.heads)
        if options.fusion == "concat":
            self.join_points = nn.Linear(2 * width, width)
            self.join_image = nn.Linear(2 * width, width)
        late = options.fusion == "late"
        self.frame_head = (
            nn.ModuleList(FrameHead(1) for _ in range(2)) if late else FrameHead(len(self.inputs), options.frame_join)
        )
        self.dropout = nn.Dropout2d(options.dropout) if options.dropout else nn.Identity()
        if late:
            self.late = LateAverage()
        if options.alignment == "network":
            self.align = AlignmentNetwork(width)
        if options.positional != "none":
            self.place = PositionalEncoding(options.positional, width)
        if options.head == "voxel":
            self.voxel_head = VoxelHead(2 * self.point_encoder.fine_width, width, options.dropout)
        for tower in self._frozen_towers():
            tower.requires_grad_(False)
        self.train()

    def _build_image_tower(self) -> None:
        options = self.options
        if options.image_tower == "small":
            self.image_encoder: nn.Module = SmallImageEncoder(options.width, options.blocks)
        else:
            # torchvision takes a second to import, which the small tower need not wait for.
            from veritrain.models.resnet import ResNetEncoder, TopDownMerge

            self.image_encoder = tower = ResNetEncoder(options.image_tower)
            self.image_neck = TopDownMerge(tower.channels, options.width)
        if options.image_weights:
            load_tower(self.image_encoder, options.image_weights)

    def _frozen_towers(self) -> list[nn.Module]:
        chosen = (("image", "image_encoder"), ("points", "point_encoder"))
        return [getattr(self, name) for tower, name in chosen if self.options.freezes(tower)]

    def train(self, mode: bool = True) -> FusionDetector:
        """As ever; but in a frozen tower only what has been unfrozen (its parameters take gradients) trains.

        What is frozen stays in evaluation mode, so that its batch statistics stay as they are.
        """
        super().train(mode)
        for tower in self._frozen_towers():
            for module in tower.modules():
                module.training = mode and any(one.requires_grad for one in module.parameters(recurse=False))
        return self

    def shared_parameters(self) -> list[nn.Parameter]:
        """The encoders: what every term's gradient passes through."""
        names = ("image_encoder", "image_neck", "point_encoder")
        return [p for name in names if hasattr(self, name) for p in getattr(self, name).parameters()]

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,), ``point`` (B, R, A) per range-view cell, ``pixel`` (B, H, W).

        ``pixel`` is missing for points_only; for image_only, ``point`` is the pixel logit at the place where the
        cell projects and the image's mean logit where it does not. With raw points also ``returns`` (B, N), the
        logit of each return in the batch's order (in training of the sampled ones), of which ``point`` holds the
        nearest in each cell; with the voxel head ``voxel`` (B, 48, 48, 8).
        """
        late = self.options.fusion == "late"
        image, fine, coarse = self._features(batch)
        if image is not None and coarse is not None and not late:
            image, coarse = self._fuse(image, coarse, batch)
        output: dict[str, Tensor] = {}
        dense: list[tuple[Tensor, Tensor]] = []
        if image is not None:
            cells = self.pixel_head(self.dropout(image))
            if not late:
                output["pixel"] = _enlarge(cells, batch["image"].shape[-2:])
            dense.append((cells.flatten(1), torch.ones_like(cells, dtype=torch.bool).flatten(1)))
        if coarse is not None and fine is not None:
            points = self._score_points(fine, coarse, batch)
            dense.append((points.grid.flatten(1), points.there.flatten(1)))
            if late:
                cells, points = self._average(cells, points, batch)
                output["pixel"] = _enlarge(cells, batch["image"].shape[-2:])
            output["point"] = points.grid
            output |= {} if points.returns is None else {"returns": points.returns}
            output |= {} if points.voxels is None else {"voxel": points.voxels}
        elif image is not None:
            output["point"] = _at_projection(cells, batch)
        output["frame"] = self._late_frame(dense) if late else self.frame_head(dense)
        return output

    def _features(self, batch: Mapping[str, Any]) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Image cells (B, C, h, w), fine LiDAR features and LiDAR tokens (B, C, R/4, A/2); None for what is unseen."""
        image = fine = coarse = None
        placed = self.options.positional != "none"
        if self.sees_image:
            image = self.image_encoder(batch["image"])
            if self.options.image_tower != "small":
                image = self.image_neck(image)
            if placed:
                image = image + self.place(batch["cell_places"]).mT.reshape_as(image)
        if self.sees_points:
            if self.options.points_tower == "raw":
                fine, coarse = self.point_encoder(returns_of(batch, training=self.training))
            else:
                fine, coarse = self.point_encoder(batch["view"])
            if placed:
                places, there = token_places(batch["view"])
                coarse = coarse + (self.place(places) * there.unsqueeze(-1)).mT.reshape_as(coarse)
        return image, fine, coarse

    def _score_points(self, fine: Tensor, coarse: Tensor, batch: Mapping[str, Any]) -> PointScores:
        if self.options.points_tower == "raw":
            return self._score_returns(fine, coarse, batch)
        up = self.point_context(coarse).repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
        features = torch.cat([up, fine], dim=1)
        rows = self.point_head(self.dropout(features))
        scores = PointScores(rows.repeat_interleave(2, dim=1), batch["view"][:, -1] > 0)
        if self.options.head != "voxel":
            return scores
        each = features.repeat_interleave(2, dim=2).flatten(2).mT
        voxels, added = self.voxel_head(each, metres_of(batch["view"]), scores.there.flatten(1))
        return replace(scores, grid=scores.grid + added.view_as(scores.grid), voxels=voxels)

    def _score_returns(self, own: Tensor, coarse: Tensor, batch: Mapping[str, Any]) -> PointScores:
        """Each return by its own features beside its token's; a cell without one by its token's alone."""
        returns = returns_of(batch, training=self.training)
        context = self.point_context(coarse).flatten(2).mT
        place = returns.tokens.unsqueeze(-1).expand(-1, -1, context.shape[2])
        features = torch.cat([context.gather(1, place), own], dim=2)
        logits = self.point_head(self.dropout(features.mT.unsqueeze(-1))).squeeze(-1)
        voxels = None
        if self.options.head == "voxel":
            voxels, added = self.voxel_head(features, returns.metres, returns.there)
            logits = logits + added
        alone = torch.cat([context, context.new_zeros(*context.shape[:2], own.shape[2])], dim=2)
        otherwise = self.point_head(alone.mT.unsqueeze(-1)).squeeze(-1)
        grid, there = grid_of_returns(logits, returns, otherwise)
        return PointScores(grid, there, logits, returns.tokens, voxels)

    def _fuse(self, image: Tensor, coarse: Tensor, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        cells, tokens = image.flatten(2).mT, coarse.flatten(2).mT
        place = batch["seen"].unsqueeze(-1).expand(-1, -1, tokens.shape[2])
        inside = tokens.gather(1, place)
        read, window = self._read_by_tokens(image, cells, batch)
        window_mask = batch["window_mask"]
        near, near_mask = batch["neighbours"], batch["neighbours_mask"]
        if self.options.fusion == "attention":
            new_inside = self.points_to_image(inside, read, window, window_mask)
            new_cells = self.image_to_points(cells, tokens, near, near_mask)
        else:
            new_inside = F.relu(self.join_points(torch.cat([inside, _mean_of(read, window, window_mask)], -1)))
            new_cells = F.relu(self.join_image(torch.cat([cells, _mean_of(tokens, near, near_mask)], -1)))
        alone = self._alone(len(tokens), tokens.device)
        new_cells = torch.where(alone, cells, new_cells)
        change = (new_inside - inside) * (batch["seen_mask"].unsqueeze(-1) & ~alone)
        new_tokens = tokens.scatter_add(1, place, change)
        return new_cells.mT.reshape_as(image), new_tokens.mT.reshape_as(coarse)

    def _read_by_tokens(self, image: Tensor, cells: Tensor, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """What LiDAR tokens read of the image: (B, M, C) features and (B, S, K) which of them belong to each token."""
        if self.options.alignment == "network":
            return self.align(image).flatten(2).mT, batch["window"]
        if self.options.alignment == "nearest":
            return cells, batch["window"]
        size, seen, places = batch["window"].shape
        stride = batch["image"].shape[-1] // image.shape[-1]
        read = bilinear_windows(image, batch["seen_pixels"], stride=stride, side=round(places**0.5))
        own = torch.arange(seen * places, device=image.device).view(1, seen, places)
        return read, own.expand(size, -1, -1)

    def _average(self, cells: Tensor, points: PointScores, batch: Mapping[str, Any]) -> tuple[Tensor, PointScores]:
        """Late fusion's dense logits: the mean of both sensors where both see."""
        free = ~self._alone(len(cells), cells.device).squeeze(-1)
        rows, columns = points.grid.shape[-2:]
        seen, known = self._image_at_tokens(cells, batch, (rows // 4) * (columns // 2))
        known = known & free
        strongest, has_any = strongest_of_tokens(points.grid, points.there)
        near = batch["neighbours"]
        near_mask = batch["neighbours_mask"] & has_any.gather(1, near.flatten(1)).view_as(near)
        from_points = _mean_of(strongest.unsqueeze(-1), near, near_mask).squeeze(-1)
        pixels = self.late("pixel", cells.flatten(1), from_points, near_mask.any(2) & free).view_as(cells)
        grid = self.late("point", points.grid, to_cells(seen, rows, columns), to_cells(known, rows, columns))
        returns = points.returns
        if returns is not None and points.tokens is not None:
            returns = self.late("point", returns, seen.gather(1, points.tokens), known.gather(1, points.tokens))
        return pixels, replace(points, grid=grid, returns=returns)

    def _image_at_tokens(self, cells: Tensor, batch: Mapping[str, Any], tokens: int) -> tuple[Tensor, Tensor]:
        """(B, T) the image's logit where each token projects, and (B, T) bool: it does."""
        mask, window = batch["seen_mask"], batch["window"]
        if self.options.alignment == "bilinear":
            stride = batch["image"].shape[-1] // cells.shape[-1]
            there = bilinear_windows(cells.unsqueeze(1), batch["seen_pixels"], stride=stride, side=1).squeeze(-1)
        else:
            there = cells.flatten(1).gather(1, window[..., window.shape[2] // 2])
        nothing = there.new_zeros(len(cells), tokens)
        known = nothing.scatter_add(1, batch["seen"], mask.to(there.dtype)) > 0
        return nothing.scatter_add(1, batch["seen"], there * mask), known

    def _late_frame(self, dense: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The learnable mean of each sensor's own frame logit; the image's alone where there is no return."""
        image, points = (head([own]) for head, own in zip(self.frame_head, dense, strict=True))  # type: ignore[arg-type]
        return self.late("frame", image, points, dense[1][1].any(1))

    def _alone(self, batch: int, device: torch.device) -> Tensor:
        """(B, 1, 1) bool: in training, samples whose views do not hear of each other, so that each learns to see."""
        share = self.options.modality_dropout if self.training else 0.0
        return torch.rand(batch, 1, 1, device=device) < share

    @torch.no_grad()
    def attention_maps(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Who looked at whom, in one pass in evaluation mode; nothing is kept otherwise.

        Returns:
            ``points_to_image`` (B, S, K, heads): the weight of each image cell in the window of each LiDAR token of
            ``seen``; ``image_to_points`` (B, H/4 * W/4, K', heads): of each token in ``neighbours``. Each row sums
            to 1 over its neighbours, and is 0 where the mask is.

        Raises:
            ConfigError: the fusion is not attention.
        """
        if self.options.fusion != "attention":
            raise ConfigError(
                "no attention to show", expected="fusion attention", found=f"fusion {self.options.fusion}"
            )
        parts = {"points_to_image": self.points_to_image, "image_to_points": self.image_to_points}
        was_training = self.training
        try:
            for part in parts.values():
                part.keeps = True
            self.eval()(batch)
            return {name: part.kept for name, part in parts.items() if part.kept is not None}
        finally:
            self.train(was_training)
            for part in parts.values():
                part.keeps, part.kept = False, None


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

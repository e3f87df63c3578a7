"""From a recipe to the network's options and to the arrays that this network reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from veritrain.data.paired_view import ViewOptions
from veritrain.errors import ConfigError
from veritrain.models.options import FusionOptions
from veritrain.record import sha256_of
from veritrain.tasks.options import AnomalyRecipe


def network_options(recipe: AnomalyRecipe) -> FusionOptions:
    """The shape of the network.

    Raises:
        ConfigError: choices that mean nothing together.
    """
    return FusionOptions(
        fusion=recipe.fusion,
        width=recipe.width,
        blocks=recipe.blocks,
        dropout=recipe.dropout,
        modality_dropout=recipe.modality_dropout,
        image_tower=recipe.image_tower,
        points_tower=recipe.points_tower,
        image_weights=recipe.image_weights,
        freeze=recipe.freeze,
        positional=recipe.positional,
        alignment=recipe.alignment,
        head=recipe.head,
        frame_join=recipe.frame_join,
    )


def view_options(recipe: AnomalyRecipe) -> ViewOptions:
    """The grids, and what beside them the network of this recipe reads.

    Raises:
        ConfigError: no points at all, or a number of points where the network counts none.
    """
    raw = recipe.points_tower == "raw"
    if recipe.max_points < 1 or (not raw and recipe.max_points != AnomalyRecipe.max_points):
        raise ConfigError(
            "max_points is for points_tower raw, and at least 1",
            expected="points_tower raw and a number above 0",
            found=f"points_tower {recipe.points_tower}, max_points {recipe.max_points}",
            fix="leave max_points out, or choose points_tower raw",
        )
    return ViewOptions(
        pixels=recipe.alignment == "bilinear",
        rays=recipe.positional != "none" and recipe.fusion != "points_only",
        returns=recipe.max_points if raw else 0,
    )


def weights_digest(recipe: AnomalyRecipe) -> str | None:
    """SHA-256 of the image tower's weight file, which must be the same when a run is resumed; None without one."""
    return sha256_of(Path(recipe.image_weights)) if recipe.image_weights else None


def stages_of(words: Sequence[str]) -> tuple[tuple[int, str], ...]:
    """``["3:image_encoder.layer4"]`` as (epoch, prefix) pairs.

    Raises:
        ConfigError: a word of another form, or an epoch before the second.
    """
    stages = []
    for word in words:
        found = re.fullmatch(r"(\d+):([A-Za-z_][\w.]*)", word.strip())
        if found is None or int(found[1]) < 2:
            raise ConfigError(
                "unfreeze: no epoch and name",
                expected="EPOCH:PREFIX with an epoch from 2 on, such as 3:image_encoder.layer4",
                found=word,
                fix="name the epoch from which the parameters train, then the beginning of their names",
            )
        stages.append((int(found[1]), found[2]))
    return tuple(stages)

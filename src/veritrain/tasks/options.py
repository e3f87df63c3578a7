"""The recipe of each task. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from veritrain.models.options import Alignment, Freeze, Fusion, Head, ImageTower, PointsTower, Positional

Controls = Literal["full", "quick", "none"]


@dataclass(frozen=True, kw_only=True)
class WaiverOption:
    """A check set aside: its name, why, and the last day (YYYY-MM-DD). It counts as not run."""

    check: str
    reason: str
    until: str


@dataclass(frozen=True, kw_only=True)
class AnomalyRecipe:
    """Image + LiDAR anomaly detection, from a folder of frames to a judged run.

    Attributes:
        data: the data set's folder; its format is recognised by content.
        seed: the training seed; the split is fixed by the data.
        labels: given; permuted (groups exchange their labels) or redrawn (random at every read): spoilt on purpose.
        split: given (by group, no group on two sides) or val=train (spoilt on purpose).
        loss: bce, focal, or origin000 (the label-free loss of report 000, spoilt on purpose).
        fusion: attention, concat, late, image_only or points_only.
        image_tower: small, resnet18 or resnet50.
        points_tower: range_view, or raw (every return has features and a score of its own).
        max_points: returns of a frame that raw makes its features of; all are scored.
        image_weights: a local .safetensors file for the image tower; empty starts from scratch.
        freeze: none, image, points or both: towers that never change, batch statistics included.
        unfreeze: such as 3:image_encoder.layer4: what stays frozen until that epoch.
        positional: none, sincos, learned or hybrid: what tells tokens where they are.
        alignment: nearest, bilinear or network: how LiDAR tokens read the image.
        head: mlp, multiscale or voxel (its loss has the weight of the point term).
        epochs: passes over the training split.
        batch_size: frames per optimiser step.
        accumulate: batches per optimiser step.
        optimiser: adamw, adam or sgd.
        learning_rate: its peak.
        weight_decay: decoupled for adamw.
        momentum: for sgd.
        schedule: constant, step or cosine, after the warm-up.
        warmup_steps: optimiser steps of linear warm-up.
        clip_norm: largest gradient norm; 0 is off.
        width: channels of both encoders.
        dropout: share of feature channels dropped before the dense heads.
        modality_dropout: share of training samples whose image and LiDAR features are not fused.
        augment: flip half of the samples left to right (image, points and labels together).
        most_pos_weight: cap on negatives / positives of a label level.
        frame_weight: of the frame term in the total.
        point_weight: of the point term in the total.
        pixel_weight: of the pixel term in the total.
        precision: 32-true or bf16-mixed.
        workers: processes that prepare batches; 0 is this one.
        max_seconds: stop training after this long; 0 is off.
        patience: stop after this many epochs without a better validation score; 0 is off.
        checkpoint_every: optimiser steps between checkpoints; 0 is once an epoch.
        keep_checkpoints: how many are kept, at least 2.
        controls: full (19 permuted retrainings), quick (all that SHOWN needs) or none.
        control_steps: optimiser steps of each permuted retraining and of the true run it is held against.
        on_broken: skip (listed and counted) or error, for broken scenarios and frames.
        cache: folder for decoded arrays; empty is beside the data set.
        threads: CPU threads; 0 leaves it to torch.
        waivers: checks set aside, shown in the report, never counted as passed.
    """

    data: str
    seed: int = 0
    labels: Literal["given", "permuted", "redrawn"] = "given"
    split: Literal["given", "val=train"] = "given"
    loss: Literal["bce", "focal", "origin000"] = "bce"
    fusion: Fusion = "attention"
    image_tower: ImageTower = "small"
    points_tower: PointsTower = "range_view"
    max_points: int = 16384
    image_weights: str = ""
    freeze: Freeze = "none"
    unfreeze: list[str] = field(default_factory=list)
    positional: Positional = "none"
    alignment: Alignment = "nearest"
    head: Head = "mlp"
    epochs: int = 20
    batch_size: int = 8
    accumulate: int = 1
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 6e-3
    weight_decay: float = 0.01
    momentum: float = 0.9
    schedule: Literal["constant", "step", "cosine"] = "cosine"
    warmup_steps: int = 30
    clip_norm: float = 5.0
    width: int = 32
    dropout: float = 0.0
    modality_dropout: float = 0.5
    augment: bool = True
    most_pos_weight: float = 20.0
    frame_weight: float = 1.0
    point_weight: float = 2.0
    pixel_weight: float = 2.0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    workers: int = 0
    max_seconds: float = 0.0
    patience: int = 0
    checkpoint_every: int = 0
    keep_checkpoints: int = 2
    controls: Controls = "quick"
    control_steps: int = 324
    on_broken: Literal["skip", "error"] = "skip"
    cache: str = ""
    threads: int = 0
    waivers: list[WaiverOption] = field(default_factory=list)


QUICK: dict[str, dict[str, Any]] = {"anomaly": {"epochs": 8, "control_steps": 270, "max_seconds": 42.0}}
"""What ``--quick`` sets before the recipe file and the command line have their say."""

RECIPES = {"anomaly": AnomalyRecipe}

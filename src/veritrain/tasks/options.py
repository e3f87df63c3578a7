"""The recipe of each task. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Literal

from veritrain.data.options import Augment, Geometry, ImageChanges
from veritrain.errors import ConfigError, did_you_mean
from veritrain.losses.options import READ_BY, Balance, BalanceOptions
from veritrain.models.options import (
    Alignment,
    FrameJoin,
    Freeze,
    Fusion,
    Head,
    ImageTower,
    PointsTower,
    Positional,
    YoloSize,
    has_own_encoder,
)
from veritrain.models.origin_facts import ANOMALY_MODELS, ORIGIN, idle_keys
from veritrain.tasks.contrastive_options import ContrastiveRecipe
from veritrain.tasks.openvocab_options import OpenVocabRecipe
from veritrain.tasks.recipe import Recipe

STATIC_VIEW_WEIGHT = 0.05
"""Of the view's loss beside a detection loss of weight 1; on made data 0.03 and 0.1 did best (docs/LOG.md)."""
JOINED = ("attention", "concat")
"""Fusions in which ``frame_join`` makes one frame logit of two views."""


@dataclass(frozen=True, kw_only=True)
class AnomalyRecipe(Recipe):
    """Image + LiDAR anomaly detection, from a folder of frames to a judged run.

    An unknown model, or a key that the model's network does not have, is a ConfigError.

    Attributes:
        split: given (by group, no group on two sides) or val=train (spoilt on purpose).
        train_groups: how many groups of the training split are used, nested and stratified by type; 0 is all. For
            learning curves: validation and test stay the same.
        loss: bce, focal, or origin000 (the label-free loss of report 000, spoilt on purpose).
        model: fusion, or a network of the reports (`veritrain list models`).
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
        frame_join: mean, smooth_max or noisy_or (trained by the mean): how the frame's logit is made of what both views
            say (attention and concat).
        width: channels of both encoders.
        blocks: residual blocks of each encoder; fewer make a step cheaper. A ResNet has its own.
        dropout: share of feature channels dropped before the dense heads.
        modality_dropout: share of training samples whose image and LiDAR features are not fused.
        augment: none, flip (half of the samples left to right) or full (flip, crop and shift, yaw, scale, point
            dropout, brightness, contrast and colour); image, points, labels and calibration move together.
        most_pos_weight: cap on negatives / positives of a label level.
        frame_weight: of the frame term in the total.
        point_weight: of the point term in the total.
        pixel_weight: of the pixel term in the total.
        on_broken: skip (listed and counted) or error, for broken scenarios and frames.
        layout: auto, or 2024 or 2023 where the folder holds scenarios of both AnoVox layouts.
        cloud: returns of a frame given to a network of the reports; 0 is as many as its report used.
        reference: none, or memory_bank: a method that sees normality scenarios and no label, scored on the same test
            split and shown beside the network (`veritrain baseline memory-bank` makes it alone).
        reference_size: entries of each of its two banks.
        reference_weights: a local .safetensors file of torchvision's ResNet18 for it; empty is random features.
    """

    OLDER_WORDS: ClassVar[Mapping[str, Mapping[str, str]]] = {"augment": {"True": "flip", "False": "none"}}
    """Words of earlier versions, as ``str`` writes them, in run folders: ``config.load`` reads them as today's."""

    epochs: int = 20
    batch_size: int = 8
    learning_rate: float = 6e-3
    clip_norm: float = 5.0
    control_steps: int = 324
    split: Literal["given", "val=train"] = "given"
    train_groups: int = 0
    loss: Literal["bce", "focal", "origin000"] = "bce"
    model: str = "fusion"
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
    frame_join: FrameJoin = "noisy_or"
    width: int = 32
    blocks: int = 2
    dropout: float = 0.0
    modality_dropout: float = 0.5
    augment: Augment = "flip"
    most_pos_weight: float = 20.0
    frame_weight: float = 1.0
    point_weight: float = 2.0
    pixel_weight: float = 2.0
    on_broken: Literal["skip", "error"] = "skip"
    layout: Literal["auto", "2024", "2023"] = "auto"
    cloud: int = 0
    reference: Literal["none", "memory_bank"] = "none"
    reference_size: int = 2000
    reference_weights: str = ""

    @classmethod
    def before_keys(cls, stored: Mapping[str, Any]) -> dict[str, Any]:
        """What a run folder that lacks a key was made with, where that is not today's default.

        Where the views are not joined, an earlier default of ``frame_join`` is today's.
        """
        if stored.get("model", cls.model) != cls.model or stored.get("fusion", cls.fusion) not in JOINED:
            return {"frame_join": cls.frame_join} if stored.get("frame_join", "mean") == "mean" else {}
        return {} if "frame_join" in stored else {"frame_join": "smooth_max"}

    def __post_init__(self) -> None:
        if self.model not in ANOMALY_MODELS:
            raise ConfigError(
                f"no model '{self.model}' for this task",
                expected=", ".join(ANOMALY_MODELS),
                found=self.model,
                fix=did_you_mean(self.model, ANOMALY_MODELS),
            )
        self._refuse_idle_keys()
        least = ORIGIN[self.model].smallest_batch if self.model in ORIGIN else 1
        if self.batch_size < least:
            raise ConfigError(
                f"batch_size is too small for the model '{self.model}'",
                expected=f"at least {least}, for its batch statistics",
                found=str(self.batch_size),
                fix=f"--batch_size {least} or more",
            )
        if self.cloud < 0:
            raise ConfigError("cloud is a number of returns", expected="0 or more", found=str(self.cloud))
        self._check_reference()

    def _check_reference(self) -> None:
        if self.reference_size < 2:
            found = str(self.reference_size)
            raise ConfigError("a bank is too small", expected="reference_size 2 or more", found=found)
        idle = not self.reference_weights and self.reference_size == AnomalyRecipe.reference_size
        if self.reference == "none" and not idle:
            raise ConfigError(
                "reference_size and reference_weights are of a reference",
                expected="reference memory_bank beside them",
                found=f"reference none, {self.reference_size}, '{self.reference_weights}'",
                fix="add --reference memory_bank, or leave them out",
            )

    def _refuse_idle_keys(self) -> None:
        """A key that changes nothing for this network must keep its default."""
        defaults = {entry.name: _default_of(entry) for entry in fields(self)}
        idle = [key for key in idle_keys(self.model) if getattr(self, key) != defaults[key]]
        if idle:
            raise ConfigError(
                f"the model '{self.model}' has no {' and no '.join(idle)}",
                expected=", ".join(f"{key} = {defaults[key]} (its default)" for key in idle),
                found=", ".join(f"{key} = {getattr(self, key)}" for key in idle),
                fix="leave them out, or choose another model",
            )


def _default_of(entry: Field[Any]) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


@dataclass(frozen=True, kw_only=True)
class JointRecipe(Recipe):
    """Leaking valves as boxes and the view of the frame from one YOLOv5 network, from label files to a judged run.

    Everything that changes images is off by default: left and right mean something in an echocardiogram, and brightness
    is what it measures.

    Attributes:
        data: the data set's folder or its data.yaml; the format is recognised by content.
        split: given (by patient), published (the data set's own folders, which may share patients: the run then says
            so) or val=train (spoilt on purpose).
        tasks: both, detection or view; one alone is a single-task control.
        dual: two separate networks, one for each task.
        size: n, s, m, l or x of YOLOv5.
        weights: a local .safetensors file, or a .pt with a plain state dict, to start from: backbone and neck, and each
            head that fits; what is taken and what is not is told and recorded. Empty starts from scratch.
        imgsz: pixels of the longer side of an image.
        view_head: what the view is read from: p3 (report 004's), p5, or pooled (all three levels).
        anchors: auto (fitted to the training boxes where those of COCO miss one in 50 or more) or coco.
        balance: static, gradnorm, uncertainty, dwa, famo, upgrad, pcgrad, cagrad, mgda, nash_mtl, imtl_g, aligned_mtl,
            or report004 (its rule and its classifier that was noise, spoilt on purpose).
        balance_alpha: of gradnorm and report004: how strongly a task that lags behind is pulled.
        balance_rate: learning rate of the weights (gradnorm), log variances (uncertainty) or logits (famo).
        detection_weight: of the detection loss: fixed (static), where gradnorm starts, or a factor of the loss that
            another balancer is given.
        view_weight: of the view's loss, alike; without it 0.05 where static weighs both tasks (YOLOv5's gains make the
            detection loss small: at 1 the view takes the network for itself), else 1.
        weight_decay: of weights alone, not of biases and normalisation; decoupled for adamw.
        momentum: of sgd (Nesterov's), or beta 1 of adam and adamw.
        warmup_epochs: the warm-up lasts as long as these epochs, and at least warmup_steps steps.
        warmup_bias_rate: YOLOv5's warm-up: biases begin at this rate and all else at 0; without it all climb alike.
        warmup_momentum: where the momentum begins the warm-up; without it it is constant.
        final_rate: where the linear schedule would be after its last epoch, as a share of learning_rate.
        flip: share of training images mirrored left to right.
        shift: largest shift of training images, as a share of the letterbox.
        zoom: largest change of their size: factors from 1 - zoom to 1 + zoom.
        light: largest change of their brightness, alike.
        ema_ramp: updates in which the average's decay grows to 0.63 of ema_decay; 0 is off.
        on_broken: error, or skip (listed and counted), for label lines and images that cannot be meant.
        geometry: what five numbers of a label line are: auto, polygon or mixed.
        group_pattern: regular expression for file names, with a group "patient"; empty takes
            ``<patient>-<series>.mp4-<frame>``.
    """

    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 5e-3
    channels_last: bool = True
    validate_every: int = 5
    clip_norm: float = 10.0
    control_steps: int = 240
    split: Literal["given", "published", "val=train"] = "given"
    tasks: Literal["both", "detection", "view"] = "both"
    dual: bool = False
    size: YoloSize = "n"
    weights: str = ""
    imgsz: int = 160
    view_head: Literal["p3", "p5", "pooled"] = "pooled"
    anchors: Literal["auto", "coco"] = "auto"
    balance: Balance = "static"
    balance_alpha: float = 1.5
    balance_rate: float = 0.025
    detection_weight: float = 1.0
    view_weight: float | None = None
    warmup_epochs: float = 0.0
    warmup_bias_rate: float | None = None
    warmup_momentum: float | None = None
    final_rate: float = 0.01
    flip: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    light: float = 0.0
    ema_ramp: float = 0.0
    on_broken: Literal["error", "skip"] = "error"
    geometry: Geometry = "auto"
    group_pattern: str = ""

    def __post_init__(self) -> None:
        if self.imgsz < 32 or self.imgsz % 32:
            found, below = str(self.imgsz), max(32, self.imgsz // 32 * 32)
            raise ConfigError(
                "imgsz does not fit the network's cells",
                expected="a multiple of 32",
                found=found,
                fix=f"--imgsz {below}",
            )
        for key in ("detection_weight", "view_weight"):
            weight = getattr(self, key)
            if weight is not None and not 0 < weight < math.inf:
                raise ConfigError(f"{key} is out of its range", expected="a number above 0", found=str(weight))
        self._refuse_idle_keys()
        self.image_changes()
        self.balancing()

    def _refuse_idle_keys(self) -> None:
        """A key that changes nothing beside the others must keep its default."""
        one = self.tasks != "both"
        idle = {
            "dual": one and self.dual,
            "balance": (one or self.dual) and self.balance != "static",
            "view_head": self.tasks == "detection" and self.view_head != JointRecipe.view_head,
            "view_weight": self.tasks == "detection" and self.view_weight is not None,
            "detection_weight": self.tasks == "view" and self.detection_weight != 1.0,
            "anchors": self.tasks == "view" and self.anchors != JointRecipe.anchors,
            "final_rate": self.schedule != "linear" and self.final_rate != JointRecipe.final_rate,
        }
        for key, found in idle.items():
            if found:
                beside = f"schedule {self.schedule}" if key == "final_rate" else f"tasks {self.tasks}"
                raise ConfigError(
                    f"{key} changes nothing here",
                    expected=f"{key} = {getattr(JointRecipe, key)} (its default) with {beside}"
                    + (", dual true" if self.dual and not one else ""),
                    found=f"{key} = {getattr(self, key)}",
                    fix="leave it out",
                )

    def image_changes(self) -> ImageChanges:
        """How training images are changed."""
        return ImageChanges(flip=self.flip, shift=self.shift, zoom=self.zoom, light=self.light)

    def balancing(self) -> BalanceOptions:
        """How the losses of the tasks become one update; refuses what the chosen balancer does not read."""
        asked = {"detection": self.detection_weight, "view": self.weight_of_view}
        weights = {name: weight for name, weight in asked.items() if self.weighs_tasks and weight != 1.0}
        return BalanceOptions(
            balance=self.balance, alpha=self.balance_alpha, weight_rate=self.balance_rate, weights=weights
        )

    @property
    def weight_of_view(self) -> float:
        """Of the view's loss: what was asked for, else what suits the balancer."""
        if self.view_weight is not None:
            return self.view_weight
        return STATIC_VIEW_WEIGHT if self.balance == "static" and self.tasks == "both" else 1.0

    @property
    def weighs_tasks(self) -> bool:
        """Whether the tasks' weights are the balancer's own, and not factors of the losses that it is given."""
        return self.balance in READ_BY["weights"]


QUICK: dict[str, dict[str, Any]] = {
    "anomaly": {
        "epochs": 8,
        "batch_size": 4,
        "learning_rate": 4e-3,
        "warmup_steps": 10,
        "control_steps": 432,
        "max_seconds": 43.5,
        "precision": "auto",
        "channels_last": True,
        "validate_every": 2,
        "blocks": 1,
        "threads": 1,
    },
    "joint": {"epochs": 8, "control_steps": 60},
    "contrastive": {"epochs": 12, "imgsz": 96, "control_steps": 60},
    "openvocab": {"epochs": 12, "imgsz": 128, "control_steps": 60},
}
"""What ``--quick`` sets before the recipe file and the command line have their say: as many steps as fit."""


def quick_keys(task: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """``QUICK``, but usual values for what the network that is ``asked`` for (a recipe's keys and values) has not."""
    if task != "anomaly":
        return QUICK[task]
    ours = asked["model"] == AnomalyRecipe.model and has_own_encoder(asked["fusion"], asked["image_tower"])
    return QUICK[task] if ours else QUICK[task] | {"blocks": AnomalyRecipe.blocks}


READS = {
    "anomaly": ("anovox",),
    "joint": ("echo",),
    "contrastive": ("dior", "coco"),
    "openvocab": ("dior", "coco"),
}
"""Task to the formats of data sets that it reads."""

RECIPES = {
    "anomaly": AnomalyRecipe,
    "joint": JointRecipe,
    "contrastive": ContrastiveRecipe,
    "openvocab": OpenVocabRecipe,
}

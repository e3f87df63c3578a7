"""The normal-only reference: memory banks of frozen features from normality scenarios, beside a supervised network."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from veritrain.data.frames import FrameSet, unit_images
from veritrain.data.held import FrameHead
from veritrain.errors import DataError
from veritrain.experiments.breakdown import broken_down, kind_families
from veritrain.experiments.data_folder import opening
from veritrain.experiments.driving_data import DrivingData, open_driving_data
from veritrain.experiments.evaluation import open_source, pixel_ids_of
from veritrain.experiments.trivial import TrivialBaselines
from veritrain.experiments.world_facts import sensors_needed
from veritrain.models.frozen_features import SHORT_SIDE, FrozenImageFeatures, FrozenViewFeatures
from veritrain.models.memory_bank import MemoryBank
from veritrain.models.options import FusionOptions
from veritrain.tasks.anomaly import AnomalyTask
from veritrain.tasks.options import AnomalyRecipe
from veritrain.tasks.task import Predictions, Task
from veritrain.training.evaluate import scores_with_intervals

NAME = "memory bank"
ABOUT = "PatchCore (Roth et al., CVPR 2022): saw normality scenarios and no label"
NORMAL = "normality"
"""The scenario type whose frames count as normal. It is a name of a folder; no label is read."""

POOL = 50_000
"""Patches of normal frames that a bank is chosen from, an equal share of each frame."""

SIGMA = 4.0
"""Pixels of smoothing of the pixel map at a short side of 224 (section 3.3)."""

BATCH = 8
BANKS = ("image", "points")


@dataclass(frozen=True, kw_only=True)
class Normal:
    """Training frames of normality scenarios: what the banks are made of, and what their scores are scaled by."""

    kept: Sequence[int]
    held_out: Sequence[int]
    groups_kept: int
    groups_held_out: int


def normal_frames(heads: Sequence[FrameHead]) -> Normal:
    """Scenarios of type normality by the digest of their names: three of four for the banks, the rest held out.

    Raises:
        DataError: fewer than two such scenarios.
    """
    names = {head.group for head in heads if head.kind == NORMAL}
    if len(names) < 2:
        raise DataError(
            "a memory bank is made of normal scenarios, and another one sets its scale",
            expected="at least 2 scenarios of type normality in the training split",
            found=f"{len(names)} among {len({head.group for head in heads})}",
            fix="add normality scenarios to the data set, or leave the memory bank out",
        )
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    aside = set(ranked[: -(-len(ranked) // 4)])
    return Normal(
        kept=[at for at, head in enumerate(heads) if head.group in names - aside],
        held_out=[at for at, head in enumerate(heads) if head.group in aside],
        groups_kept=len(names - aside),
        groups_held_out=len(aside),
    )


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Patch features of one frame: image (h, w, C) and points (R/2, A, D) with (R/2, A) bool, a return is there."""

    image: Tensor
    points: Tensor
    there: Tensor


class MemoryBankDetector:
    """Two memory banks, one of the image and one of the range view.

    Args:
        train: the training split; labels of it are never read. size: entries a bank. seed: of random weights and of
            the coreset. weights: a local file for the ResNet18 of the image; empty is random.

    Raises:
        DataError: fewer than two normality scenarios. ConfigError, CheckpointError: the file (``load_tower``).
    """

    def __init__(self, train: FrameSet, *, size: int, seed: int, weights: str = "") -> None:
        self.normal = normal_frames(train.heads)
        self.image_features = FrozenImageFeatures(seed=seed, weights=weights)
        self.view_features = FrozenViewFeatures(seed=seed + 1)
        plain = FrameSet(train.frames, train.views, hold="disk")  # no augmentation, no spoilt labels, nothing kept
        pools = self._pools(plain, seed)
        self.banks = {name: MemoryBank.fit(pool, size=size, seed=seed) for name, pool in zip(BANKS, pools, strict=True)}
        held_out = np.array([self._scored(one)[2] for _, one in self._patches(plain, self.normal.held_out)])
        self.centre, self.spread = held_out.mean(0), held_out.std(0, ddof=1)
        if not (self.spread > 0).all():
            raise DataError(
                "all held-out normal frames have one score, so that it has no scale",
                expected="at least two different normal frames",
                found=f"{len(held_out)} frames",
                fix="add normality scenarios to the data set",
            )

    def predict(self, frames: FrameSet) -> dict[str, NDArray[np.generic]]:
        """Distances as scores, of frames, returns, range-view cells and pixels, beside the labels of the set.

        The keys are those of ``AnomalyTask.predict``. Scores are distances (frames: in standard deviations of held-out
        normal frames), not probabilities. A cell without a return has 0.
        """
        rows: list[dict[str, Any]] = []
        for at, (sample, patches) in enumerate(self._patches(frames, range(len(frames)))):
            image, points, scores = self._scored(patches)
            view = points.repeat_interleave(2, dim=0).numpy() * (sample["view"][-1] > 0)
            rows.append(
                {
                    "index": at,
                    "frame_scores": ((scores - self.centre) / self.spread).max(),
                    "frame_labels": sample["frame_label"],
                    "view_scores": view,
                    "view_labels": sample["view_labels"],
                    "point_scores": view.reshape(-1)[sample["point_cells"]],
                    "point_labels": sample["point_labels"],
                    "point_ids": sample["point_ids"],
                    "point_cells": sample["point_cells"],
                    "point_counts": len(sample["point_cells"]),
                    "pixel_scores": _pixel_map(image, sample["pixel_labels"].shape),
                    "pixel_labels": sample["pixel_labels"],
                }
            )
        return {key: _joined(key, [row[key] for row in rows]) for key in rows[0]}

    def _pools(self, train: FrameSet, seed: int) -> tuple[Tensor, Tensor]:
        """(N, C) and (N, D): at most :data:`POOL` patches each, drawn evenly from the normal frames."""
        share = -(-POOL // len(self.normal.kept))
        pools: tuple[list[Tensor], list[Tensor]] = ([], [])
        for number, (_, one) in enumerate(self._patches(train, self.normal.kept)):
            rng = np.random.default_rng([seed, number])
            for pool, found in zip(pools, (one.image.flatten(0, 1), one.points[one.there]), strict=True):
                drawn = rng.permutation(len(found))[:share]
                pool.append(found[torch.from_numpy(np.sort(drawn))])
        return torch.cat(pools[0])[:POOL], torch.cat(pools[1])[:POOL]

    def _patches(self, frames: FrameSet, indices: Sequence[int]) -> Iterator[tuple[dict[str, Any], Patches]]:
        """The arrays of each sample, and its patches: made from image and range view alone."""
        for start in range(0, len(indices), BATCH):
            samples = [frames.sample(at, epoch=0, seed=0) for at in indices[start : start + BATCH]]
            image = torch.from_numpy(np.stack([sample["image"] for sample in samples]))
            view = torch.from_numpy(np.stack([sample["view"] for sample in samples]))
            images = self.image_features(unit_images(image)).permute(0, 2, 3, 1)
            points, there = self.view_features(view)
            for sample, *parts in zip(samples, images, points.permute(0, 2, 3, 1), there, strict=True):
                yield sample, Patches(image=parts[0], points=parts[1], there=parts[2])

    def _scored(self, one: Patches) -> tuple[Tensor, Tensor, NDArray[np.float64]]:
        """(h, w) and (R/2, A) distances, 0 where there is no return, and the two reweighted frame scores (2,)."""
        points = torch.zeros(one.there.shape)
        scores = []
        flat = {"image": one.image.flatten(0, 1), "points": one.points[one.there]}
        found = {}
        for name in BANKS:
            patches = self.banks[name].standardised(flat[name])
            found[name], index = self.banks[name].nearest(patches)
            scores.append(self.banks[name].frame_score(patches, found[name], index))
        points[one.there] = found["points"]
        return found["image"].reshape(one.image.shape[:2]), points, np.array(scores)


def _pixel_map(distances: Tensor, size: tuple[int, int]) -> NDArray[np.float16]:
    """(h, w) -> (H, W): enlarged and smoothed (section 3.3)."""
    large = F.interpolate(distances[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
    return np.asarray(gaussian_filter(large.numpy(), SIGMA * min(size) / SHORT_SIDE)).astype(np.float16)


RAGGED = ("point_scores", "point_labels", "point_ids", "point_cells")
TYPES = {"frame_scores": np.float32, "frame_labels": np.int8, "point_labels": np.int8, "view_scores": np.float32}
TYPES |= {"point_scores": np.float32, "point_ids": np.int32, "point_cells": np.int32}


def _joined(key: str, parts: list[Any]) -> NDArray[np.generic]:
    joined = np.concatenate(parts) if key in RAGGED else np.stack(parts)
    return joined.astype(TYPES[key]) if key in TYPES else joined


def demand_reference(recipe: AnomalyRecipe, data: DrivingData) -> None:
    """Before hours of training: can the reference that the recipe asks for be made?

    Raises:
        DataError: fewer than two normality scenarios. ConfigError, CheckpointError: its weight file.
    """
    if recipe.reference != "none":
        normal_frames(data.sets["train"].heads)
        FrozenImageFeatures(seed=recipe.seed, weights=recipe.reference_weights)


def reference_results(
    recipe: AnomalyRecipe,
    data: DrivingData,
    task: Task,
    trivial: TrivialBaselines,
    model: Predictions | None = None,
) -> dict[str, Any] | None:
    """``reference`` of results.json: name to metrics, kinds and what it is made of; None where none is asked for.

    Args:
        model: a network's predictions over test; with them ``model_gain`` says by how much it is better.
    """
    if recipe.reference == "none":
        return None
    started = time.monotonic()
    detector = MemoryBankDetector(
        data.sets["train"], size=recipe.reference_size, seed=recipe.seed, weights=recipe.reference_weights
    )
    fitted = time.monotonic()
    test = data.sets["test"]
    own: dict[str, NDArray[np.generic]] = detector.predict(test)
    predicted = time.monotonic()
    ids = pixel_ids_of(open_source(recipe), data.keys["test"], test.frames[0].image.shape[:2])
    own |= {} if ids is None else {"pixel_ids": ids}
    groups, baselines = data.test_groups, trivial.predict("test", own)
    kinds = kind_families(data.keys["test"], own, sensors_needed(recipe.data))
    entry = {
        "about": ABOUT,
        "metrics": scores_with_intervals(task, own, baselines, groups),
        "by_kind": broken_down(kinds, own, baselines, groups),
        "model_gain": None if model is None else _gain(task, model, own, groups),
        **_made_of(detector),
        "seconds": {"fit": fitted - started, "predict": predicted - fitted},
    }
    return {NAME: entry}


def _made_of(detector: MemoryBankDetector) -> dict[str, Any]:
    extractors = {"image": detector.image_features, "points": detector.view_features}
    return {
        "banks": {
            name: {
                "features": extractors[name].source,
                "channels": bank.entries.shape[1],
                "entries": len(bank.entries),
                "chosen_from": bank.pool,
                "parameters": sum(p.numel() for p in extractors[name].parameters()),
            }
            for name, bank in detector.banks.items()
        },
        "trainable": 0,
        "normal": {
            "scenarios": detector.normal.groups_kept,
            "frames": len(detector.normal.kept),
            "scenarios_held_out": detector.normal.groups_held_out,
            "frames_held_out": len(detector.normal.held_out),
        },
    }


def _gain(task: Task, model: Predictions, own: Predictions, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Metric to what the model has more (FPR95: less), with the interval over groups, paired by resample.

    Levels whose elements differ are left out: a network that scores a part of the returns.
    """
    if "point_rows" in model:
        own = {key: value for key, value in own.items() if not key.startswith("point_")}
    metrics = scores_with_intervals(task, model, {NAME: own}, groups)
    return {
        name: {
            "value": (entry["value"] - entry["baseline"]) * (-1 if name.endswith("fpr95") else 1),
            "ci95": entry["gain_ci95"],
        }
        for name, entry in metrics.items()
        if entry["baseline"] is not None and entry["value"] is not None
    }


def alone(recipe: AnomalyRecipe) -> tuple[dict[str, Any], dict[str, Any]]:
    """``schema``, ``task``, ``made_data`` and ``reference`` as in results.json, and the data card; nothing is trained.

    Raises:
        DataError, ConfigError, CheckpointError: see :class:`MemoryBankDetector`.
    """
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    with opening(recipe):
        data = open_driving_data(recipe)
    demand_reference(recipe, data)
    # Scores and chance of a task need no network of it.
    task = AnomalyTask(
        network=FusionOptions(fusion=recipe.fusion, width=recipe.width),
        loss=recipe.loss,
        pos_weights={},
        term_weights={},
    )
    reference = reference_results(recipe, data, task, TrivialBaselines(data))
    return {
        "schema": 1,
        "task": task.name,
        "made_data": data.card["made_data"],
        "reference": reference,
    }, dict(data.card)

"""Is something in this street that should not be there? Per frame, per return and per pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from veritrain.data.view_extras import scores_of_returns
from veritrain.losses.binary import LOSSES, mean_where_labelled
from veritrain.metrics.ranking import chance_ap, chance_auroc, chance_fpr95, ranking_scores
from veritrain.models.fusion import FusionDetector
from veritrain.models.options import FusionOptions
from veritrain.models.voxel_head import voxel_labels
from veritrain.record import Claim
from veritrain.tasks.task import Batch, Predictions, Scores

LEVELS = {"frame": "frame_label", "point": "view_labels", "pixel": "pixel_labels"}
"""Label level to the batch key of its labels; the output's key is the level's name."""

SCORED = ("frame", "point", "pixel")


@dataclass(frozen=True, kw_only=True)
class AnomalyTask:
    """Image + LiDAR anomaly detection: frame, point and pixel scores from one fusion network.

    Attributes:
        network: the shape of the network.
        loss: a name of ``losses.binary.LOSSES``.
        pos_weights: level to negatives / positives of the training split, set once.
        term_weights: level to its weight in the total.
    """

    network: FusionOptions
    loss: str
    pos_weights: Mapping[str, float]
    term_weights: Mapping[str, float]
    name: str = "anomaly"
    claims: tuple[Claim, ...] = (
        Claim(metric="frame_auroc", split="test", minimal_effect=0.05),
        Claim(metric="point_ap", split="test", minimal_effect=0.02),
    )

    def model(self) -> nn.Module:
        return FusionDetector(self.network)

    def losses(self, output: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Level to (B,) mean loss in nats over the labelled elements of each sample."""
        loss = LOSSES[self.loss]
        terms = {}
        for level in self.term_weights:
            if level in output:
                labels = labels_of(batch, level).to(output[level].dtype)
                per_element = loss(output[level], labels.clamp(min=0), self.pos_weights[level])
                terms[level] = mean_where_labelled(per_element, labels.reshape(per_element.shape))
        return terms

    def term_counts(self, batch: Batch) -> dict[str, Tensor]:
        """Level to (B,) 1 where the sample has a label of that level, else 0."""
        size = len(batch["index"])
        return {level: (labels_of(batch, level) >= 0).reshape(size, -1).any(1) for level in self.term_weights}

    def predict(self, output: Mapping[str, Tensor], batch: Batch) -> Predictions:
        """Scores in [0, 1] beside their labels; points and pixels flat, with ``point_counts`` per frame."""
        grid = output["point"].float().sigmoid().flatten(1).cpu().numpy()
        cells = [part.cpu().numpy() for part in batch["point_cells"]]
        returns = [row[at] for row, at in zip(grid, cells, strict=True)]
        if "returns" in output:
            own = output["returns"].float().sigmoid().cpu()
            places = zip(own, batch["returns_at"], returns, strict=True)
            returns = [scores_of_returns(one, at.cpu(), torch.from_numpy(by)).numpy() for one, at, by in places]
        predictions = {
            "index": batch["index"].cpu().numpy(),
            "frame_scores": output["frame"].float().sigmoid().cpu().numpy(),
            "frame_labels": batch["frame_label"].cpu().numpy().astype(np.int8),
            "view_scores": grid.reshape(batch["view_labels"].shape),
            "view_labels": batch["view_labels"].cpu().numpy(),
            "point_scores": np.concatenate(returns),
            "point_labels": np.concatenate([part.cpu().numpy() for part in batch["point_labels"]]).astype(np.int8),
            "point_ids": np.concatenate([part.cpu().numpy() for part in batch["point_ids"]]).astype(np.int32),
            "point_counts": np.array([len(at) for at in cells]),
            "point_cells": np.concatenate(cells).astype(np.int32),
        }
        if "pixel" in output:
            predictions["pixel_scores"] = output["pixel"].float().sigmoid().cpu().numpy().astype(np.float16)
            predictions["pixel_labels"] = batch["pixel_labels"].cpu().numpy()
        return predictions

    def score(self, predictions: Predictions) -> Scores:
        """AUROC, AP and FPR95 per level over everything labelled."""
        scores: dict[str, float | None] = {}
        for level in SCORED:
            if f"{level}_scores" in predictions:
                values, labels = labelled(predictions, level)
                found = ranking_scores(values, labels)
                scores |= {f"{level}_auroc": found.auroc, f"{level}_ap": found.ap, f"{level}_fpr95": found.fpr95}
        return scores

    def chance(self, predictions: Predictions) -> Scores:
        chance: dict[str, float | None] = {}
        for level in SCORED:
            if f"{level}_labels" in predictions:
                _, labels = labelled(predictions, level)
                positives = int(labels.sum())
                chance[f"{level}_auroc"] = chance_auroc()
                chance[f"{level}_ap"] = chance_ap(len(labels), positives)
                chance[f"{level}_fpr95"] = chance_fpr95(positives)
        return chance


def labels_of(batch: Batch, level: str) -> Tensor:
    """The labels of one level; of voxels, from the range-view cells in them."""
    return voxel_labels(batch["view"], batch["view_labels"]) if level == "voxel" else batch[LEVELS[level]]


def labelled(predictions: Predictions, level: str) -> tuple[np.ndarray, np.ndarray]:
    """Flat float32 scores and 0/1 labels of one level, unknown ones left out."""
    labels = np.asarray(predictions[f"{level}_labels"]).reshape(-1)
    scores = np.asarray(predictions[f"{level}_scores"]).reshape(-1)
    known = labels >= 0
    return scores[known].astype(np.float32), labels[known]

"""Is something in this street that should not be there? Per frame, per return and per pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from veritrain import catalog
from veritrain.data.sample import UNKNOWN
from veritrain.data.view_extras import scores_of_returns
from veritrain.losses.binary import LOSSES, mean_where_labelled
from veritrain.metrics.ranking import chance_ap, chance_auroc, chance_fpr95, ranking_scores
from veritrain.models.options import FusionOptions
from veritrain.models.origin_facts import ORIGIN, answered_levels
from veritrain.models.voxel_head import voxel_labels
from veritrain.record import Claim
from veritrain.tasks.levels import is_scored, labels_at, levels_of, scores_at
from veritrain.tasks.ranking_tables import RankingTables
from veritrain.tasks.task import Batch, KnownAnswers, Predictions, Scores

LEVELS = {"frame": "frame_label", "point": "view_labels", "pixel": "pixel_labels"}
"""Label level to the batch key of its labels; the output's key is the level's name."""

CLOUD_LABELS = "cloud_labels"
"""Where the labels of returns stand for a network of the reports, which reads a cloud and no range view."""

CLAIMS = (
    Claim(metric="frame_auroc", split="test", minimal_effect=0.05),
    Claim(metric="point_ap", split="test", minimal_effect=0.02),
)


def network_of(name: str, fusion: FusionOptions) -> nn.Module:
    """A fresh network by its name in the catalogue; ``fusion`` is the shape of the one that has options."""
    network = catalog.resolve("models", name)
    made: nn.Module = network() if name in ORIGIN else network(fusion)
    return made


def label_keys_of(model: str) -> dict[str, str]:
    """Label level to the batch key of its labels, for the levels that a network of this name can be trained on."""
    if model not in ORIGIN:
        return dict(LEVELS)
    return {level: CLOUD_LABELS if level == "point" else LEVELS[level] for level in answered_levels(model, "")}


def claims_of(model: str) -> tuple[Claim, ...]:
    """The claims on the levels that the network is trained on, the headline first."""
    levels = label_keys_of(model)
    return tuple(claim for claim in CLAIMS if claim.metric.split("_")[0] in levels)


@dataclass(frozen=True, kw_only=True)
class AnomalyTask:
    """Image + LiDAR anomaly detection: frame, point and pixel scores from one network.

    A network of the reports gives fewer: a score of the frame, or one of each return that it was given.

    Attributes:
        network: the shape of the fusion detector.
        loss: a name of ``losses.binary.LOSSES``.
        pos_weights: level to negatives / positives of the training split, set once.
        term_weights: level to its weight in the total.
    """

    network: FusionOptions
    loss: str
    pos_weights: Mapping[str, float]
    term_weights: Mapping[str, float]
    name: str = "anomaly"
    claims: tuple[Claim, ...] = CLAIMS
    model_name: str = "fusion"

    def model(self) -> nn.Module:
        return network_of(self.model_name, self.network)

    def losses(self, output: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Level to (B,) mean loss in nats over the labelled elements of each sample."""
        loss = LOSSES[self.loss]
        terms: dict[str, Tensor] = {}
        for level in self.term_weights:
            if level in output:
                labels = self._labels(batch, level).to(output[level].dtype)
                per_element = loss(output[level], labels.clamp(min=0), self.pos_weights[level])
                terms[level] = mean_where_labelled(per_element, labels.reshape(per_element.shape))
        return terms

    def term_counts(self, batch: Batch) -> dict[str, Tensor]:
        """Level to (B,) 1 where the sample has a label of that level, else 0."""
        size = len(batch["index"])
        return {level: (self._labels(batch, level) >= 0).reshape(size, -1).any(1) for level in self.term_weights}

    def _labels(self, batch: Batch, level: str) -> Tensor:
        """The labels of one level; of voxels, from the range-view cells in them."""
        if level == "voxel":
            return voxel_labels(batch["view"], batch["view_labels"])
        labels: Tensor = batch[label_keys_of(self.model_name)[level]]
        return labels

    def predict(self, output: Mapping[str, Tensor], batch: Batch) -> Predictions:
        """Scores in [0, 1] beside their labels; points and pixels flat, with ``point_counts`` per frame.

        What the network does not answer is not among them. A network that reads a part of the returns has scores of
        that part: ``point_rows`` says which returns of each frame, ``point_of`` how many the frame has.
        """
        predictions = {
            "index": batch["index"].cpu().numpy(),
            "frame_scores": output["frame"].float().sigmoid().cpu().numpy(),
            "frame_labels": batch["frame_label"].cpu().numpy().astype(np.int8),
        }
        if "point" in output:
            predictions |= (_scores_of_cloud if self.model_name in ORIGIN else _scores_of_view)(output, batch)
        if "pixel" in output:
            predictions["pixel_scores"] = output["pixel"].float().sigmoid().cpu().numpy().astype(np.float16)
            predictions["pixel_labels"] = batch["pixel_labels"].cpu().numpy()
        return predictions

    def score(self, predictions: Predictions) -> Scores:
        """AUROC, AP and FPR95 per level (``tasks.levels``) over everything labelled."""
        scores: dict[str, float | None] = {}
        for level in levels_of(predictions):
            if is_scored(predictions, level):
                values, labels = labelled(predictions, level)
                found = ranking_scores(values, labels)
                scores |= {f"{level}_auroc": found.auroc, f"{level}_ap": found.ap, f"{level}_fpr95": found.fpr95}
        return scores

    def chance(self, predictions: Predictions) -> Scores:
        chance: dict[str, float | None] = {}
        for level in levels_of(predictions):
            labels = labels_at(predictions, level)
            n, positives = int((labels >= 0).sum()), int((labels == 1).sum())
            chance[f"{level}_auroc"] = chance_auroc()
            chance[f"{level}_ap"] = chance_ap(n, positives)
            chance[f"{level}_fpr95"] = chance_fpr95(positives)
        return chance

    def tables(self, predictions: Predictions, groups: Sequence[str]) -> RankingTables:
        return RankingTables(predictions, groups)

    def known_answers(self, predictions: Predictions, metric: str) -> KnownAnswers:
        level = metric.split("_")[0]
        labels = np.asarray(predictions[f"{level}_labels"])
        small = {key: value for key, value in predictions.items() if key.startswith((level, "index"))}
        truth = (labels == 1).astype(np.float32)

        def answer(scores: np.ndarray) -> Predictions:
            return {**small, f"{level}_scores": scores}

        return KnownAnswers(
            perfect=answer(truth),
            inverted=answer(1 - truth),
            constant=answer(np.zeros_like(truth)),
            random=lambda seed: answer(np.random.default_rng(seed).random(labels.shape, dtype=np.float32)),
            about={"prevalence": float(truth[labels >= 0].mean())},
        )

    @property
    def sample_kinds(self) -> tuple[float, ...]:
        """Anomalous and normal frames."""
        return (1.0, 0.0)

    def kind_of(self, sample: Batch) -> float:
        return float(sample["frame_label"])


def _scores_of_view(output: Mapping[str, Tensor], batch: Batch) -> dict[str, np.ndarray]:
    """Every return has the score of its cell, or its own where the network gives ``returns``; logits (B, R, A)."""
    grid = output["point"].float().sigmoid().flatten(1).cpu().numpy()
    cells = [part.cpu().numpy() for part in batch["point_cells"]]
    scores = [row[at] for row, at in zip(grid, cells, strict=True)]
    if "returns" in output:
        own = output["returns"].float().sigmoid().cpu()
        places = zip(own, batch["returns_at"], scores, strict=True)
        scores = [scores_of_returns(one, at.cpu(), torch.from_numpy(by)).numpy() for one, at, by in places]
    return {
        "view_scores": grid.reshape(batch["view_labels"].shape),
        "view_labels": batch["view_labels"].cpu().numpy(),
        "point_scores": np.concatenate(scores),
        "point_labels": np.concatenate([part.cpu().numpy() for part in batch["point_labels"]]).astype(np.int8),
        "point_ids": np.concatenate([part.cpu().numpy() for part in batch["point_ids"]]).astype(np.int32),
        "point_counts": np.array([len(at) for at in cells]),
        "point_cells": np.concatenate(cells).astype(np.int32),
    }


def _scores_of_cloud(output: Mapping[str, Tensor], batch: Batch) -> dict[str, np.ndarray]:
    """The returns of the cloud alone have scores; a cell of the view has the highest of its own; logits (B, P)."""
    shape = tuple(batch["view_labels"].shape)
    view_scores = np.zeros((shape[0], shape[1] * shape[2]), np.float32)
    view_labels = np.full(view_scores.shape, UNKNOWN, np.int8)
    scores = output["point"].float().sigmoid().cpu().numpy()
    index, labels = batch["cloud_index"].cpu().numpy(), batch[CLOUD_LABELS].cpu().numpy()
    parts: dict[str, list[np.ndarray]] = {key: [] for key in ("scores", "labels", "ids", "cells", "rows")}
    for k, (rows, own) in enumerate(zip(index, index >= 0, strict=True)):
        at = rows[own]
        cells = batch["point_cells"][k].cpu().numpy()[at]
        np.maximum.at(view_scores[k], cells, scores[k][own])
        np.maximum.at(view_labels[k], cells, labels[k][own])
        found = (scores[k][own], labels[k][own], batch["point_ids"][k].cpu().numpy()[at], cells, at)
        for key, values in zip(parts, found, strict=True):
            parts[key].append(values)
    flat = {f"point_{key}": np.concatenate(values) for key, values in parts.items()}
    return {
        **flat,
        **{f"point_{key}": flat[f"point_{key}"].astype(np.int32) for key in ("ids", "cells", "rows")},
        "view_scores": view_scores.reshape(shape),
        "view_labels": view_labels.reshape(shape),
        "point_counts": (index >= 0).sum(1),
        "point_of": np.array([len(cells) for cells in batch["point_cells"]]),
    }


def flip_labels(batch: Batch) -> Batch:
    """Every known label exchanged; what is unknown stays so."""
    flipped = dict(batch)
    for key in {*LEVELS.values(), CLOUD_LABELS} & set(batch):
        labels = batch[key]
        flipped[key] = torch.where(labels >= 0, 1 - labels, labels)
    return flipped


def returns_scored(predictions: Predictions) -> dict[str, int] | None:
    """How many returns have a score, of how many; None for a network that scores all or none."""
    if "point_of" not in predictions:
        return None
    return {"scored": int(predictions["point_counts"].sum()), "of": int(predictions["point_of"].sum())}


def labelled(predictions: Predictions, level: str) -> tuple[np.ndarray, np.ndarray]:
    """Flat float32 scores and 0/1 labels of one level, unknown ones left out."""
    labels = labels_at(predictions, level)
    known = labels >= 0
    return scores_at(predictions, level)[known].astype(np.float32), labels[known]

"""Which valve leaks where in this frame, and which view is it? Boxes and a class of the image, from one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.data.sample import UNKNOWN
from veritrain.losses.report004 import noise_instead_of
from veritrain.losses.yolo import scaled_gains, terms
from veritrain.models.nms import suppress
from veritrain.models.options import STRIDES, Anchors, YoloOptions
from veritrain.models.yolo import LEVELS
from veritrain.models.yolo_decode import decode_level
from veritrain.models.yolo_start import WeightFile
from veritrain.models.yolo_view import yolo_of
from veritrain.record import Claim
from veritrain.tasks.box_predictions import found_in_batch, truths_of_batch
from veritrain.tasks.box_tables import BoxTables, known_box_answers
from veritrain.tasks.class_tables import ClassTables, known_class_answers
from veritrain.tasks.tables import JoinedTables, ScoreTables
from veritrain.tasks.task import Batch, KnownAnswers, Predictions, Scores

BOXES = Claim(metric="map_50", split="test", minimal_effect=0.05)
VIEW = Claim(metric="view_macro_f1", split="test", minimal_effect=0.05)
BOX_TERMS = ("box", "obj", "cls")
VIEW_TERM = "view"
NOTHING_CALLED = 2.0
"""The threshold where no box of validation hits anything: no score reaches it, recall and F1 are 0."""


def claims_of(network: YoloOptions) -> tuple[Claim, ...]:
    """The claims that a network can be made for, the headline first: boxes before the view."""
    return (BOXES,) * network.detects + (VIEW,) * network.sees_view


def term_weights_of(network: YoloOptions, image_size: int, *, detection: float, view: float) -> dict[str, float]:
    """Loss term to its weight: YOLOv5's gains for this image size and number of classes, times that of the task.

    Args:
        image_size: pixels of the longer side. detection, view: weights of the tasks.
    """
    gains = scaled_gains(image_size, network.classes) if network.detects else {}
    weights = {name: detection * gain for name, gain in gains.items()}
    return {**weights, **({VIEW_TERM: view} if network.sees_view else {})}


@dataclass(frozen=True, kw_only=True)
class JointTask:
    """Leaking valves as boxes and the view of the frame, from one network; or either alone.

    Attributes:
        network: the shape of the YOLOv5 network.
        class_names, view_names: in the order of the numbers in the labels.
        term_weights: of box, obj, cls and view, in the total.
        threshold: the score from which on boxes are called, chosen on validation; None: no precision, recall and F1.
        noise: the view is random numbers (report 004's classifier, spoilt on purpose).
        weights: the file that fresh networks start from; None: from scratch.
        name: the word after ``veritrain train``.
    """

    network: YoloOptions
    class_names: tuple[str, ...]
    view_names: tuple[str, ...]
    term_weights: Mapping[str, float]
    threshold: float | None = None
    noise: bool = False
    weights: WeightFile | None = None
    name: str = "joint"

    @property
    def claims(self) -> tuple[Claim, ...]:
        return claims_of(self.network)

    @property
    def term_groups(self) -> dict[str, tuple[str, ...]]:
        """What is balanced against what."""
        groups = {"detection": BOX_TERMS} if self.network.detects else {}
        return {**groups, **({"view": (VIEW_TERM,)} if self.network.sees_view else {})}

    def model(self) -> nn.Module:
        """A fresh network; with ``weights``, what fits of the file is in it.

        Raises:
            ConfigError, CheckpointError: the file has gone, changed, or is of another network.
        """
        network = yolo_of(self.network)
        if self.weights is not None:
            self.weights.start(network)
        if self.noise:
            noise_instead_of(network, VIEW_TERM)
        return network

    def from_scratch(self) -> JointTask:
        """The same task on networks that start from no file."""
        return replace(self, weights=None)

    def losses(self, output: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """YOLOv5's box, objectness and class losses, and the cross-entropy of the view in nats; (B,) each, no gains."""
        found: dict[str, Tensor] = {}
        if self.network.detects:
            anchors = anchors_in_cells(self.network.anchors, output[LEVELS[0]].device)
            found |= terms(output, batch["targets"], anchors)
        if self.network.sees_view:
            known = batch["view"] != UNKNOWN
            answers = F.cross_entropy(output["view"].float(), batch["view"].clamp(min=0), reduction="none")
            found[VIEW_TERM] = answers * known
        return found

    def term_counts(self, batch: Batch) -> dict[str, Tensor]:
        """(B,) 1 where the view is known, else 0; boxes count in every image, empty ones too."""
        return {VIEW_TERM: batch["view"] != UNKNOWN} if self.network.sees_view else {}

    def constant_losses(self, batches: Sequence[Batch]) -> dict[str, float]:
        """The best that a constant view can do on these batches: the entropy of the view's shares, in nats; a mean
        over all images, those without a known view among them."""
        if not self.network.sees_view:
            return {}
        labels = torch.cat([batch["view"].cpu() for batch in batches])
        counts = torch.bincount(labels[labels != UNKNOWN], minlength=len(self.view_names)).double()
        shares = counts / counts.sum().clamp(min=1)
        entropy = -(shares * shares.clamp(min=1e-12).log()).sum()
        return {VIEW_TERM: float(entropy * counts.sum() / max(len(labels), 1))}

    def predict(self, output: Mapping[str, Tensor], batch: Batch) -> Predictions:
        """Boxes after non-maximum suppression, in pixels of the stored image, beside the labelled ones
        (``tasks.box_tables``), and ``view_probabilities`` (N, V), ``view_labels`` (N,), ``valves`` (N, C) bool."""
        found = dict(truths_of_batch(batch))
        if self.network.detects:
            found |= found_in_batch(suppress(self._decoded(output)), batch)
        if self.network.sees_view:
            valves = np.zeros((len(batch["placed"]), len(self.class_names)), bool)
            valves[batch["targets"][:, 0].long().cpu().numpy(), batch["targets"][:, 1].long().cpu().numpy()] = True
            found |= {
                "view_probabilities": output["view"].float().softmax(1).cpu().double().numpy(),
                "view_labels": batch["view"].cpu().numpy(),
                "valves": valves,
            }
        return found

    def _decoded(self, output: Mapping[str, Tensor]) -> Tensor:
        anchors = anchors_in_cells(self.network.anchors, output[LEVELS[0]].device)
        levels = zip(LEVELS, anchors, STRIDES, strict=True)
        return torch.cat([decode_level(output[name], pairs, stride) for name, pairs, stride in levels], 1)

    def score(self, predictions: Predictions) -> Scores:
        """Mean average precision of the boxes, rates at the threshold, and the scores of the view."""
        tables = self.tables(predictions, ["all"] * len(predictions["index"]))
        return {metric: tables.value(metric) for metric in tables.metrics}

    def chance(self, predictions: Predictions) -> Scores:
        tables = self.tables(predictions, ["all"] * len(predictions["index"]))
        return {metric: tables.chance(metric) for metric in tables.metrics}

    def tables(self, predictions: Predictions, groups: Sequence[str]) -> ScoreTables:
        """Of what the predictions hold: boxes, the view, or both."""
        parts: list[ScoreTables] = []
        if "box_counts" in predictions:
            parts.append(self.box_tables(predictions, groups))
        if "view_probabilities" in predictions:
            parts.append(self.view_tables(predictions, groups))
        return parts[0] if len(parts) == 1 else JoinedTables(*parts)

    def box_tables(self, predictions: Predictions, groups: Sequence[str]) -> BoxTables:
        return BoxTables.of(predictions, groups, self.class_names, threshold=self.threshold)

    def view_tables(self, predictions: Predictions, groups: Sequence[str]) -> ClassTables:
        """``view_answers_given`` (N, C) among the predictions are answers that depend on the valve: a rule's."""
        return ClassTables(
            predictions["view_probabilities"],
            predictions["view_labels"],
            groups,
            prefix="view",
            given=predictions["valves"],
            given_names=self.class_names,
            what="valve",
            given_answers=predictions.get("view_answers_given"),
        )

    def known_answers(self, predictions: Predictions, metric: str) -> KnownAnswers:
        if not metric.startswith("view_"):
            return known_box_answers(predictions)
        answers = known_class_answers(predictions["view_labels"], len(self.view_names))

        def answer(probabilities: np.ndarray) -> Predictions:
            return {**predictions, "view_probabilities": probabilities}

        return KnownAnswers(
            perfect=answer(answers["perfect"]),
            inverted=answer(answers["inverted"]),
            constant=answer(answers["constant"]),
            random=lambda seed: answer(answers["random"](seed)),
        )

    @property
    def sample_kinds(self) -> tuple[float, ...]:
        """The valves; the views where there is no detector."""
        return tuple(
            float(number) for number in range(len(self.class_names if self.network.detects else self.view_names))
        )

    def kind_of(self, sample: Batch) -> float:
        if not self.network.detects:
            return float(sample["view"])
        return float(sample["classes"][0]) if len(sample["classes"]) else -1.0


@cache
def anchors_in_cells(anchors: Anchors, device: torch.device) -> Tensor:
    """(3, A, 2) float32 in cells of their level, as ``models.yolo.Detect`` has them."""
    strides = torch.tensor(STRIDES, dtype=torch.float32).view(-1, 1, 1)
    return (torch.tensor(anchors, dtype=torch.float32) / strides).to(device)


def flip_labels(batch: Batch, *, classes: int, views: int) -> Batch:
    """Every known label exchanged: each box has the next class and lies elsewhere, each image has the next view."""
    targets = batch["targets"].clone()
    targets[:, 1] = (targets[:, 1] + 1) % classes
    # Half an image away, across and down; centres stay within the image.
    targets[:, 2:4] = (targets[:, 2:4] + 0.5) % 1.0
    view = batch["view"]
    return {**batch, "targets": targets, "view": torch.where(view != UNKNOWN, (view + 1) % max(views, 1), view)}

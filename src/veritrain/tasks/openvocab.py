"""What lies where on this image from above, among classes that are given in words? Learned ones, and novel ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from veritrain.data.open_vocabulary import Asked
from veritrain.losses.set_detection import WEIGHTS, ClassLoss, detection_terms
from veritrain.models.detr import Detector
from veritrain.models.detr_answers import detections
from veritrain.models.named_detector import NamedDetector
from veritrain.models.options import DetectorOptions
from veritrain.models.temperature import START
from veritrain.models.tower import ImageTower
from veritrain.record import Claim
from veritrain.tasks.box_predictions import found_in_batch, truths_of_batch
from veritrain.tasks.box_tables import known_box_answers
from veritrain.tasks.openvocab_tables import VocabularyTables
from veritrain.tasks.openvocab_words import Words
from veritrain.tasks.task import Batch, KnownAnswers, Predictions, Scores

BASE = Claim(metric="base_map_50", split="test", minimal_effect=0.05)
"""The headline: classes that were learned, on new scenes, among all classes that are asked for."""
NOVEL = Claim(metric="novel_map_50", split="test", minimal_effect=0.02)
"""Classes that were not learned, asked for by name beside the others."""
NOTHING_CALLED = 2.0
"""The threshold where no box of validation hits anything: no score reaches it."""
KINDS = 4
"""Kinds of samples that a small batch holds in equal parts: by the class of the first object, dealt into so many."""


@dataclass(frozen=True, kw_only=True)
class OpenVocabTask:
    """Boxes of the classes that words name, from an image tower and the embeddings of the words.

    Attributes:
        options: the shape of the detector.
        words: class names, and the words of the controls.
        texts: (W, D) embeddings of ``words.vocabulary``, row by row.
        tower: a fresh image tower, with the numbers that a run starts from.
        tower_scale: what the towers multiply cosines by.
        term_weights: of cls, l1, giou and contrast, in the total.
        class_loss: varifocal or focal.
        max_detections: of one image and class that are scored.
        threshold: the score from which on boxes are called, chosen on validation; None: no precision, recall and F1.
        asked: the vocabulary whose places the class numbers of predictions are.
        further: whether sizes, ``map_75`` and ``recall_100`` are scored too, as results want them and no control does.
        name: the word after ``veritrain train``.
    """

    options: DetectorOptions
    words: Words
    texts: Tensor = field(compare=False, repr=False)
    tower: Callable[[], ImageTower] = field(compare=False, repr=False)
    tower_scale: float = 1 / START
    term_weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    class_loss: ClassLoss = "varifocal"
    max_detections: int = 100
    threshold: float | None = None
    asked: Asked = "all"
    further: bool = False
    name: str = "openvocab"

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (BASE, NOVEL)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the vocabulary that is asked for, in the order of the class numbers."""
        return {"base": self.words.base, "novel": self.words.novel, "all": self.words.names}[self.asked]

    def model(self) -> nn.Module:
        """A fresh detector on the tower that the run starts from."""
        detector = Detector(self.tower(), self.options, scale=self.tower_scale)
        return NamedDetector(detector, self.texts, learned=self.words.rows("base"))

    def losses(self, output: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """``cls``, ``l1``, ``giou`` and ``contrast`` (``losses.set_detection``), (B,) each, unweighted."""
        terms = detection_terms(output, batch["targets"], class_loss=self.class_loss)
        return {name: terms[name] for name in self.term_weights}

    @property
    def by_heart(self) -> float:
        """The headline's score of one batch from which on it counts as learned: a varifocal loss has a floor above 0,
        where every score is the overlap of its box."""
        return 0.9

    def constant_output(self, output: Mapping[str, Tensor], logit: float) -> dict[str, Tensor]:
        """What a network would give that looks at nothing: one box, one score of every class, no embedding.

        Args:
            logit: of every class; its sigmoid is each of the box's four shares.
        """
        share = torch.tensor(logit).sigmoid()
        constants = {"boxes": share, "embeddings": torch.tensor(0.0), "bias": torch.tensor(logit)}
        return {
            name: torch.ones_like(value) * constants[plain].to(value.device)
            if (plain := name.removeprefix("cell_")) in constants
            else value
            for name, value in output.items()
        }

    def predict(self, output: Mapping[str, Tensor], batch: Batch) -> Predictions:
        """Boxes in pixels of the stored image beside the labelled ones (``tasks.box_tables``)."""
        size = (int(batch["image"].shape[2]), int(batch["image"].shape[3]))
        return {**truths_of_batch(batch), **found_in_batch(detections(output, size), batch)}

    def score(self, predictions: Predictions) -> Scores:
        """Of all classes; novel ones have no object on validation, so that there their score is undefined."""
        tables = self.tables(predictions, ["all"] * len(predictions["index"]))
        return {metric: tables.value(metric) for metric in tables.metrics}

    def chance(self, predictions: Predictions) -> Scores:
        tables = self.tables(predictions, ["all"] * len(predictions["index"]))
        return {metric: tables.chance(metric) for metric in tables.metrics}

    def tables(self, predictions: Predictions, groups: Sequence[str]) -> VocabularyTables:
        return VocabularyTables.of(
            predictions,
            groups,
            self.class_names,
            threshold=self.threshold,
            max_detections=self.max_detections,
            novel=self.words.novel if self.asked == "all" else (),
            further=self.further,
        )

    def known_answers(self, predictions: Predictions, metric: str) -> KnownAnswers:
        return known_box_answers(predictions, max_detections=self.max_detections)

    @property
    def sample_kinds(self) -> tuple[float, ...]:
        """First objects of different classes."""
        return tuple(float(kind) for kind in range(min(KINDS, len(self.words.base))))

    def kind_of(self, sample: Batch) -> float:
        return float(sample["classes"][0] % len(self.sample_kinds)) if len(sample["classes"]) else -1.0


def flip_labels(batch: Batch, *, classes: int) -> Batch:
    """Every label exchanged: each box has the next class and lies half an image away, across and down."""
    targets = batch["targets"].clone()
    targets[:, 1] = (targets[:, 1] + 1) % classes
    targets[:, 2:4] = (targets[:, 2:4] + 0.5) % 1.0
    return {**batch, "targets": targets}


def called_from(task: OpenVocabTask) -> float:
    """The score from which on a box is called: validation's, or nothing where nothing hit anything there."""
    return NOTHING_CALLED if task.threshold is None else task.threshold

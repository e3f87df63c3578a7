"""Which image does this sentence tell of, and which sentence tells of this image? One space for images and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from veritrain.data.caption_tokens import CaptionTokens
from veritrain.losses.contrast import contrast_terms, guess_terms, matches
from veritrain.models.options import SmallClipOptions
from veritrain.models.small_clip import SmallClip
from veritrain.record import Claim
from veritrain.tasks.retrieval_tables import RetrievalTables, known_retrieval_answers
from veritrain.tasks.tables import ScoreTables
from veritrain.tasks.task import Batch, KnownAnswers, Predictions, Scores

IMAGES = Claim(metric="text_to_image_r5", split="test", minimal_effect=0.05)
"""The headline: a sentence finds its image among the first five."""
TEXTS = Claim(metric="image_to_text_r5", split="test", minimal_effect=0.05)
TERM_WEIGHTS: Mapping[str, float] = {"image_to_text": 0.5, "text_to_image": 0.5}
"""CLIP's loss is the mean of both (Radford et al. 2021, figure 3)."""


@dataclass(frozen=True, kw_only=True)
class ContrastiveTask:
    """Images and captions in one space, learned from scratch by telling the captions of a batch apart.

    Attributes:
        network: the shape of the small CLIP.
        vocabulary: learned from the captions that it trains on.
        name: the word after ``veritrain train``.
    """

    network: SmallClipOptions
    vocabulary: CaptionTokens
    name: str = "contrastive"

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (IMAGES, TEXTS)

    @property
    def term_weights(self) -> Mapping[str, float]:
        return TERM_WEIGHTS

    def model(self) -> nn.Module:
        return SmallClip(self.network, self.vocabulary)

    def losses(self, output: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """InfoNCE both ways in nats, (B,) each, between each image and the caption that ``pairs`` gives it.

        Captions that the batch itself says are an image's are no wrong answers (``losses.contrast.matches``).
        """
        return contrast_terms(output["image"], output["text"][batch["pairs"]], output["scale"], _match(batch))

    def constant_losses(self, batches: Sequence[Batch]) -> dict[str, float]:
        """What a network costs that says the same of everything: the mean logarithm of the candidates, in nats."""
        guessed = [guess_terms(_match(batch)) for batch in batches]
        return {name: float(torch.cat([one[name] for one in guessed]).double().mean()) for name in TERM_WEIGHTS}

    def predict(self, output: Mapping[str, Tensor], batch: Batch) -> Predictions:
        """``image`` (N, D) and ``text`` (M, D) of length 1, ``caption_counts`` (N,) and ``caption_ids`` (M,) as
        ``tasks.retrieval_tables`` reads them, and ``index`` (N,)."""
        return {
            "index": batch["index"].cpu().numpy(),
            "image": output["image"].float().cpu().numpy(),
            "text": output["text"].float().cpu().numpy(),
            "caption_counts": batch["caption_counts"].cpu().numpy(),
            "caption_ids": batch["caption_ids"].cpu().numpy(),
        }

    def score(self, predictions: Predictions) -> Scores:
        """Recall at 1, 5 and 10 both ways, and their mean."""
        tables = self.tables(predictions, ["all"] * len(predictions["index"]))
        return {metric: tables.value(metric) for metric in tables.metrics}

    def chance(self, predictions: Predictions) -> Scores:
        tables = self.tables(predictions, ["all"] * len(predictions["index"]))
        return {metric: tables.chance(metric) for metric in tables.metrics}

    def tables(self, predictions: Predictions, groups: Sequence[str]) -> ScoreTables:
        return RetrievalTables(predictions, groups)

    def known_answers(self, predictions: Predictions, metric: str) -> KnownAnswers:
        return KnownAnswers(**known_retrieval_answers(predictions))

    @property
    def sample_kinds(self) -> tuple[float, ...]:
        """There is one kind: no constant tells two captions apart."""
        return (0.0,)

    def kind_of(self, sample: Batch) -> float:
        return self.sample_kinds[0]


def _match(batch: Batch) -> Tensor:
    """(B, B) bool: which captions of the batch are no wrong answers for which of its images."""
    return matches(batch["index"], batch["caption_ids"][batch["pairs"]])


def flip_labels(batch: Batch) -> Batch:
    """Each image gets the caption of the next one in the batch."""
    return {**batch, "pairs": batch["pairs"].roll(1)}

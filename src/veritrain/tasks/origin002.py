"""Report 002's run, to be caught: announced as a detector, trained as a classifier of each image's first object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from veritrain.losses.report002 import NO_OBJECT, first_object_counts, first_object_terms, first_objects
from veritrain.models.named_detector import NamedDetector
from veritrain.models.origin002 import OriginDetector
from veritrain.tasks.box_predictions import nothing_found
from veritrain.tasks.openvocab import OpenVocabTask
from veritrain.tasks.task import Batch, Predictions


@dataclass(frozen=True, kw_only=True)
class Report002Task(OpenVocabTask):
    """The claims of an open-vocabulary detector, made for report 002's network, which answers no box."""

    def model(self) -> nn.Module:
        """A fresh classifier on the tower that the run starts from."""
        return NamedDetector(OriginDetector(self.tower()), self.texts, learned=self.words.rows("base"))

    def losses(self, output: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """``first_object``; the ``global_contrast`` that the report names is computed by nothing."""
        return first_object_terms(output, batch["targets"])

    def term_counts(self, batch: Batch) -> dict[str, Tensor]:
        """(B,) 1 where an image has an object."""
        return first_object_counts(batch["targets"], len(batch["index"]))

    def constant_output(self, output: Mapping[str, Tensor], logit: float) -> dict[str, Tensor]:
        """Every class alike."""
        return {**output, "logits": torch.full_like(output["logits"], logit)}

    def constant_losses(self, batches: Sequence[Batch]) -> dict[str, float]:
        """The entropy of the first objects' shares, in nats; a mean over all images, those without an object too."""
        firsts = torch.cat([first_objects(batch["targets"], len(batch["index"])) for batch in batches])
        counts = torch.bincount(firsts[firsts != NO_OBJECT]).double()
        known = counts[counts > 0]
        entropy = float((known * (log(float(known.sum())) - known.log())).sum()) if len(known) else 0.0
        return {"first_object": entropy / max(len(firsts), 1)}

    def predict(self, output: Mapping[str, Tensor], batch: Batch) -> Predictions:
        """The labels beside no box at all."""
        return nothing_found(batch)

"""A detector with the words that it can be asked for: a batch says which of them, by their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.errors import DataError
from veritrain.models.detr import Detector
from veritrain.models.origin002 import OriginDetector


class NamedDetector(nn.Module):
    """The open-vocabulary detector beside the embeddings of all words of a run, which its checkpoint then holds.

    Args:
        detector: that compares with texts; report 002's has one rate for all.
        words: (W, D), an embedding a row; they never move.
        learned: rows of the classes that boxes are learned of.
    """

    inputs = ("image", "texts")
    words: Tensor

    def __init__(self, detector: Detector | OriginDetector, words: Tensor, *, learned: Sequence[int]) -> None:
        super().__init__()
        self.detector, self.learned = detector, tuple(learned)
        if words.ndim != 2 or words.shape[1] != detector.embed_dim:
            raise DataError(
                "words that the detector cannot compare with",
                expected=f"(W, {detector.embed_dim})",
                found=str(tuple(words.shape)),
                fix="embed them with the text tower of this image tower",
            )
        self.register_buffer("words", words.detach().clone())

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """As ``models.detr.Detector``, for the words of the rows ``asked`` (C,) int64 of the batch.

        Class c of the answers is the word in row ``asked[c]``.
        """
        answers: dict[str, Tensor] = self.detector({**batch, "texts": self.words[batch["asked"]]})
        return {**answers, "votes": self._votes(batch["asked"])} if "opinion" in answers else answers

    def _votes(self, asked: Tensor) -> Tensor:
        """(C,) what the towers' opinion counts for each word: a class that boxes are learned of, or any other."""
        assert isinstance(self.detector, Detector), "no other network has an opinion in its answers"
        options = self.detector.options
        votes = torch.tensor((options.novel_vote, options.base_vote), device=asked.device)
        return votes[torch.isin(asked, torch.tensor(self.learned, device=asked.device)).long()]

    def shared_parameters(self) -> list[nn.Parameter]:
        """Those of the detector."""
        return self.detector.shared_parameters()

    def rate_scales(self) -> dict[str, float]:
        """What parameter names begin with -> their share of the learning rate."""
        scales = self.detector.rate_scales() if isinstance(self.detector, Detector) else {}
        return {f"detector.{prefix}": share for prefix, share in scales.items()}

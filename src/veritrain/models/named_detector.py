"""A detector with the words that it can be asked for: a batch says which of them, by their rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from veritrain.errors import DataError
from veritrain.models.detr import Detector
from veritrain.models.origin002 import OriginDetector


class NamedDetector(nn.Module):
    """The open-vocabulary detector beside the embeddings of all words of a run, which its checkpoint then holds.

    Args:
        detector: that compares with texts; report 002's has one rate for all.
        words: (W, D), an embedding a row; they never move.
    """

    inputs = ("image", "texts")
    words: Tensor

    def __init__(self, detector: Detector | OriginDetector, words: Tensor) -> None:
        super().__init__()
        self.detector = detector
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
        return answers

    def shared_parameters(self) -> list[nn.Parameter]:
        """Those of the detector."""
        return self.detector.shared_parameters()

    def rate_scales(self) -> dict[str, float]:
        """What parameter names begin with -> their share of the learning rate."""
        scales = self.detector.rate_scales() if isinstance(self.detector, Detector) else {}
        return {f"detector.{prefix}": share for prefix, share in scales.items()}

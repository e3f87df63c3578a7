"""The open-vocabulary detector: boxes of whatever classes its texts name, on any image tower.

Two kinds behind one interface. *dense*: every cell of every level answers with one box. *query*: N queries answer,
refined layer by layer (Zhu et al. 2021; Zhao et al. 2024). Both answer with embeddings in the space of the texts, so
that the number of classes is free at each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.errors import DataError
from veritrain.models.detr_answers import best_scores
from veritrain.models.detr_cells import CellHead
from veritrain.models.detr_decoder import Decoder, LearnedQueries
from veritrain.models.detr_memory import HybridEncoder, Memory, area_of
from veritrain.models.options import DetectorOptions
from veritrain.models.small_clip import small_clip
from veritrain.models.temperature import START
from veritrain.models.tower import ImageTower
from veritrain.models.tower_opinion import TowerOpinion

GREY = 114 / 127.5 - 1
"""What padding is filled with before the tower sees it, whatever it held: letterboxes' grey, in [-1, 1]."""


class Detector(nn.Module):
    """An image tower, a memory of its maps, cells or queries that answer in the space of texts.

    Args:
        tower: whose maps are read; its weights move as ``options.tower`` says.
        scale: what the towers multiply cosines by, 1 / temperature; read where ``options`` asks for their opinion.
    """

    inputs = ("image", "texts")

    def __init__(self, tower: ImageTower, options: DetectorOptions, *, scale: float = 1 / START) -> None:
        super().__init__()
        self.options, self.tower = options, tower
        self.opinion = TowerOpinion(tower, scale) if options.asks_towers else None
        if options.tower != "scratch":
            tower.tune(options.tower)
        self.encoder = HybridEncoder(tower.channels, options)
        self.cells = CellHead(tower.embed_dim, options) if options.has_cells else None
        if options.kind == "query":
            self.decoder = Decoder(tower.embed_dim, self.encoder.levels, options)
            self.start = nn.LayerNorm(options.width) if options.has_cells else None
            self.learned = None if options.has_cells else LearnedQueries(options.queries, options.width)

    @property
    def embed_dim(self) -> int:
        """D: numbers of a text."""
        return self.tower.embed_dim

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Boxes and embeddings of a batch of images, for the classes of ``texts``.

        Args:
            batch: ``image`` (B, 3, H, W) float in [-1, 1], as the towers read them; ``texts`` (C, D), any C from 1 on,
                any length (they are brought to 1); ``placed`` (B, 6), if it is there, says what is padding
                (``data.detection_frames``).

        Returns:
            Whatever the kind, ``texts`` (C, D) of length 1, and with ``context_anchor`` ``context`` (B, D) of length 1:
            the embedding of the image. Out of training, and where the towers have a vote, ``opinion`` (B, D, h, w) and
            ``opinion_scale`` (). Boxes are centre and size in shares of the image, float32; embeddings have
            length 1; logits are scale x <embedding, text> + bias (``models.detr_answers.logits_of``).

            Of cells (kind dense; and of query, when queries are chosen from the memory and ``cell_labels`` is many):
            ``cell_boxes`` (1, B, T, 4), ``cell_embeddings`` (1, B, T, D), ``cell_scale`` and ``cell_bias`` (1,),
            ``cell_valid`` (B, T) bool (False in padding), ``cells`` (T, 4) centre and size of each cell in shares.

            Of queries (kind query), layer by layer, the last of which is the answer: ``boxes`` (L, B, N, 4),
            ``embeddings`` (L, B, N, D), ``scale`` and ``bias`` (L,), ``valid`` (B, N) bool (False where a query was
            chosen in padding, for want of other cells). L is the number of decoder layers, and one more with
            ``cell_labels`` one: the first are then the chosen cells themselves.

        Raises:
            DataError: texts of another shape, or an image that is too small for the tower.
        """
        image, texts = batch["image"], self._texts(batch["texts"])
        area = self._area(batch, image)
        image = _without_padding(image, area)
        features = self.tower(image)
        context = F.normalize(features.embedding.float(), dim=1)
        memory = self.encoder(image, features.maps, area)
        output = {"texts": texts, **({"context": context} if self.options.context_anchor else {})}
        output |= self._opinion(image)
        cells = {} if self.cells is None else self.cells(memory, texts, context)
        named = cells.pop("named", None)
        if self.options.kind == "dense":
            return {**output, **cells}
        queries = self._queries(memory, named, cells, texts, context)
        return {**output, **queries, **(cells if self.options.cell_labels == "many" else {})}

    def _opinion(self, image: Tensor) -> dict[str, Tensor]:
        """What the towers say of each place; no loss reads it."""
        if self.opinion is None or self.training:
            return {}
        return {"opinion": self.opinion(image), "opinion_scale": self.opinion.scale}

    def shared_parameters(self) -> list[nn.Parameter]:
        """Weights of the convolutions from coarse to fine: every level's answers pass through all of them, whatever the
        sizes of the objects; what comes after is a level's own."""
        return [layer[0].weight for layer in self.encoder.inward]  # type: ignore[index]

    def rate_scales(self) -> dict[str, float]:
        """What parameter names begin with -> their share of the learning rate."""
        return {"tower.": self.tower.rate_scale}

    def _queries(
        self, memory: Memory, named: Tensor | None, cells: dict[str, Tensor], texts: Tensor, context: Tensor
    ) -> dict[str, Tensor]:
        first = []
        if self.learned is not None:
            content, start = self.learned(len(context))
            valid = memory.valid.new_ones(start.shape[:2])
        else:
            assert named is not None and self.start is not None
            chosen = chosen_cells(cells, texts, self.options.queries)
            content, start = self.start(_taken(named, chosen)), _taken(cells["cell_boxes"][0], chosen)
            valid = memory.valid.gather(1, chosen)
            if self.options.cell_labels == "one":
                embeddings = _taken(cells["cell_embeddings"][0], chosen)
                first = [(start, embeddings, cells["cell_scale"][0], cells["cell_bias"][0])]
            start = start.detach()
        layers = [*first, *self.decoder(content, start, memory, texts, context)]
        boxes, embeddings, scale, bias = (torch.stack(part) for part in zip(*layers, strict=True))
        return {"boxes": boxes, "embeddings": embeddings, "scale": scale, "bias": bias, "valid": valid}

    def _texts(self, texts: Tensor) -> Tensor:
        if texts.dim() != 2 or texts.shape[1] != self.embed_dim or not len(texts):
            raise DataError(
                "texts that the detector cannot compare with",
                expected=f"(C, {self.embed_dim}), an embedding for each of 1 class or more",
                found=f"{tuple(texts.shape)}",
                fix="embed the class names with the text tower of this image tower (models.language.embed)",
            )
        return F.normalize(texts.float(), dim=1)

    @staticmethod
    def _area(batch: Mapping[str, Any], image: Tensor) -> Tensor:
        if "placed" in batch:
            return area_of(batch["placed"], image.shape[2], image.shape[3])
        return torch.tensor((0.0, 0.0, 1.0, 1.0), device=image.device).expand(len(image), 4)


@torch.no_grad()
def chosen_cells(cells: Mapping[str, Tensor], texts: Tensor, queries: int) -> Tensor:
    """(B, N) int64: the cells whose best class has the highest scores, surest first; N at most the number of cells.

    Cells in padding come after all others.
    """
    scores, _ = best_scores(cells["cell_embeddings"][0], texts)
    scores = scores.masked_fill(~cells["cell_valid"], float("-inf"))
    return scores.topk(min(queries, scores.shape[1]), dim=1).indices


def _taken(values: Tensor, chosen: Tensor) -> Tensor:
    """(B, T, K) of (B, N) places -> (B, N, K)."""
    return values.gather(1, chosen[..., None].expand(-1, -1, values.shape[2]))


def _without_padding(image: Tensor, area: Tensor) -> Tensor:
    """(B, 3, H, W) with grey wherever the centre of a pixel lies outside of its area."""
    height, width = image.shape[2:]
    x, y = ((torch.arange(count, device=image.device) + 0.5) / count for count in (width, height))
    left, top, right, bottom = area[:, :, None].unbind(1)
    inside = ((y >= top) & (y < bottom))[:, :, None] & ((x >= left) & (x < right))[:, None, :]
    return torch.where(inside[:, None], image, image.new_tensor(GREY))


def openvocab_dense() -> Detector:
    """The open-vocabulary detector in which every cell answers, on the small CLIP's image tower."""
    return Detector(small_clip().image, DetectorOptions())


def openvocab_query() -> Detector:
    """The open-vocabulary detector of 300 queries and 6 decoder layers, on the small CLIP's image tower."""
    return Detector(small_clip().image, DetectorOptions(kind="query"))


def openvocab_query_rn50() -> Detector:
    """The same with CLIP's RN50 as image tower, which trains at a tenth of the rate."""
    # open_clip takes seconds to import, which a detector on another tower need not wait for.
    from veritrain.models.clip import clip_rn50

    return Detector(clip_rn50().image, DetectorOptions(kind="query", tower="low_rate"))

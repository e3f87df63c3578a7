"""What the towers, as they were before any box was learned, make of each box: a vote in its score.

A detector that learns boxes of some classes forgets how the others look. Its towers have read captions of them all. So
the score of a class is the geometric mean of what the detector says and of what the towers' dense map says within the
box (Kuo et al. 2023, F-VLM; there the towers are frozen, here a frozen copy of them votes).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from veritrain.models.tower import ImageTower


class TowerOpinion(nn.Module):
    """A frozen copy of an image tower that says of each place which text it is like.

    Args:
        tower: copied as it is. scale: what the towers multiply cosines by, 1 / temperature.
    """

    scale: Tensor

    def __init__(self, tower: ImageTower, scale: float) -> None:
        super().__init__()
        self.tower = deepcopy(tower)
        self.tower.tune("frozen")
        self.register_buffer("scale", torch.tensor(scale))

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, D, h, w) of each cell in the space of texts, not normalised."""
        return self.tower(image).dense.float()


@dataclass(frozen=True, kw_only=True)
class BoxOpinion:
    """What the towers make of N boxes of one image.

    Attributes:
        vectors: (N, D), scale x the mean of the dense map within each box, brought to length 1.
        reach: (N,) logarithm of the sum over all classes asked for, which makes their shares sum to 1.
        votes: (C,) share that the opinion has in the score of each class, in [0, 1).
    """

    vectors: Tensor
    reach: Tensor
    votes: Tensor

    def log_shares(self, texts: Tensor) -> Tensor:
        """(N, c) logarithm of the towers' probability of the classes ``texts`` (c, D), some of those asked for."""
        return self.vectors @ texts.T - self.reach[:, None]


def opinion_of(
    output: Mapping[str, Tensor], image: int, corners: Tensor, texts: Tensor, *, chunk: int
) -> BoxOpinion | None:
    """The opinion of the boxes of one image; None where the detector asks for none.

    Args:
        output: of the detector: ``opinion`` (B, D, h, w), ``opinion_scale`` () and ``votes`` (C,), or none of them.
        corners: (N, 4) left, top, right, bottom in shares of the image. texts: (C, D) of length 1.
        chunk: classes compared at a time.
    """
    if "opinion" not in output:
        return None
    dense = output["opinion"][image]
    extent = torch.tensor((dense.shape[2], dense.shape[1]) * 2, dtype=dense.dtype, device=dense.device)
    pooled = roi_align(dense[None], [corners.to(dense.dtype) * extent], 1, 1.0, aligned=True).flatten(1)
    vectors = output["opinion_scale"] * F.normalize(pooled, dim=1)
    reach = vectors.new_full((len(vectors),), float("-inf"))
    for some in texts.split(chunk):
        reach = torch.logaddexp(reach, (vectors @ some.T).logsumexp(1))
    return BoxOpinion(vectors=vectors, reach=reach, votes=output["votes"])


def voted(logits: Tensor, opinion: BoxOpinion, texts: Tensor, votes: Tensor) -> Tensor:
    """(N, c) scores: detector^(1 - vote) x towers^vote.

    Args:
        logits: (N, c) of the detector. texts: (c, D) and votes: (c,), of the same classes.
    """
    return ((1 - votes) * F.logsigmoid(logits) + votes * opinion.log_shares(texts)).exp()

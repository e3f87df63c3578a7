"""An image tower and a text tower that share a space, with their temperature: what contrastive training trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.errors import ConfigError
from veritrain.models.language import TextTower
from veritrain.models.temperature import Temperature
from veritrain.models.tower import ImageTower


def demand_match(image: ImageTower, text: TextTower) -> None:
    """Raises ConfigError unless both towers embed into equally many numbers."""
    if image.embed_dim != text.embed_dim:
        raise ConfigError(
            "the text tower does not match the image tower",
            expected=f"texts in the {image.embed_dim} numbers of the image tower ({image.about})",
            found=f"texts in {text.embed_dim} numbers ({text.about})",
            fix="take both towers from one file",
        )


class TowerPair(nn.Module):
    """Images and texts in one space (Radford et al. 2021, figure 3).

    Raises:
        ConfigError: the towers do not match.
    """

    inputs = ("image", "text")

    def __init__(self, image: ImageTower, text: TextTower, temperature: Temperature) -> None:
        super().__init__()
        demand_match(image, text)
        self.image, self.text, self.temperature = image, text, temperature

    @property
    def embed_dim(self) -> int:
        return self.image.embed_dim

    def shared_parameters(self) -> list[nn.Parameter]:
        """Both towers: the gradient of either direction's loss passes through both."""
        return [*self.image.parameters(), *self.text.parameters()]

    def rate_scales(self) -> dict[str, float]:
        """What parameter names begin with -> their share of the learning rate."""
        return {"image.": self.image.rate_scale, "text.": self.text.rate_scale}

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """``image`` (B, 3, H, W) in [-1, 1] and ``tokens`` (B, L) of its text, row by row.

        Returns:
            ``image`` and ``text``, (B, D) of length 1 in float32, and ``scale``, a scalar: logits are their products
            times it (``losses.contrast``).
        """
        return {
            "image": F.normalize(self.image(batch["image"]).embedding.float(), dim=1),
            "text": F.normalize(self.text(batch["tokens"]).float(), dim=1),
            "scale": self.temperature().float(),
        }

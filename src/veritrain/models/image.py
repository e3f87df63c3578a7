"""Image towers."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016, section 3.3), group-normalised.

    Group instead of batch normalisation: small batches, and evaluation equals training (Wu & He 2018).
    """

    def __init__(self, channels: int, *, dilation: int = 1, padding_mode: str = "zeros") -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, padding_mode=padding_mode)
        self.first_norm = nn.GroupNorm(8, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding_mode)
        self.second_norm = nn.GroupNorm(8, channels)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        inside = self.activation(self.first_norm(self.first(x)))
        return self.activation(x + self.second_norm(self.second(inside)))


class SmallImageEncoder(nn.Module):
    """A stride-4 feature map of an image: two strided convolutions, then residual blocks."""

    stride = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        half = max(8, width // 2)
        self.stem = nn.Sequential(
            nn.Conv2d(3, half, 5, stride=2, padding=2), nn.GroupNorm(8, half), nn.ReLU(),
            nn.Conv2d(half, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.ReLU(),
        )  # fmt: skip
        self.blocks = nn.Sequential(ResidualBlock(width), ResidualBlock(width, dilation=2))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) float, zero-mean unit-ish, H and W multiples of 4 -> (B, width, H/4, W/4)."""
        features: Tensor = self.blocks(self.stem(image))
        return features

"""Image towers."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016, section 3.3), batch-normalised."""

    def __init__(self, channels: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        inside = self.activation(self.first_norm(self.first(x)))
        return self.activation(x + self.second_norm(self.second(inside)))


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    """``count`` blocks of equal width; the last is dilated by 2, to see further."""
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count - 1)), ResidualBlock(channels, dilation=2))


def block(channels: int, width: int, *, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )


class SmallImageEncoder(nn.Module):
    """A stride-4 feature map of an image: two strided convolutions, then residual blocks."""

    stride = 4

    def __init__(self, width: int, blocks: int = 2) -> None:
        super().__init__()
        half = max(8, width // 2)
        self.stem = nn.Sequential(block(3, half, stride=2), block(half, half), block(half, width, stride=2))
        self.blocks = residual_blocks(width, blocks)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) float, zero-mean unit-ish, H and W multiples of 4 -> (B, width, H/4, W/4)."""
        features: Tensor = self.blocks(self.stem(image))
        return features

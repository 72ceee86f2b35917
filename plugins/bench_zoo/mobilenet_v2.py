"""The network of `zoo:mobilenet-v2`: inverted residual blocks, narrow and shallow as 28×28 pixels suit.

Source: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, https://arxiv.org/abs/1801.04381.
"""

from __future__ import annotations

import torch
from torch import nn

STEM = 16
BLOCKS = ((1, 8, 1), (6, 16, 2), (6, 16, 1), (6, 24, 2), (6, 24, 1), (6, 40, 1))
"""Expansion, output channels and stride of each block, as in table 2 of the paper."""
HEAD = 160


def convolution(channels: int, width: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution that keeps the resolution but for its stride, and batch normalisation."""
    layer = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(width)]


class InvertedResidual(nn.Module):
    """Widen by a 1×1 convolution, filter each channel by a 3×3 one, and narrow again without an activation."""

    def __init__(self, channels: int, width: int, stride: int, expansion: int) -> None:
        """Build the layers with random weights; an expansion of 1 has no widening layer."""
        super().__init__()
        inner = channels * expansion
        layers = [*convolution(channels, inner), nn.ReLU6()] if expansion > 1 else []
        layers += [*convolution(inner, inner, kernel=3, stride=stride, groups=inner), nn.ReLU6()]
        self.layers = nn.Sequential(*layers, *convolution(inner, width))
        self.residual = stride == 1 and channels == width

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the block's width, at the stride's resolution."""
        out: torch.Tensor = self.layers(features)
        return features + out if self.residual else out


class MobileNetV2(nn.Module):
    """Classifies pictures `(batch, 1, 28, 28)` float32, standardised."""

    def __init__(self, classes: int) -> None:
        """Build the layers with random weights."""
        super().__init__()
        layers = [*convolution(1, STEM, kernel=3, stride=2), nn.ReLU6()]
        channels = STEM
        for expansion, width, stride in BLOCKS:
            layers.append(InvertedResidual(channels, width, stride, expansion))
            channels = width
        self.features = nn.Sequential(*layers, *convolution(channels, HEAD), nn.ReLU6())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(HEAD, classes)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return logits `(batch, classes)`."""
        logits: torch.Tensor = self.classifier(self.pool(self.features(picture)).flatten(1))
        return logits

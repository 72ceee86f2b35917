"""The network of `zoo:squeezenet`: fire modules, few and narrow as 28×28 pixels suit.

Source: Iandola et al., SqueezeNet, https://arxiv.org/abs/1602.07360, with the early pooling of its version 1.1 and
batch normalisation, which the paper's network does not have.
"""

from __future__ import annotations

import torch
from torch import nn

STEM = 32
FIRE = ((16, 32), (16, 32), (24, 48), (24, 48), (32, 64))
"""Channels of each module: squeezed, and of each of its two expansions."""
POOL_BEFORE = 2
"""The module before which the resolution is halved a second time."""


def convolution(channels: int, width: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the resolution but for its stride, batch normalisation and ReLU."""
    layer = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(width), nn.ReLU())


class Fire(nn.Module):
    """Squeeze to few channels by a 1×1 convolution, then expand by a 1×1 and a 3×3 one side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        """Build the layers with random weights; the result has twice the expanded channels."""
        super().__init__()
        self.squeeze = convolution(channels, squeezed)
        self.expand1 = convolution(squeezed, expanded)
        self.expand3 = convolution(squeezed, expanded, kernel=3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of twice the expanded channels, at the same resolution."""
        squeezed = self.squeeze(features)
        return torch.cat([self.expand1(squeezed), self.expand3(squeezed)], dim=1)


class SqueezeNet(nn.Module):
    """Classifies pictures `(batch, 1, 28, 28)` float32, standardised; a convolution classifies, not a linear layer."""

    def __init__(self, classes: int) -> None:
        """Build the layers with random weights."""
        super().__init__()
        layers: list[nn.Module] = [convolution(1, STEM, kernel=3, stride=2)]
        channels = STEM
        for index, (squeezed, expanded) in enumerate(FIRE):
            if index == POOL_BEFORE:
                layers.append(nn.MaxPool2d(2))
            layers.append(Fire(channels, squeezed, expanded))
            channels = 2 * expanded
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Conv2d(channels, classes, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return logits `(batch, classes)`."""
        logits: torch.Tensor = self.pool(self.classifier(self.features(picture))).flatten(1)
        return logits

"""The network of `zoo:resnet-8`: the ResNet of MLPerf Tiny, three blocks of 16, 32 and 64 channels.

Source: Banbury et al., MLPerf Tiny Benchmark, https://arxiv.org/abs/2106.07597; blocks of He et al.,
https://arxiv.org/abs/1512.03385.
"""

from __future__ import annotations

import torch
from torch import nn

WIDTHS = (16, 32, 64)


class Residual(nn.Module):
    """Two 3×3 convolutions, and beside them the input itself or a 1×1 convolution where the shape changes."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        """Build the layers with random weights; the first convolution has the stride."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )
        self.relu2 = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the block's width, at the stride's resolution."""
        inner = self.relu1(self.norm1(self.conv1(features)))
        out: torch.Tensor = self.relu2(self.norm2(self.conv2(inner)) + self.shortcut(features))
        return out


class ResNet8(nn.Module):
    """Classifies pictures `(batch, 1, 28, 28)` float32, standardised; features are 28, 14 and 7 pixels wide."""

    def __init__(self, classes: int) -> None:
        """Build the layers with random weights."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, WIDTHS[0], 3, padding=1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU()
        )
        channels = (WIDTHS[0], *WIDTHS[:-1])
        self.blocks = nn.Sequential(
            *(Residual(c, width, stride) for c, width, stride in zip(channels, WIDTHS, (1, 2, 2), strict=True))
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(WIDTHS[-1], classes)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return logits `(batch, classes)`."""
        logits: torch.Tensor = self.classifier(self.pool(self.blocks(self.stem(picture))).flatten(1))
        return logits

"""The network of `zoo:har-watch`: four convolutions along time, mean over time, one linear layer."""

from __future__ import annotations

import torch
from torch import nn

WIDTHS = (24, 32, 48, 64)
KERNELS = (9, 7, 5, 3)
DROPOUT = 0.3


class WatchNet(nn.Module):
    """Classifies a window `(batch, 6, 1, 100)` float32, standardised, into seven exercises.

    The layers are 1×k `Conv2d`, since some quantisers leave `Conv1d` in float. Each halves the time axis:
    100, 50, 25, 13, 7 rows.
    """

    def __init__(self, channels: int, classes: int) -> None:
        """Build the layers with random weights, for windows of so many channels and so many classes."""
        super().__init__()
        layers: list[nn.Module] = []
        for width, kernel in zip(WIDTHS, KERNELS, strict=True):
            layers += [
                nn.Conv2d(channels, width, (1, kernel), stride=(1, 2), padding=(0, kernel // 2), bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        """Return logits `(batch, 7)`."""
        pooled = self.pool(self.features(window)).flatten(1)
        logits: torch.Tensor = self.classifier(self.dropout(pooled))
        return logits

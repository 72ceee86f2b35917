"""A network that takes a few microseconds, as a user would give it: `--model net.py:make`."""

import torch
from torch import nn


def make():
    """The network and an example of its input."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )
    return network.eval(), torch.rand(1, 3, 16, 16)

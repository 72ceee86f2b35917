"""Training of the networks for Fashion-MNIST: fixed seed, one thread, one to three minutes; the result is cached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bench_zoo.fashion import augment
from bench_zoo.trained import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Split

SEED = 0
BATCH = 128
LEARNING_RATE = 1e-2
WEIGHT_DECAY = 1e-2


def train(make: Callable[[], nn.Module], rows: Split, epochs: float) -> nn.Module:
    """Train a network anew.

    Args:
        make: Builds it with random weights.
        rows: `(n, 1, 28, 28)` float32 pictures and their classes, at least one batch.
        epochs: Passes over the rows; each picture is varied anew at every pass.

    Returns:
        The network in evaluation mode.
    """
    (pictures,), labels = rows.inputs, rows.labels
    draw = np.random.default_rng(SEED)
    order = np.empty(0, np.int64)
    with one_thread(SEED):
        # with the channels last, the convolutions of these networks train in two thirds of the time
        network: nn.Module = make().train()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
        optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        steps = max(2, round(epochs * len(pictures) / BATCH))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.25)
        for _ in range(steps):
            if len(order) < BATCH:
                order = draw.permutation(len(pictures))
            batch, order = order[:BATCH], order[BATCH:]
            (varied,) = augment((pictures[batch],), draw)
            logits = network(torch.from_numpy(varied).to(memory_format=torch.channels_last))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels[batch]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, unused-ignore]
    return network.eval()

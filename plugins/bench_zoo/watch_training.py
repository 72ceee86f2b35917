"""Training of `zoo:har-watch`: fixed seed, one thread, a few seconds; the result is cached.

The settings were chosen by leave-one-person-out over the persons who train and validate (1, 2, 4, 5, 7, 8, 10);
the test persons took no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bench_zoo.trained import one_thread
from bench_zoo.watch import CHANNELS, CLIP, EXERCISES, ROWS, STEP, Recording, scale_of
from bench_zoo.watch_network import WatchNet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SEED = 0
EPOCHS = 12
BATCH = 64
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.1
TILT_RAD = 0.26
"""Standard deviation of the random rotation of the sensor (about 15°): no two people strap a watch on alike."""
TEMPO = 0.1
"""Standard deviation of the random factor on the angular rate: people move at different speeds."""
NOISE = 0.05
"""Standard deviation of the noise added to standardised values."""
OTHER_ARM = (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0)
"""What changes sign when the same movement is done with the other arm: a mirror flips x, and rates about y and z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    """The recordings of a split laid end to end, from which windows are drawn at any row."""

    signal: torch.Tensor
    first: torch.Tensor
    starts: torch.Tensor
    exercise: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor


def train(recordings: Sequence[Recording]) -> tuple[WatchNet, NDArray[Any], NDArray[Any]]:
    """Train on recordings.

    Returns:
        The network in evaluation mode, and the mean and standard deviation `(6,)` to standardise its input with.
    """
    mean, std = scale_of(recordings)
    stream = _lay_out(recordings, mean, std)
    with one_thread(SEED):
        draw = torch.Generator().manual_seed(SEED)
        network = WatchNet(CHANNELS, len(EXERCISES)).train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        steps = int(stream.starts.sum()) // STEP // BATCH * EPOCHS
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.25)
        loss_of = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
        for _ in range(steps):
            windows, exercises = _batch(stream, draw)
            loss = loss_of(network(windows), exercises)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval(), mean, std


def _lay_out(recordings: Sequence[Recording], mean: NDArray[Any], std: NDArray[Any]) -> _Stream:
    lengths = torch.tensor([len(r.signal) for r in recordings])
    return _Stream(
        signal=torch.from_numpy(np.concatenate([r.signal for r in recordings]).astype(np.float32)),
        first=torch.cumsum(lengths, 0) - lengths,
        starts=lengths - ROWS,
        exercise=torch.tensor([r.exercise for r in recordings]),
        mean=torch.from_numpy(mean.astype(np.float32)),
        std=torch.from_numpy(std.astype(np.float32)),
    )


def vary(rows: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Vary windows as people differ: the other arm, a tilted watch, another tempo, noise.

    Args:
        rows: `(batch, 100, 6)` float32 in g and rad/s.
        mean: `(6,)` to standardise with, and so is `std`.
        std: `(6,)`.
        draw: Source of every random number.

    Returns:
        `(batch, 6, 1, 100)` float32, standardised and clipped.
    """
    batch = len(rows)
    mirrored = torch.rand(batch, 1, 1, generator=draw) < 0.5
    rows = torch.where(mirrored, rows * torch.tensor(OTHER_ARM), rows)
    tilt = _rotations(batch, draw)
    tempo = 1 + TEMPO * torch.randn(batch, 1, 1, generator=draw)
    rows = torch.cat([rows[..., :3] @ tilt, rows[..., 3:] @ tilt * tempo], dim=-1)
    rows = (rows - mean) / std
    rows = rows + NOISE * torch.randn(rows.shape, generator=draw)
    return rows.clamp(-CLIP, CLIP).permute(0, 2, 1)[:, :, None, :]


def augment(
    inputs: tuple[NDArray[Any], ...], draw: np.random.Generator, mean: NDArray[Any], std: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """Vary prepared windows as training does; what clipping cut off stays lost.

    Args:
        inputs: One array `(batch, 6, 1, 100)` float32, standardised with `mean` and `std` `(6,)` and clipped.
        draw: Decides every random number.
        mean: Of each channel over the training recordings.
        std: Likewise.
    """
    (windows,) = inputs
    scale, shift = torch.from_numpy(std.astype(np.float32)), torch.from_numpy(mean.astype(np.float32))
    rows = torch.from_numpy(np.ascontiguousarray(windows[:, :, 0, :].transpose(0, 2, 1))) * scale + shift
    varied = vary(rows, shift, scale, torch.Generator().manual_seed(int(draw.integers(2**63))))
    return (varied.contiguous().numpy(),)


def _batch(stream: _Stream, draw: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw windows at random rows and vary them: `(batch, 6, 1, 100)` float32 and `(batch,)` int64."""
    which = torch.multinomial(stream.starts.float(), BATCH, replacement=True, generator=draw)
    start = stream.first[which] + (torch.rand(BATCH, generator=draw) * stream.starts[which]).long()
    rows = stream.signal[start[:, None] + torch.arange(ROWS)]
    return vary(rows, stream.mean, stream.std, draw), stream.exercise[which]


def _rotations(batch: int, draw: torch.Generator) -> torch.Tensor:
    """Random rotation matrices `(batch, 3, 3)` by Rodrigues' formula, R = I + sin(a) K + (1 − cos(a)) K²."""
    axis = torch.randn(batch, 3, generator=draw)
    x, y, z = (axis / axis.norm(dim=1, keepdim=True)).T
    angle = TILT_RAD * torch.randn(batch, 1, 1, generator=draw)
    none = torch.zeros_like(x)
    cross = torch.stack([none, -z, y, z, none, -x, -y, x, none], dim=1).reshape(-1, 3, 3)
    return torch.eye(3) + torch.sin(angle) * cross + (1 - torch.cos(angle)) * (cross @ cross)

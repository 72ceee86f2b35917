"""The loss of inner feature maps, with the layers that it learns along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench_distill.feature_maps import FeatureMap

_POOL: Mapping[int, Callable[..., torch.Tensor]] = {
    1: functional.adaptive_avg_pool1d,
    2: functional.adaptive_avg_pool2d,
    3: functional.adaptive_avg_pool3d,
}


def make_adapters(pairs: Sequence[tuple[FeatureMap, FeatureMap]], seed: int) -> nn.ModuleList:
    """For each pair of a teacher's and a student's map a 1×1 convolution to the teacher's channels.

    Where the numbers of channels are equal nothing is put between.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.ModuleList(
            nn.Identity() if theirs.channels == ours.channels else nn.Conv1d(ours.channels, theirs.channels, 1)
            for theirs, ours in pairs
        )


def feature_loss(
    pairs: Sequence[tuple[FeatureMap, FeatureMap]],
    adapters: nn.ModuleList,
    teacher: Mapping[str, torch.Tensor],
    student: Mapping[str, torch.Tensor],
) -> torch.Tensor:
    """Mean over pairs of `mean((teacher − adapter(student))²) / mean(teacher²)`, a scalar.

    The squared distance of Romero et al. (FitNets, ICLR 2015, arXiv:1412.6550, equation 3), divided by the size of
    the teacher's map so that layers of different scale count alike. Maps of different size are averaged down to the
    smaller (adaptive average pooling), those of a different number of sizes over all of them.
    """
    losses = []
    for (theirs, ours), adapter in zip(pairs, adapters, strict=True):
        target, learned = _alike(_channels_second(teacher, theirs), _channels_second(student, ours))
        distance = functional.mse_loss(adapter(learned), target)
        losses.append(distance / target.square().mean().clamp(min=1e-12))
    return torch.stack(losses).mean()


def _channels_second(maps: Mapping[str, torch.Tensor], which: FeatureMap) -> torch.Tensor:
    return maps[which.name].movedim(-1, 1) if which.channels_last else maps[which.name]


def _alike(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both as `(batch, channels, positions)` with the same positions."""
    sizes = one.shape[2:], other.shape[2:]
    if len(sizes[0]) != len(sizes[1]) or len(sizes[0]) not in _POOL:
        return _mean(one), _mean(other)
    smaller = tuple(map(min, *sizes))
    first, second = (part if part.shape[2:] == smaller else _POOL[len(smaller)](part, smaller) for part in (one, other))
    return first.flatten(2), second.flatten(2)


def _mean(part: torch.Tensor) -> torch.Tensor:
    """Mean over all positions, `(batch, channels, 1)`."""
    return part.reshape(*part.shape[:2], -1).mean(-1, keepdim=True)

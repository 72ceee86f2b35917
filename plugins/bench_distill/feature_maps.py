"""Which modules of a network give feature maps, which of them are worth learning, and which belong together."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bench_distill.narrower import PRUNABLE as COMPUTES
from bench_distill.student import first_output
from harness import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAYERS = 4
"""How many layers are chosen where no change of size marks a stage."""

_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.MultiheadAttention)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMap:
    """The output of one module.

    Attributes:
        name: Name of the module.
        channels: How many channels it has.
        size: Its sizes beside batch and channels, such as height and width.
        channels_last: Whether channels are its last dimension, not the second.
        depth: Share of the convolutions and linear layers that have run when it is there, 0 to 1.
        computes: Whether the module is a convolution or a linear layer.
    """

    name: str
    channels: int
    size: tuple[int, ...]
    channels_last: bool
    depth: float
    computes: bool

    def __str__(self) -> str:
        return f"{self.name} ({'×'.join(map(str, (self.channels, *self.size)))})"


def feature_maps(network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[FeatureMap, ...]:
    """Outputs of all modules that run once, in the order in which they are there.

    Left out are the network's own output, what is no float tensor with a batch, and dropout.
    """
    runs: list[tuple[str, nn.Module, Any, int, bool]] = []
    computed, last = 0, False

    def record(name: str, layer: nn.Module, output: Any) -> None:
        nonlocal computed, last
        computes = isinstance(layer, COMPUTES)
        computed += computes
        if computes or isinstance(layer, _CHANNELS_LAST) or "BatchNorm" in type(layer).__name__:
            last = isinstance(layer, _CHANNELS_LAST)
        runs.append((name, layer, output, computed, last))

    handles = [
        layer.register_forward_hook(lambda layer, _inputs, output, name=name: record(name, layer, output))
        for name, layer in network.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            result = first_output(network(*inputs))
    finally:
        for handle in handles:
            handle.remove()
    names = [name for name, *_ in runs]
    return tuple(
        FeatureMap(
            name=name,
            channels=output.shape[-1 if channels_last else 1],
            size=tuple(output.shape[1:-1] if channels_last else output.shape[2:]),
            channels_last=channels_last,
            depth=done / max(computed, 1),
            computes=isinstance(layer, COMPUTES),
        )
        for name, layer, output, done, channels_last in runs
        if names.count(name) == 1 and output is not result and _is_map(layer, output)
    )


def choose(maps: Sequence[FeatureMap]) -> tuple[FeatureMap, ...]:
    """The last map of each size, or `LAYERS` convolutions and linear layers evenly spaced where all have one size.

    Sizes are those that convolutions and linear layers give; padding and pooling on the way between them are none.
    """
    layers = [found for found in maps if found.computes]
    sizes = {found.size for found in layers if prod(found.size) > 1}
    if len(sizes) > 1:
        stages = {found.size: found for found in maps if found.size in sizes}
        return tuple(sorted(stages.values(), key=lambda found: found.depth))
    count = min(LAYERS, len(layers))
    return tuple(layers[(index + 1) * len(layers) // count - 1] for index in range(count))


def named(maps: Sequence[FeatureMap], names: Sequence[str]) -> tuple[FeatureMap, ...]:
    """The maps of the modules that the user names.

    Raises:
        UnsupportedError: A name is no module, or one without a feature map.
    """
    known = {found.name: found for found in maps}
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.3) or list(known)[:3]
            raise UnsupportedError(
                f"layers: the teacher has no feature map {name!r}", hint=f"It has, among others: {', '.join(near)}."
            )
    return tuple(known[name] for name in dict.fromkeys(names))


def match(
    wanted: Sequence[FeatureMap], teacher: Sequence[FeatureMap], student: Sequence[FeatureMap]
) -> tuple[tuple[FeatureMap, FeatureMap], ...]:
    """Pairs of a teacher's and a student's map.

    By name where the student has every module of the teacher, else the student's last map of nearest depth: among
    those with as many sizes as the teacher's where there are any.

    Raises:
        UnsupportedError: The student has no feature map at all.
    """
    by_name = {found.name: found for found in student}
    if all(found.name in by_name for found in teacher):
        return tuple((found, by_name[found.name]) for found in wanted)
    if not student:
        raise UnsupportedError("the student has no feature map to align", hint="Use distill-soft.")
    return tuple((found, _nearest(found, student)) for found in wanted)


@contextmanager
def captured(network: nn.Module, maps: Sequence[FeatureMap]) -> Iterator[dict[str, torch.Tensor]]:
    """Collects the maps of the runs inside the `with`, by name; no hook stays behind."""
    found: dict[str, torch.Tensor] = {}
    handles = [
        network.get_submodule(name).register_forward_hook(
            lambda _layer, _inputs, output, name=name: found.__setitem__(name, output)
        )
        for name in {wanted.name for wanted in maps}
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _nearest(wanted: FeatureMap, maps: Sequence[FeatureMap]) -> FeatureMap:
    alike = [f for f in maps if len(f.size) == len(wanted.size) and (prod(f.size) > 1) == (prod(wanted.size) > 1)]
    return min(reversed(alike or maps), key=lambda found: abs(found.depth - wanted.depth))


def _is_map(layer: nn.Module, output: Any) -> bool:
    dropout = isinstance(layer, nn.modules.dropout._DropoutNd)  # noqa: SLF001 -- the one class that all of them share
    return isinstance(output, torch.Tensor) and output.is_floating_point() and output.dim() > 1 and not dropout

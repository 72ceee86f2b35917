"""Takes channels out of a live module, and checks that what is left computes what it computed before."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bench_prune.zeroing import LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench_prune.coupling import Group, Member, Side

TOLERANCE = 1e-3
"""Largest deviation relative to the largest output: far above rounding in float32, far below a wrong channel."""


def without(module: nn.Module, removed: Iterable[tuple[Group, set[int]]]) -> nn.Module:
    """Return a copy whose tensors lack the positions given for each group; parameters stay frozen where they were."""
    from torch_pruning import ops
    from torch_pruning.pruner.function import PrunerBox

    smaller = copy.deepcopy(module)
    frozen = {name for name, parameter in smaller.named_parameters() if not parameter.requires_grad}
    gone = _union(removed)
    # A grouped convolution may look depthwise once its outputs are fewer, so kinds are read before anything goes.
    boxes = {name: PrunerBox[ops.module2type(_part(smaller, name))] for name, _ in gone}
    for (name, side), (member, indices) in gone.items():
        part = _part(smaller, name)
        if isinstance(part, nn.Parameter):
            keep = [index for index in range(part.shape[member.dim]) if index not in indices]
            owner, _, attribute = name.rpartition(".")
            kept = torch.index_select(part.detach(), member.dim, torch.tensor(keep))
            setattr(smaller.get_submodule(owner), attribute, nn.Parameter(kept))
        elif side == "in":
            boxes[name].prune_in_channels(part, sorted(indices))
        else:
            boxes[name].prune_out_channels(part, sorted(indices))
    for name, parameter in smaller.named_parameters():
        parameter.requires_grad_(name not in frozen)
    return smaller


def silenced(module: nn.Module, removed: Iterable[tuple[Group, set[int]]]) -> nn.Module:
    """Return a copy of the same shape in which the weights of these positions are zero."""
    quieter = copy.deepcopy(module)
    with torch.no_grad():
        for (name, side), (_, indices) in _union(removed).items():
            part = _part(quieter, name)
            chosen = torch.tensor(sorted(indices), dtype=torch.int64)
            weight, bias = getattr(part, "weight", None), getattr(part, "bias", None)
            if isinstance(part, LAYERS) and side == "in":
                _silence_inputs(part, chosen)
            elif isinstance(part, nn.Embedding) or getattr(part, "transposed", False):
                part.weight[:, chosen] = 0.0
            elif weight is not None and weight.numel() > 1:  # one slope may serve all channels, as in nn.PReLU
                weight[chosen] = 0.0
            if side != "in" and bias is not None:
                bias[chosen] = 0.0
    return quieter


def objection(module: nn.Module, example: tuple[torch.Tensor, ...], group: Group, positions: set[int]) -> str | None:
    """Why these positions of a group cannot go: nothing when they can, None when they are outputs of the network.

    The module without them must compute what the module with their weights set to zero computes. That finds every
    place that torch-pruning cannot see: sizes fixed in `forward`, attention heads, normalisation across channels.
    """
    removed = [(group, positions)]
    with torch.no_grad():
        before = _outputs(silenced(module, removed)(*example))
        try:
            after = _outputs(without(module, removed)(*example))
        except Exception as error:  # noqa: BLE001 whatever a forward written for other sizes raises
            return f"the rest of the network needs their number ({type(error).__name__})"
    if any(one.shape != other.shape for one, other in zip(before, after, strict=True)):
        return None
    far = any(
        float((one - other).abs().max()) > TOLERANCE * max(float(one.abs().max()), 1e-12)
        for one, other in zip(before, after, strict=True)
        if one.is_floating_point()
    )
    return "the rest of the network mixes them" if far else ""


def _union(removed: Iterable[tuple[Group, set[int]]]) -> Mapping[tuple[str, Side], tuple[Member, set[int]]]:
    """Indices that each side of each layer loses to all groups together."""
    gone: dict[tuple[str, Side], tuple[Member, set[int]]] = {}
    for group, positions in removed:
        for member, indices in group.removals(positions).items():
            if indices:
                gone.setdefault((member.layer, member.side), (member, set()))[1].update(indices)
    return gone


def _part(module: nn.Module, name: str) -> Any:
    owner, _, attribute = name.rpartition(".")
    return getattr(module.get_submodule(owner), attribute) if name else module


def _silence_inputs(layer: Any, chosen: torch.Tensor) -> None:
    groups = getattr(layer, "groups", 1)
    if getattr(layer, "transposed", False):
        layer.weight[chosen] = 0.0
    elif groups == 1:
        layer.weight[:, chosen] = 0.0
    else:
        size, outputs = layer.in_channels // groups, layer.out_channels // groups
        for index in chosen.tolist():
            number, position = divmod(index, size)
            layer.weight[number * outputs : (number + 1) * outputs, position] = 0.0


def _outputs(found: Any) -> list[torch.Tensor]:
    if isinstance(found, torch.Tensor):
        return [found]
    parts = found.values() if isinstance(found, dict) else found
    return [tensor for part in parts for tensor in _outputs(part)]

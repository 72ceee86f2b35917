"""Which channels of which layers go together: the dependency graph of torch-pruning as plain facts.

Fang et al., DepGraph: Towards Any Structural Pruning, CVPR 2023, arXiv:2301.12900. The graph belongs to one live
module; what is kept of it are names and indices, so that they apply to every copy of that module.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from harness import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

Side = Literal["in", "out", "both"]

ACROSS = (nn.LayerNorm, nn.GroupNorm, nn.MultiheadAttention, nn.LSTM)
"""Layers whose result for one channel depends on the others, so that none can go without changing the rest."""

UNMAPPED = "torch-pruning cannot map their indices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One dimension of one layer that loses channels along with the group.

    Attributes:
        layer: Name of the layer, or of a parameter that stands by itself.
        side: `in` or `out` of a convolution or linear layer; `both` for what has as many of either.
        dim: Dimension of a parameter that stands by itself; 0 for layers.
        size: How many indices this dimension has, of which the group may hold a part.
        indices: Indices in this dimension, in step with `roots`.
        roots: Channel of the group that each index belongs to.
    """

    layer: str
    side: Side
    dim: int
    size: int
    indices: tuple[int, ...]
    roots: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Channels that can only be removed together, in every layer at once.

    Attributes:
        name: Layer whose output channels number the group.
        channels: How many there are.
        folds: Channel groups of a grouped convolution; each loses the same positions.
        worth: Importance of each position, `(channels / folds,)` float32, 1 on average.
        unranked: Why the importance says nothing of these channels, or "".
    """

    name: str
    channels: int
    folds: int
    worth: torch.Tensor
    members: tuple[Member, ...]
    unranked: str

    def removals(self, positions: set[int]) -> dict[Member, list[int]]:
        """Indices that each member loses when these positions go."""
        size = self.channels // self.folds
        return {
            member: [i for i, root in zip(member.indices, member.roots, strict=True) if root % size in positions]
            for member in self.members
        }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what torch-pruning prints and warns of."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def couple(
    traced: nn.Module, example: tuple[torch.Tensor, ...], importance: str
) -> tuple[list[Group], dict[str, list[str]]]:
    """Find the groups of a module in evaluation mode.

    Args:
        traced: A module of the caller's own, every parameter requiring gradients; with gradients for `taylor`.
        example: Its inputs, batch 1.
        importance: As in the options of `prune-channels`.

    Returns:
        Groups in the order of the module's layers, and the names of layers that stay whole by reason.

    Raises:
        UnsupportedError: The module cannot be followed.
    """
    with quiet():
        import torch_pruning

        try:
            graph = torch_pruning.DependencyGraph().build_dependency(
                traced, example, forward_fn=lambda module, inputs: module(*inputs), verbose=False
            )
            found = list(graph.get_all_groups())
            named = [_named(graph, group, traced, importance) for group in found]
        except Exception as error:
            raise UnsupportedError(
                f"torch-pruning cannot follow {type(traced).__name__}: {error}",
                hint="Prune weights in place of channels: prune-magnitude.",
            ) from error
    order = {name: place for place, (name, _) in enumerate(traced.named_modules())}
    groups: list[Group] = []
    left: dict[str, list[str]] = {}
    for name, result in sorted(named, key=lambda pair: order[pair[0]]):
        if isinstance(result, Group):
            groups.append(result)
        elif result:
            left.setdefault(result, []).append(name)
    return groups, left


def _named(graph: Any, group: Any, traced: nn.Module, importance: str) -> tuple[str, Group | str]:
    """Name of the root layer, and the group or the reason why it stays whole; no reason for outputs of the network."""
    from torch_pruning import ops
    from torch_pruning.pruner.function import PrunerBox

    names: dict[Any, str] = {module: name for name, module in traced.named_modules()}
    names |= {parameter: name for name, parameter in traced.named_parameters()}
    root = group[0].dep.target.module
    members = []
    folds = 1
    for item in group.items:
        target = item.dep.target
        if target.type == ops.OPTYPE.OUTPUT:
            return names[root], ""
        if target.type not in PrunerBox:
            continue
        reason = _refused(target.module, names, traced)
        if reason or any(index is None for index in item.root_idxs):
            return names[root], reason or UNMAPPED
        out, into = graph.is_out_channel_pruning_fn(item.dep.handler), graph.is_in_channel_pruning_fn(item.dep.handler)
        if target.type == ops.OPTYPE.CONV:
            folds = max(folds, target.module.groups)
        size = graph.get_out_channels(target) if out else graph.get_in_channels(target)
        if not all(0 <= index < size for index in item.idxs):
            return names[root], UNMAPPED
        members.append(
            Member(
                layer=names[target.module],
                side="both" if out and into else "out" if out else "in",
                dim=target.pruning_dim if isinstance(target.module, nn.Parameter) else 0,
                size=size,
                indices=tuple(item.idxs),
                roots=tuple(item.root_idxs),
            )
        )
    channels = graph.get_out_channels(root)
    if channels % folds:
        return names[root], "channel groups that do not divide them"
    worth = _scorer(importance)(group)
    unranked = "" if worth is not None and len(worth) == channels else f"importance={importance} does not rank them"
    ranked = torch.ones(channels) if worth is None or unranked else torch.nan_to_num(worth.float(), nan=1.0)
    return names[root], Group(
        name=names[root],
        channels=channels,
        folds=folds,
        worth=ranked.reshape(folds, -1).mean(0),
        members=tuple(members),
        unranked=unranked,
    )


def _refused(module: Any, names: dict[Any, str], traced: nn.Module) -> str:
    """Why a group with this layer stays whole, or nothing."""
    if isinstance(module, ACROSS):
        return f"{type(module).__name__} {names[module]} mixes them"
    weight = module if isinstance(module, nn.Parameter) else getattr(module, "weight", None)
    users = sum(parameter is weight for _, parameter in traced.named_parameters(remove_duplicate=False))
    return f"weights of {names[module]} are shared" if weight is not None and users > 1 else ""


def _scorer(importance: str) -> Any:
    """Importance of each channel of a group, normalised to 1 on average; None where it says nothing of a group.

    `taylor` is Molchanov et al., CVPR 2019, |weight × gradient|; `bn-scale` is Liu et al., Network Slimming, ICCV 2017.
    """
    from torch_pruning import importance as scores

    if importance == "taylor":
        return scores.GroupTaylorImportance()
    if importance == "bn-scale":
        return scores.BNScaleImportance()
    return scores.GroupMagnitudeImportance(p=1 if importance == "l1" else 2)

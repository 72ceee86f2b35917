"""The layers of a live module that may be factorised: where they stand, what they are fed with, what they cost."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench_lowrank.remarks import Remarks

CONVOLUTIONS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
"""Class of a convolution over so many dimensions of space."""
PLAIN: tuple[type[nn.Module], ...] = (nn.Linear, *CONVOLUTIONS.values())
TRANSPOSED: tuple[type[nn.Module], ...] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

LAYERS: tuple[type[nn.Module], ...] = (*PLAIN, *TRANSPOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Sizes of space that a layer reads and writes in one inference; for a linear layer both are its rows."""

    read: tuple[int, ...]
    written: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer that may be factorised.

    Attributes:
        name: Its first path in the module.
        paths: All its paths: more than one where parents share it.
        module: The layer, of a plain torch class.
        calls: Where it was called on the example.
    """

    name: str
    paths: tuple[str, ...]
    module: Any
    calls: tuple[Call, ...]

    @property
    def weight(self) -> torch.Tensor:
        """`(out, in, *kernel)` in float64; a linear layer has no kernel."""
        weight: torch.Tensor = self.module.weight.detach().to(torch.float64)
        return weight

    @property
    def kernel(self) -> tuple[int, ...]:
        """Kernel size, empty for a linear layer."""
        return tuple(self.module.weight.shape[2:])

    @property
    def parameters(self) -> int:
        """Weights, without the bias, which stays as it is."""
        return int(self.module.weight.numel())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return self.parameters * self.written

    @property
    def read(self) -> int:
        """Positions read in one inference."""
        return sum(math.prod(call.read) for call in self.calls)

    @property
    def written(self) -> int:
        """Positions written in one inference."""
        return sum(math.prod(call.written) for call in self.calls)


def find_layers(module: nn.Module, example: tuple[torch.Tensor, ...], remarks: Remarks) -> list[Layer]:
    """Linear layers and convolutions without groups, in the module's order; says which ones are left alone and why.

    A layer of a class of the user's own counts as plain when it does on the example what the plain one does.
    """
    paths: dict[nn.Module, list[str]] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        if isinstance(part, LAYERS):
            paths.setdefault(part, []).append(path)
    owners = Counter(id(p) for part in module.modules() for p in part.parameters(recurse=False))
    candidates = [layer for layer in paths if not _is_left(layer, paths[layer][0], owners, remarks)]
    plain = {layer: layer if type(layer) in PLAIN else _as_plain(layer) for layer in candidates}
    calls, different = _watch(module, plain, example)
    found = []
    for layer in candidates:
        name = paths[layer][0]
        if not calls[layer]:
            remarks.leave(name, "their parent reads the weight instead of calling them")
        elif layer in different:
            remarks.leave(name, f"{type(layer).__name__} is no plain layer")
        else:
            found.append(Layer(name=name, paths=tuple(paths[layer]), module=plain[layer], calls=tuple(calls[layer])))
    return found


def zeros_share(layer: Layer) -> float:
    """Share of the weights that are exactly zero."""
    return float((layer.module.weight == 0).double().mean())


def _is_left(layer: nn.Module, name: str, owners: Counter[int], remarks: Remarks) -> bool:
    reason = _reason(layer, owners)
    if reason:
        remarks.leave(name, reason)
    return bool(reason)


def _reason(layer: Any, owners: Counter[int]) -> str:
    """Why a layer cannot be factorised whatever the technique, or an empty text."""
    if not isinstance(layer, PLAIN):
        return "transposed convolutions"
    weight = layer._parameters.get("weight")  # noqa: SLF001 -- a parametrised weight is an attribute, no parameter
    if weight is None or type(weight) is not nn.Parameter or not weight.is_floating_point():
        return "the weight is no plain float parameter"
    if any(owners[id(parameter)] > 1 for parameter in layer.parameters(recurse=False)):
        return "another layer shares their parameters"
    if layer._forward_hooks or layer._forward_pre_hooks:  # noqa: SLF001 -- torch has no public question for it
        return "something hooks into them"
    if not isinstance(layer, nn.Linear) and layer.groups != 1:
        return "grouped convolutions"
    return "" if bool(weight.detach().any()) else "all weights are zero"


def _watch(
    module: nn.Module, plain: dict[nn.Module, nn.Module], example: tuple[torch.Tensor, ...]
) -> tuple[dict[nn.Module, list[Call]], set[nn.Module]]:
    """Calls of each layer on the example, and the layers that did not do what their plain counterpart does."""
    calls: dict[nn.Module, list[Call]] = {layer: [] for layer in plain}
    different: set[nn.Module] = set()

    def note(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any], result: torch.Tensor) -> None:
        read = given[0] if given else named["input"]
        calls[layer].append(_call(plain[layer], read, result))
        if plain[layer] is not layer and not _same(plain[layer](read), result):
            different.add(layer)

    handles = [layer.register_forward_hook(note, with_kwargs=True) for layer in plain]
    try:
        with torch.no_grad():
            module(*example)
    finally:
        for handle in handles:
            handle.remove()
    return calls, different


def _as_plain(layer: Any) -> nn.Module:
    """A plain layer with the same weight and bias as one of a derived class."""
    bias = layer.bias is not None
    plain: Any
    if isinstance(layer, nn.Linear):
        plain = nn.Linear(layer.in_features, layer.out_features, bias=bias, device="meta")
    else:
        kind: Any = next(kind for kind in CONVOLUTIONS.values() if isinstance(layer, kind))
        padding = layer.padding if isinstance(layer.padding, str) else tuple(layer.padding)
        plain = kind(
            layer.in_channels, layer.out_channels, layer.kernel_size, stride=tuple(layer.stride), padding=padding,
            dilation=tuple(layer.dilation), bias=bias, padding_mode=layer.padding_mode, device="meta",
        )  # fmt: skip
    plain.weight, plain.bias = layer.weight, layer.bias
    made: nn.Module = plain.train(layer.training)
    return made


def _same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return ours.shape == theirs.shape and torch.equal(ours, theirs)


def _call(layer: Any, given: torch.Tensor, result: torch.Tensor) -> Call:
    if isinstance(layer, nn.Linear):
        rows = (given.numel() // given.shape[-1],)
        return Call(read=rows, written=rows)
    dimensions = layer.weight.dim() - 2
    return Call(read=tuple(given.shape[-dimensions:]), written=tuple(result.shape[-dimensions:]))


def leaves(output: Any) -> Iterator[torch.Tensor]:
    """Tensors of a module's output, whatever tuples, lists and dicts hold them."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        for value in output.values():
            yield from leaves(value)
    elif isinstance(output, tuple | list):
        for value in output:
            yield from leaves(value)

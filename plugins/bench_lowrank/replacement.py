"""Puts factors in the place of layers, where the rest of the module works with them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench_lowrank.layer import Layer, leaves

if TYPE_CHECKING:
    from bench_lowrank.remarks import Remarks


def replace(module: nn.Module, layer: Layer, new: nn.Module) -> nn.Module:
    """Put `new` at every path of a layer, in place; returns the module, which is `new` when the layer was all of it."""
    for path in layer.paths:
        if not path:
            return new
        module.set_submodule(path, new)
    return module


def replaceable(
    module: nn.Module, layers: list[Layer], example: tuple[torch.Tensor, ...], remarks: Remarks
) -> list[Layer]:
    """The layers that can be inside an `nn.Sequential` without anybody noticing; the module is left as it was.

    Some modules read the weight of a layer past its `forward` (`nn.TransformerEncoderLayer` does in evaluation). Each
    layer is tried in a sequence that holds it alone, which changes no number: where the module then fails or puts
    out anything else, the layer stays. All are tried at once first, one by one only when that shows something.
    """
    before = _outputs(module, example)
    if _unnoticed(module, layers, example, before):
        return layers
    kept = []
    for layer in layers:
        if _unnoticed(module, [layer], example, before):
            kept.append(layer)
        else:
            remarks.leave(layer.name, "the module does not work with anything else in their place")
    return kept


def _unnoticed(
    module: nn.Module, layers: list[Layer], example: tuple[torch.Tensor, ...], before: list[torch.Tensor]
) -> bool:
    originals = {layer.name: module.get_submodule(layer.name) for layer in layers}
    tried = module
    for layer in layers:
        tried = replace(tried, layer, nn.Sequential(OrderedDict(layer=layer.module)))
    try:
        after = _outputs(tried, example)
    except Exception:  # noqa: BLE001 -- a module of the user's own fails with whatever it likes
        return False
    finally:
        for layer in layers:
            replace(module, layer, originals[layer.name])
    return len(after) == len(before) and all(
        torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in zip(after, before, strict=True)
    )


def _outputs(module: nn.Module, example: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Tensors that a module puts out, the same every time even where it draws random numbers."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [tensor.clone() for tensor in leaves(module(*example))]

"""A module's graph as torch.fx traces it, with its convolutions and linear layers as modules of their own.

Quantisers of torch fold, fuse and quantise modules: a convolution that code calls as a function, such as one that pads
by itself, would keep its batch normalisation, and `torch.relu` would stay an operator of its own.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

CONVOLUTIONS: dict[Any, type[nn.Module]] = {torch.conv1d: nn.Conv1d, torch.conv2d: nn.Conv2d, torch.conv3d: nn.Conv3d}

RELU = {torch.relu, torch.relu_, functional.relu, functional.relu_}

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

SIX = 6.0


def traced_layers(module: nn.Module) -> GraphModule | None:
    """A traced copy in evaluation mode, layers as modules; None where torch.fx cannot follow the module's code."""
    import copy

    from torch.fx import symbolic_trace

    try:
        traced = symbolic_trace(copy.deepcopy(module).eval())
    except Exception:  # noqa: BLE001  tracing raises whatever the module's own code raises on a proxy
        return None
    for number, node in enumerate(list(traced.graph.nodes)):
        if node.op == "call_function" and (node.target in CONVOLUTIONS or node.target is functional.linear):
            _as_module(traced, node, f"layer_{number}")
        elif (node.op == "call_function" and node.target in RELU) or (
            node.op == "call_method" and node.target in {"relu", "relu_"}
        ):
            _replace(traced, node, f"relu_{number}", nn.ReLU(), node.args[0])
        elif node.op == "call_method" and node.target == "flatten":  # in eight bits as a function alone
            node.op, node.target = "call_function", torch.flatten
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _as_module(traced: GraphModule, node: Node, name: str) -> None:
    """Turn a call with a constant weight into a layer; other calls stay as they are."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    given: dict[str, Any] = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    weight, bias = (_parameter(traced, given.get(key)) for key in ("weight", "bias"))
    if weight is None or (bias is None and given.get("bias") is not None):
        return
    if node.target is functional.linear:
        layer: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    else:
        how = {key: given[key] for key in ("stride", "padding", "dilation", "groups") if key in given}
        if not all(_plain(value) for value in how.values()):
            return
        inputs = weight.shape[1] * how.get("groups", 1)
        kind = CONVOLUTIONS[node.target]
        layer = kind(inputs, weight.shape[0], tuple(weight.shape[2:]), bias=bias is not None, **how)
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    _replace(traced, node, name, layer, given["input"])


def _plain(value: Any) -> bool:
    return isinstance(value, int | str) or (
        isinstance(value, tuple | list) and all(isinstance(item, int) for item in value)
    )


def _parameter(traced: GraphModule, node: Any) -> torch.Tensor | None:
    """Content of an argument that is a parameter or buffer of the module."""
    if getattr(node, "op", "") != "get_attr":
        return None
    value: Any = operator.attrgetter(node.target)(traced)
    return value if isinstance(value, torch.Tensor) else None


def _replace(traced: GraphModule, node: Node, name: str, layer: nn.Module, given: Any) -> None:
    """Put a layer in the place of a call."""
    traced.add_submodule(name, layer.eval())
    with traced.graph.inserting_after(node):
        new = traced.graph.call_module(name, (given,))
    node.replace_all_uses_with(new)
    traced.graph.erase_node(node)


def part_of(traced: GraphModule, node: Any) -> nn.Module | None:
    """The module that a node calls, or None."""
    return traced.get_submodule(node.target) if getattr(node, "op", "") == "call_module" else None


def close_pads(traced: GraphModule) -> None:
    """Let convolutions do the pads before them that have as many zeros at either end: a pad has no 8-bit kernel."""
    for node in list(traced.graph.nodes):
        pad, readers = part_of(traced, node), list(node.users)
        layers = [part_of(traced, reader) for reader in readers]
        if not isinstance(pad, nn.ZeroPad1d | nn.ZeroPad2d | nn.ZeroPad3d) or not layers:
            continue
        sides = tuple(reversed(pad.padding))  # from the last axis on, before and after
        before, after = sides[1::2], sides[::2]
        if before != after or not all(_pads_with_zeros(layer) for layer in layers):
            continue
        for layer in layers:
            layer.padding = tuple(a + b for a, b in zip(layer.padding, before, strict=True))  # type: ignore[union-attr]
        node.replace_all_uses_with(node.args[0])
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()


def _pads_with_zeros(layer: Any) -> bool:
    convolves = isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    return convolves and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def open_sixes(traced: GraphModule) -> None:
    """Turn each ReLU6 that a layer leads to into a ReLU, which kernels fuse with the layer, and a hook that bounds it.

    The hook bounds what a quantiser observes. Values in eight bits saturate at the end of the range that was observed,
    so that a fused kernel needs no bound of its own; a ReLU that stays in float keeps the hook.
    """
    for number, node in enumerate(list(traced.graph.nodes)):
        if _is_six(traced, node) and _follows_a_layer(traced, node):
            relu = nn.ReLU()
            relu.register_forward_hook(_at_most_six)
            _replace(traced, node, f"six_{number}", relu, node.args[0])
    traced.delete_all_unused_submodules()
    traced.recompile()


def has_attention(traced: GraphModule) -> bool:
    """Whether tensors that are both computed are multiplied around a softmax."""
    products = {torch.matmul, torch.bmm, torch.baddbmm, operator.matmul, "matmul", "bmm", "__matmul__"}
    attends = {functional.scaled_dot_product_attention}
    nodes = list(traced.graph.nodes)
    softmax = any(
        node.target in {torch.softmax, functional.softmax, "softmax"} or isinstance(part_of(traced, node), nn.Softmax)
        for node in nodes
    )
    return (softmax and sum(node.target in products for node in nodes) > 1) or any(
        node.target in attends or isinstance(part_of(traced, node), nn.MultiheadAttention) for node in nodes
    )


def _follows_a_layer(traced: GraphModule, node: Node) -> bool:
    """Whether a node reads a convolution or linear layer, normalised or not, and is the only one to do so."""
    before: Any = node.args[0]
    part = part_of(traced, before)
    if part is None or len(before.users) != 1:
        return False
    if isinstance(part, NORMS):
        return _follows_a_layer(traced, before)
    return isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear)


def _is_six(traced: GraphModule, node: Node) -> bool:
    part = part_of(traced, node)
    if isinstance(part, nn.Hardtanh):  # nn.ReLU6 is one
        return (part.min_val, part.max_val) == (0.0, SIX)
    return node.op == "call_function" and node.target is functional.relu6


def _at_most_six(_part: nn.Module, _given: Any, result: torch.Tensor) -> torch.Tensor:
    return result.clamp(max=SIX)

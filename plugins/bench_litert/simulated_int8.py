"""Programs of simulated int8, from training that sees the quantisation, in the form that LiteRT's converter takes.

The converter wants every quantised tensor as a pair of quantise and dequantise: weights in floats before it,
activations in int8 (per-channel kernels of LiteRT have no others, LiteRT 8-bit quantization specification), and the
result of each layer too. The numbers stay the same but for the results that had no range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.fx import GraphModule, Node

_space = torch.ops.quantized_decomposed
QUANTISE = {_space.dequantize_per_channel.default: _space.quantize_per_channel.default,
            _space.dequantize_per_tensor.default: _space.quantize_per_tensor.default}  # fmt: skip
"""Each dequantisation with its quantisation; both take the same arguments after the first."""

PER_TENSOR = frozenset({_space.quantize_per_tensor.default, _space.dequantize_per_tensor.default})

LAYERS = frozenset({torch.ops.aten.linear.default, torch.ops.aten.conv1d.default, torch.ops.aten.conv2d.default})
"""Operators whose result the converter leaves in float, and with it the operator, unless it has a range."""

SHIFT = 128
"""Of zero points, from uint8 to int8."""

LOWEST, HIGHEST = -128, 127


def is_simulated(module: GraphModule) -> bool:
    """Whether a program quantises anything."""
    return any(node.target in QUANTISE for node in module.graph.nodes)


def prepare(module: GraphModule, rows: Sequence[tuple[torch.Tensor, ...]]) -> tuple[str, ...]:
    """Bring a program into that form, in place, and say what had to be found out.

    Args:
        rows: Inputs of batch 1 that give the range of a last layer; with none it stays in float.
    """
    for node in list(module.graph.nodes):
        if node.target in QUANTISE and node.args[0].op == "get_attr":
            _quantise_before(node, module)
        elif node.target in PER_TENSOR and node.args[5] == torch.uint8:
            data, scale, zero, low, high, _ = node.args
            node.args = (data, scale, zero - SHIFT, low - SHIFT, high - SHIFT, torch.int8)
    open_ends = [node for node in module.graph.nodes if _without_range(node)]
    ranges = _ranges(module, open_ends, rows)
    for node in open_ends:
        if node.name in ranges:
            _quantise_after(node, *ranges[node.name])
    module.graph.lint()
    module.recompile()
    if not open_ends:
        return ()
    count = f"{len(open_ends)} layer{'s' if len(open_ends) > 1 else ''}"
    if not ranges:
        return (f"{count} left in float: there are no calibration rows to give the range of the result",)
    return (f"result of {count} in int8 too, range from {len(rows)} calibration rows",)


def _quantise_before(node: Any, module: GraphModule) -> None:
    """Store a weight in float and quantise it where it is read; rounding gives the same integers again."""
    values = node.target(*(_value(each, module) for each in node.args))
    name = f"in_float_{node.name}"
    module.register_buffer(name, values.detach())
    with module.graph.inserting_before(node):
        weight = module.graph.get_attr(name)
        quantised = module.graph.call_function(QUANTISE[node.target], (weight, *node.args[1:]))
    node.replace_input_with(node.args[0], quantised)


def _without_range(node: Any) -> bool:
    """Whether a layer of quantised operands has a result that goes on in float."""
    if node.target not in LAYERS or not all(operand.target in QUANTISE for operand in node.args[:2]):
        return False
    following = set(node.users)
    while any(reader.target in CLAMPS for reader in following):
        following = {user for r in following for user in (r.users if r.target in CLAMPS else (r,))}
    return not any(reader.target in PER_TENSOR for reader in following)


CLAMPS = frozenset({
    torch.ops.aten.relu.default, torch.ops.aten.relu6.default, torch.ops.aten.hardtanh.default,
    torch.ops.aten.clamp.default,
})  # fmt: skip
"""What becomes part of the layer before it."""


def _ranges(
    module: GraphModule, nodes: Sequence[Node], rows: Sequence[tuple[torch.Tensor, ...]]
) -> dict[str, tuple[float, int]]:
    """Scale and zero point of each node's result, by its name: from the smallest to the largest value seen."""
    if not nodes or not rows:
        return {}
    wanted = {node.name for node in nodes}
    low, high = dict.fromkeys(wanted, 0.0), dict.fromkeys(wanted, 0.0)  # zero is always in the range

    class Watch(torch.fx.Interpreter):
        def run_node(self, n: Node) -> Any:
            result = super().run_node(n)
            if n.name in wanted:
                low[n.name] = min(low[n.name], float(result.min()))
                high[n.name] = max(high[n.name], float(result.max()))
            return result

    watch = Watch(module)
    flatten = module.graph._codegen.process_inputs  # noqa: SLF001 - an interpreter wants what the graph itself takes
    with torch.no_grad():
        for row in rows:
            watch.run(*flatten(*row), enable_io_processing=False)
    found = {}
    for name in wanted:
        scale = max((high[name] - low[name]) / (HIGHEST - LOWEST), torch.finfo(torch.float32).tiny)
        found[name] = (scale, round(LOWEST - low[name] / scale))
    return found


def _quantise_after(node: Node, scale: float, zero: int) -> None:
    graph, how = node.graph, (scale, zero, LOWEST, HIGHEST, torch.int8)
    with graph.inserting_after(node):
        quantised = graph.call_function(_space.quantize_per_tensor.default, (node, *how))
    with graph.inserting_after(quantised):
        back = graph.call_function(_space.dequantize_per_tensor.default, (quantised, *how))
    node.replace_all_uses_with(back, delete_user_cb=lambda user: user is not quantised)


def _value(argument: Any, module: GraphModule) -> Any:
    """A constant of the graph, or an argument that is a value already."""
    if not isinstance(argument, torch.fx.Node):
        return argument
    found: Any = module
    for part in str(argument.target).split("."):
        found = getattr(found, part)
    return found

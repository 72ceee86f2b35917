"""Programs of simulated int8, from training that sees the quantisation, in the form that XNNPACK takes.

Its integer kernels have activations in int8 with a zero point, weights in int8 around zero, and a result in int8 of
every layer (`XNNPACKQuantizer`; xnn_datatype_qint8 and qcint8 of xnnpack.h). The numbers of the program stay the same
but for the results that had no range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.fx import GraphModule, Node

_space = torch.ops.quantized_decomposed
DEQUANTISE = frozenset({_space.dequantize_per_channel.default, _space.dequantize_per_tensor.default})
PER_TENSOR = frozenset({_space.quantize_per_tensor.default, _space.dequantize_per_tensor.default})

LAYERS = frozenset({torch.ops.aten.linear.default, torch.ops.aten.conv1d.default, torch.ops.aten.conv2d.default})

CLAMPS = frozenset({
    torch.ops.aten.relu.default, torch.ops.aten.relu6.default, torch.ops.aten.hardtanh.default,
    torch.ops.aten.clamp.default,
})  # fmt: skip
"""What becomes part of the layer before it."""

SHIFT = 128
"""Of zero points, from uint8 to int8."""

LOWEST, HIGHEST = -128, 127


def is_simulated(module: GraphModule) -> bool:
    """Whether a program quantises anything."""
    return any(node.target in DEQUANTISE for node in module.graph.nodes)


def prepare(module: GraphModule, rows: Sequence[tuple[torch.Tensor, ...]]) -> tuple[str, ...]:
    """Bring a program into that form, in place, and say what had to be found out.

    Args:
        rows: Inputs of batch 1 that give the range of a last layer; with none it goes back to float.
    """
    for node in module.graph.nodes:
        if node.target in PER_TENSOR and node.args[5] == torch.uint8:
            data, scale, zero, low, high, _ = node.args
            node.args = (data, scale, zero - SHIFT, low - SHIFT, high - SHIFT, torch.int8)
    open_ends = [node for node in module.graph.nodes if _without_range(node)]
    ranges = _ranges(module, open_ends, rows)
    for node in open_ends:
        if node.name in ranges:
            _quantise_after(_clamped(node), *ranges[node.name])
        else:
            _back_to_float(node, module)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    if not open_ends:
        return ()
    count = f"{len(open_ends)} layer{'s' if len(open_ends) > 1 else ''}"
    if not ranges:
        return (f"{count} back in float: there are no calibration rows to give the range of the result",)
    return (f"result of {count} in int8 too, range from {len(rows)} calibration rows",)


def _without_range(node: Node) -> bool:
    """Whether a layer of quantised operands has a result that goes on in float."""
    if node.target not in LAYERS or not all(getattr(o, "target", "") in DEQUANTISE for o in node.args[:2]):
        return False
    return not any(reader.target in PER_TENSOR for reader in _clamped(node).users)


def _clamped(node: Node) -> Node:
    """The clamp that alone reads a layer, or the layer."""
    reader = next(iter(node.users), node)
    return reader if len(node.users) == 1 and reader.target in CLAMPS else node


def _ranges(
    module: GraphModule, nodes: Sequence[Node], rows: Sequence[tuple[torch.Tensor, ...]]
) -> dict[str, tuple[float, int]]:
    """Scale and zero point of each layer's result, by the layer's name: from the smallest to the largest value seen."""
    if not nodes or not rows:
        return {}
    wanted = {_clamped(node).name: node.name for node in nodes}
    low, high = dict.fromkeys(wanted.values(), 0.0), dict.fromkeys(wanted.values(), 0.0)  # zero is always in the range

    class Watch(torch.fx.Interpreter):
        def run_node(self, n: Node) -> Any:
            result = super().run_node(n)
            if n.name in wanted:
                name = wanted[n.name]
                low[name], high[name] = min(low[name], float(result.min())), max(high[name], float(result.max()))
            return result

    run_rows(Watch(module), module, rows)
    found = {}
    for name in low:
        scale = max((high[name] - low[name]) / (HIGHEST - LOWEST), SMALLEST_SCALE)
        found[name] = (scale, round(LOWEST - low[name] / scale))
    return found


SMALLEST_SCALE = 2.0**-12
"""Of activations, as in ExecuTorch's `get_symmetric_quantization_config`."""


def run_rows(interpreter: Any, module: GraphModule, rows: Sequence[tuple[torch.Tensor, ...]]) -> None:
    """Run an interpreter of a program's module over rows."""
    flatten = module.graph._codegen.process_inputs  # noqa: SLF001 - an interpreter wants what the graph itself takes
    with torch.no_grad():
        for row in rows:
            interpreter.run(*flatten(*row), enable_io_processing=False)


def _quantise_after(node: Node, scale: float, zero: int) -> None:
    graph, how = node.graph, (scale, zero, LOWEST, HIGHEST, torch.int8)
    with graph.inserting_after(node):
        quantised = graph.call_function(_space.quantize_per_tensor.default, (node, *how))
    with graph.inserting_after(quantised):
        back = graph.call_function(_space.dequantize_per_tensor.default, (quantised, *how))
    node.replace_all_uses_with(back, delete_user_cb=lambda user: user is not quantised)


def _back_to_float(node: Node, module: GraphModule) -> None:
    """Give a layer its weight in float, and its data as it was before it was quantised."""
    data, weight = node.args[:2]
    node.replace_input_with(data, data.args[0].args[0])
    name = f"in_float_{node.name}"
    module.register_buffer(name, weight.target(*(value_of(each, module) for each in weight.args)).detach())
    with module.graph.inserting_before(node):
        node.replace_input_with(weight, module.graph.get_attr(name))


def value_of(argument: Any, module: GraphModule) -> Any:
    """A constant of the graph, or an argument that is a value already."""
    if not isinstance(argument, torch.fx.Node):
        return argument
    found: Any = module
    for part in str(argument.target).split("."):
        found = getattr(found, part)
    return found

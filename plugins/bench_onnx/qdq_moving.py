"""Moves QuantizeLinear up and DequantizeLinear down past operators that only move data.

Both directions are ONNX Runtime's "QDQ propagation": one scale for a whole tensor holds before and after the move.
"""

from __future__ import annotations

from dataclasses import replace

from bench_onnx.links import links_of
from bench_onnx.network import Network, Node, TensorType

MOVERS = frozenset({"DepthToSpace", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Slice", "SpaceToDepth",
                    "Squeeze", "Transpose", "Unsqueeze"})  # fmt: skip
"""Operators with one data input whose result holds only values of that input."""


def _moves_one_tensor(node: Node, network: Network) -> bool:
    return (
        node.op in MOVERS
        and not node.domain
        and len([name for name in node.outputs if name]) == 1
        and all(network.constant(name) for name in node.inputs[1:] if name)
    )


def quantise_before_moving(network: Network, types: dict[str, TensorType]) -> list[Node]:
    """`x → move → Quantize` becomes `x → Quantize → move`, so that the producer of x meets its Quantize."""
    nodes = list(network.nodes)
    index = len(nodes)
    while index:
        index -= 1
        node = nodes[index]
        if not _moves_one_tensor(node, network):
            continue
        links = links_of(nodes, network.outputs)
        readers = links.readers.get(node.outputs[0], ())
        source = node.inputs[0]
        made_by = links.producer.get(source)
        if (
            len(readers) != 1
            or not links.only_read_by(node.outputs[0], "QuantizeLinear")
            or len(links.readers[source]) != 1
            or source in links.outputs
            or made_by is None
            or made_by.op == "DequantizeLinear"
        ):
            continue
        quantize = readers[0]
        result, early = quantize.outputs[0], f"{source}/quantised"
        types[early] = TensorType(precision=types[result].precision, shape=types[source].shape)
        nodes[nodes.index(quantize)] = replace(
            node, inputs=(early, *node.inputs[1:]), outputs=(result,), precision="int8", scheme="static"
        )
        nodes[index] = replace(quantize, inputs=(source, *quantize.inputs[1:]), outputs=(early,))
        index = len(nodes)
    return nodes


def move_before_dequantising(network: Network, types: dict[str, TensorType]) -> list[Node]:
    """`q → Dequantize → move` becomes `q → move → Dequantize`, unless a Quantize follows anyway."""
    links = links_of(network.nodes, network.outputs)
    dequantised = {n.outputs[0]: n for n in network.nodes if _per_tensor_dequantize(n, network)}
    nodes: list[Node] = []
    for node in network.nodes:
        nodes.append(node)
        source = dequantised.get(node.inputs[0]) if node.inputs else None
        if source is None or not _moves_one_tensor(node, network):
            continue
        output = node.outputs[0]
        if links.only_read_by(output, "QuantizeLinear"):
            continue
        moved = f"{output}/quantised"
        types[moved] = TensorType(precision=types[source.inputs[0]].precision, shape=types[output].shape)
        nodes[-1] = replace(
            node, inputs=(source.inputs[0], *node.inputs[1:]), outputs=(moved,), precision="int8", scheme="static"
        )
        late = replace(source, inputs=(moved, *source.inputs[1:]), outputs=(output,), name=f"{source.name}/{node.name}")
        nodes.append(late)
        dequantised[output] = late
    return nodes


def _per_tensor_dequantize(node: Node, network: Network) -> bool:
    scale = network.constants.get(node.inputs[1]) if node.op == "DequantizeLinear" and not node.domain else None
    return scale is not None and scale.size == 1

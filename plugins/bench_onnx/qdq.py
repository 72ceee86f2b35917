"""QDQ form: an operator between DequantizeLinear and QuantizeLinear becomes one operator on quantised tensors.

What is left of the two is what a runtime must do: `QuantizeLinear` where a float tensor becomes quantised,
`DequantizeLinear` where a quantised one becomes float. The rules are those of runtimes that fuse QDQ (ONNX Runtime's
"QDQ propagation" and "QDQ selectors", LiteRT's quantisation specification): an operator that multiplies and
accumulates is integer when its operands are, whatever happens to its result; any other one only when its result is
quantised again; one that merely moves data is integer when its input is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench_onnx.kinds import activation_kind
from bench_onnx.links import Links, links_of
from bench_onnx.network import Network, Node, TensorType
from bench_onnx.qdq_moving import MOVERS, move_before_dequantising, quantise_before_moving

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAC_OPS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
ACTIVATIONS = frozenset({"Relu", "Clip"})
ACTIVATED = MAC_OPS | {"Add", "Sub", "Mul", "BatchNormalization"}
"""Operators that integer kernels end with a clamp."""

VARIADIC = frozenset({"Add", "Sub", "Mul", "Div", "Concat", "Max", "Min", "Mean", "Sum", "PRelu", "Pow", "Equal",
                      "Greater", "Less"})  # fmt: skip
"""Operators all of whose inputs are data."""

UNARY = MOVERS | frozenset({
    "Abs", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Clip", "Elu", "Erf", "Exp", "Expand", "Gelu",
    "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "InstanceNormalization", "LayerNormalization",
    "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "Mish", "Neg", "Pad", "Reciprocal", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Resize", "Sigmoid", "Softmax", "Softplus", "Split", "Sqrt",
    "Swish", "Tanh", "Tile", "TopK", "Upsample",
})  # fmt: skip
"""Operators whose first input alone is data; the others are parameters."""


def normalise_qdq(network: Network) -> Network:
    """Replace pairs of QuantizeLinear and DequantizeLinear by quantised operators."""
    if not any(node.op in {"QuantizeLinear", "DequantizeLinear"} and not node.domain for node in network.nodes):
        return network
    types = dict(network.types)
    network = replace(network, nodes=tuple(quantise_before_moving(network, types)), types=types)
    network = replace(network, nodes=tuple(move_before_dequantising(network, types)), types=types)
    return _absorb(network, types)


def _absorb(network: Network, types: dict[str, TensorType]) -> Network:
    """Make operators quantised, then keep only the Quantize and Dequantize nodes that still have work to do."""
    links = links_of(network.nodes, network.outputs)
    dequantised = {n.outputs[0]: n for n in network.nodes if n.op == "DequantizeLinear" and not n.domain}
    alias: dict[str, str] = {}
    made: dict[str, Node] = {}  # output of an absorbed operator to its Quantize
    swallowed: set[str] = set()  # outputs of nodes that have become part of another
    nodes: list[Node] = []
    for node in network.nodes:
        if node.outputs[0] in swallowed:
            continue
        if node.op == "QuantizeLinear" and not node.domain:
            nodes += _quantize(node, made.get(node.inputs[0]) or _twin(node, dequantised), network, alias)
            continue
        if node.precision or not _operands_quantised(node, network, dequantised):
            nodes.append(node)
            continue
        chain = _chain(node, links, network)
        ends = [name for name in chain[-1].outputs if name]
        if all(links.only_read_by(end, "QuantizeLinear") for end in ends):
            swallowed |= {part.outputs[0] for part in chain[1:]}
            made |= {end: links.readers[end][0] for end in ends}
            nodes.append(_quantised(chain, tuple(made[end].outputs[0] for end in ends), dequantised, network))
        elif node.op in MAC_OPS:
            bias = [part for part in chain[1:] if part.op == "Add"]
            result = (bias or [node])[-1].outputs[0]
            swallowed |= {part.outputs[0] for part in bias}
            sums = f"{result}/sums"
            types[sums] = TensorType(precision="int32", shape=types[result].shape if result in types else None)
            nodes.append(_quantised([node, *bias], (sums,), dequantised, network))
            nodes.append(
                Node(name=f"{node.name}/dequantize", op="DequantizeLinear", inputs=(sums,), outputs=(result,),
                     source=node.source)
            )  # fmt: skip
        else:
            nodes.append(node)
    nodes = [replace(n, inputs=tuple(_resolve(name, alias) for name in n.inputs)) for n in nodes]
    return replace(network, nodes=tuple(_without_idle_dequantize(nodes, network.outputs)), types=types)


def _operands_quantised(node: Node, network: Network, dequantised: Mapping[str, Node]) -> bool:
    if node.domain or not node.inputs:
        return False
    if node.op in MAC_OPS:
        data = node.inputs[:2]
    elif node.op in VARIADIC:
        data = node.inputs
    elif node.op == "Where":
        data = node.inputs[1:]
    elif node.op in UNARY:
        data = node.inputs[:1]
    else:
        return False
    return all(name in dequantised or name in network.zeros for name in data) and any(n in dequantised for n in data)


def _chain(node: Node, links: Links, network: Network) -> list[Node]:
    """The node, then the constant bias and the activation that only its result feeds."""
    chain = [node]
    follower = _sole_reader(node.outputs[0], links)
    if follower is not None and node.op == "MatMul" and follower.op == "Add" and _adds_bias(node, follower, network):
        chain.append(follower)
        follower = _sole_reader(follower.outputs[0], links)
    if follower is not None and node.op in ACTIVATED and follower.op in ACTIVATIONS:
        chain.append(follower)
    return chain


def _sole_reader(name: str, links: Links) -> Node | None:
    readers = links.readers.get(name, ())
    return readers[0] if len(readers) == 1 and name not in links.outputs and not readers[0].domain else None


def _adds_bias(node: Node, add: Node, network: Network) -> bool:
    other = [name for name in add.inputs if name != node.outputs[0]]
    return len(other) == 1 and network.constant(other[0]) and network.constants[other[0]].ndim <= 1


def _quantised(chain: list[Node], outputs: tuple[str, ...], dequantised: Mapping[str, Node], network: Network) -> Node:
    node, types = chain[0], network.types
    bias = [name for part in chain[1:] if part.op == "Add" for name in part.inputs if name not in node.outputs]
    inputs = tuple(dequantised[n].inputs[0] if n in dequantised else n for n in (*node.inputs, *bias))
    wide = any(types[name].precision == "int16" for name in (*inputs[:2], *outputs) if name in types)
    activations = [activation_kind(part, network.constants) for part in chain[1:] if part.op in ACTIVATIONS]
    return replace(
        node,
        inputs=inputs,
        outputs=outputs,
        precision="int16" if wide else "int8",
        scheme="static",
        activation=activations[0] if activations else node.activation,
    )


def _twin(quantize: Node, dequantised: Mapping[str, Node]) -> Node | None:
    """The Dequantize whose result is quantised again."""
    return dequantised.get(quantize.inputs[0])


def _quantize(node: Node, twin: Node | None, network: Network, alias: dict[str, str]) -> list[Node]:
    """Nothing when the quantised tensor exists already; else the node, requantising where a twin exists."""
    if twin is None:
        return [node]
    existing = twin.outputs[0] if twin.op == "QuantizeLinear" else twin.inputs[0]
    if existing == node.outputs[0]:
        return []
    if node.outputs[0] not in network.outputs and _same_scale(node, twin, network):
        alias[node.outputs[0]] = existing
        return []
    return [replace(node, inputs=(existing, *node.inputs[1:]))]


def _same_scale(a: Node, b: Node, network: Network) -> bool:
    import numpy as np

    for position in (1, 2):
        left = a.inputs[position] if position < len(a.inputs) else ""
        right = b.inputs[position] if position < len(b.inputs) else ""
        if left == right:
            continue
        if left not in network.constants or right not in network.constants:
            return False
        if not np.array_equal(network.constants[left], network.constants[right]):
            return False
    return True


def _resolve(name: str, alias: Mapping[str, str]) -> str:
    while name in alias:
        name = alias[name]
    return name


def _without_idle_dequantize(nodes: list[Node], outputs: Iterable[str]) -> list[Node]:
    """Drop each Dequantize that nobody reads any more."""
    read = {name for node in nodes if node.op != "DequantizeLinear" for name in node.inputs} | set(outputs)
    return [node for node in nodes if node.op != "DequantizeLinear" or node.outputs[0] in read]

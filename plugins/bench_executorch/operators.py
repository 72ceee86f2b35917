"""Nodes of a .pte file as operators of an `OpGraph`, with their attributes and multiply-accumulates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

from bench_executorch.kinds import FLOAT, NARROW, PRODUCTS, kind_of_bounds
from bench_executorch.layout import pictures, shown
from bench_executorch.macs import TRANSPOSED, macs_of
from bench_executorch.windows import WINDOWS, Attribute, moving_attributes, window_attributes
from harness import Operator, Tensor

if TYPE_CHECKING:
    from bench_executorch.network import Network, Node, Value

OPERANDS = frozenset({
    "add", "sub", "mul", "div", "min", "max", "pow", "compare", "elementwise", "prelu", "concat", "gather",
    "batch_norm", "layer_norm", "norm",
})  # fmt: skip
"""Kinds whose constant inputs are numbers to compute with."""

CONVERSIONS = {(True, False): "quantize", (False, True): "dequantize"}
"""Kind of a conversion by whether its data and its result are floats."""


@dataclass(slots=True)
class Emission:
    """Operators and tensors as they come; `parameters` are the positions of constants that were trained."""

    network: Network
    pictures: frozenset[int] = frozenset()
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    parameters: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Find the pictures."""
        self.pictures = pictures(self.network)


def emit(node: Node, emission: Emission) -> None:
    """Append the operator of a node, and the tensors that it reads and writes."""
    network = emission.network
    kind = refined_kind(node, network)
    settings = kind not in PRODUCTS | OPERANDS and not all(network.constant(index) for index in node.inputs)
    inputs = tuple(index for index in node.inputs if not (settings and network.constant(index)))
    for at, index in enumerate(inputs):
        _note_input(at, index, kind, emission)
    for index in node.outputs:
        emission.tensors[network.values[index].name] = shown_tensor(index, emission)
    precision, scheme = _arithmetic(kind, inputs, network)
    emission.operators.append(
        Operator(
            name=node.name,
            kind=kind,
            inputs=tuple(network.values[index].name for index in inputs),
            outputs=tuple(network.values[index].name for index in node.outputs),
            precision=precision,
            macs=macs_of(node, network),
            activation=kind_of_bounds(*node.bounds) if node.bounds and node.source != "XNNClamp" else "",
            attributes=attributes_of(node, kind, emission),
            source=node.source,
            scheme=scheme,
        )
    )


def refined_kind(node: Node, network: Network) -> str:
    """Kind by what the operator does here: a conversion by its types, a product with a constant is a layer."""
    if node.source == "XNNConvert":
        data, result = (network.values[index] for index in (node.inputs[0], node.outputs[0]))
        if result.dynamic:
            return "dynamic_quantize"
        return CONVERSIONS.get((data.precision in FLOAT, result.precision in FLOAT), "cast")
    if node.kind == "matmul" and any(network.constant(index) for index in node.inputs):
        return "fully_connected"
    return node.kind


def shown_tensor(index: int, emission: Emission) -> Tensor:
    """A value as graphs show it, pictures channels second."""
    value = emission.network.values[index]
    shape = shown(value.shape) if index in emission.pictures else value.shape
    return Tensor(name=value.name, shape=shape, precision=value.precision, constant=value.constant)


def attributes_of(node: Node, kind: str, emission: Emission) -> dict[str, Attribute]:
    """Windows complete, bounds and axes as numbers, axes of pictures as the graph shows them."""
    network, pictures_ = emission.network, emission.pictures
    if kind in WINDOWS:
        found = window_attributes(node, kind, network)
    elif node.source == "XNNFullyConnected":
        width = network.values[node.inputs[1]].shape
        turned = bool(node.options["flags"] & TRANSPOSED)
        found = {"in_features": width[0 if turned else -1], "out_features": width[-1 if turned else 0]}
    elif kind == "clip" and node.bounds:
        found = {"min": node.bounds[0], "max": node.bounds[1]}
    else:
        found = moving_attributes(node, kind, first=node.inputs[0] in pictures_) if node.inputs else {}
    if kind in PRODUCTS:
        weight = next((v for v in _constants(node, network) if v.quantisation), None)
        if weight is not None:
            found |= {"weight_scales": scales_of(weight), "weights_symmetric": zero_point_of(weight) == 0}
    return found


def scales_of(value: Value) -> int:
    """How many scales a value has."""
    return int(value.quantisation[3]) if value.quantisation[0] == "channel" else 1


def zero_point_of(value: Value) -> int:
    """Zero point of a quantised constant; those of channels are around zero."""
    return int(value.quantisation[1]) if value.quantisation and value.quantisation[0] == "tensor" else 0


def _constants(node: Node, network: Network) -> list[Value]:
    return [network.values[index] for index in node.inputs[1:] if network.constant(index)]


def _arithmetic(kind: str, inputs: tuple[int, ...], network: Network) -> tuple[str, str]:
    """Precision of the arithmetic, and how it is quantised.

    An operator on integers with a scale is static, or dynamic where the scale is found at every inference; a product
    of floats with a small weight expands the weight inside its kernel.
    """
    running = [network.values[i] for i in inputs if not network.constant(i)]
    if not running:
        return "fp32", ""
    data = running[0]
    if data.quantisation and data.precision in NARROW and kind != "dequantize":
        return ("int8" if data.precision == "uint8" else data.precision), "dynamic" if data.dynamic else "static"
    small = any(network.values[i].precision in NARROW for i in inputs if network.constant(i))
    return data.precision, "weight-only" if small and kind in PRODUCTS and data.precision in FLOAT else ""


def _note_input(at: int, index: int, kind: str, emission: Emission) -> None:
    value = emission.network.values[index]
    found = shown_tensor(index, emission)
    if value.constant:
        found = replace(found, zeros=share_of_zeros(value))
        if kind in PRODUCTS or found.elements > 1:
            emission.parameters.add(index)
        if kind in PRODUCTS and at == 1 and value.inner:
            found = replace(found, shape=_weight_shape(kind, value.shape, emission, index))
    emission.tensors[value.name] = found


def _weight_shape(kind: str, shape: tuple[int, ...], emission: Emission, index: int) -> tuple[int, ...]:
    """A weight's shape as graphs show it: output channels, input channels of a group, window; deconv the first two
    the other way round."""
    if len(shape) != 4:
        return shape
    reader = next(node for node in emission.network.nodes if index in node.inputs)
    first, height, width, last = shape
    if reader.source == "XNNDepthwiseConv2d":
        return (last, first, height, width)
    return (last, first, height, width) if kind == "deconv" else (first, last, height, width)


def share_of_zeros(value: Value) -> float | None:
    """Share of elements that mean exactly zero, 0 to 1; None where the content is packed or not in the file."""
    import numpy as np

    types = {"fp32": "<f4", "fp16": "<f2", "fp64": "<f8", "int8": "i1", "uint8": "u1", "int32": "<i4", "int64": "<i8"}
    size = prod(value.shape)
    if value.content is None or value.precision not in types or not size:
        return None
    kind = np.dtype(types[value.precision])
    if len(value.content) < size * kind.itemsize:
        return None
    content = np.frombuffer(value.content, kind, size)
    return float(np.mean(content == zero_point_of(value)))

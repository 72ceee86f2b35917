"""Nodes of a .tflite file as operators of an `OpGraph`, with their attributes and multiply-accumulates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

from bench_litert.kinds import ACTIVATION, BOUNDS, EIGHT_BIT, FLOAT, NARROW, PRODUCTS
from bench_litert.layout import HEIGHT_AND_WIDTH, averaged_axes, axis_shown, pictures, shown
from bench_litert.weights import share_of_zeros, weights_around_zero
from bench_litert.windows import Attribute, window_attributes
from harness import Operator, Tensor

if TYPE_CHECKING:
    from bench_litert.network import Network, Node

WINDOWS = frozenset({"conv", "deconv", "pool_max", "pool_avg"})

OPERANDS = frozenset({
    "add", "sub", "mul", "div", "min", "max", "pow", "compare", "elementwise", "prelu", "concat",
})  # fmt: skip
"""Kinds whose constant inputs are numbers to compute with, and not shapes, axes or bounds."""

VARIABLES = frozenset({"VAR_HANDLE", "CALL_ONCE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
"""Operators of a network that remembers something from one inference to the next."""

LAST_TWO = (2, 3)
"""Height and width of what was turned channels second in the file itself."""

AXES = {"reduce": 1, "global_pool": 1}
"""Inputs that hold axes."""


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
    if node.source in VARIABLES:
        _emit_variable(node, emission)
        return
    kind = refined_kind(node, emission)
    if kind == "fully_connected" and network.constant(node.inputs[0]):
        node = replace(node, inputs=(node.inputs[1], node.inputs[0], *node.inputs[2:]))
    inputs = tuple(index for at, index in enumerate(node.inputs) if _is_data(at, index, kind, network))
    for at, index in enumerate(inputs):
        _note_input(at, index, kind, emission, node)
    for index in node.outputs:
        emission.tensors[network.values[index].name] = shown_tensor(index, emission)
    precision, scheme = _arithmetic(node, kind, inputs, network)
    emission.operators.append(
        Operator(
            name=node.name,
            kind=kind,
            inputs=tuple(network.values[index].name for index in inputs),
            outputs=tuple(network.values[index].name for index in node.outputs),
            precision=precision,
            macs=macs_of(node, kind, network),
            activation=ACTIVATION[node.activation],
            attributes=attributes_of(node, kind, emission),
            source=node.source,
            scheme=scheme,
        )
    )


def _emit_variable(node: Node, emission: Emission) -> None:
    """Append a copy from or to a variable, which is a tensor of its own; naming one and setting it up is no work."""
    if node.source in {"VAR_HANDLE", "CALL_ONCE"}:
        return
    values = emission.network.values
    index = node.outputs[0] if node.source == "READ_VARIABLE" else node.inputs[1]
    held, variable = values[index], f"{node.name}/variable"
    emission.tensors[held.name] = shown_tensor(index, emission)
    emission.tensors[variable] = replace(emission.tensors[held.name], name=variable)
    ends = (variable, held.name) if node.source == "READ_VARIABLE" else (held.name, variable)
    emission.operators.append(
        Operator(
            name=node.name,
            kind="copy",
            inputs=ends[:1],
            outputs=ends[1:],
            precision="int8" if held.quantised and held.precision in EIGHT_BIT else held.precision,
            source=node.source,
            scheme="static" if held.quantised else "",
        )
    )


def refined_kind(node: Node, emission: Emission) -> str:
    """Kind by what the operator does here: a mean of whole pictures is a pool, a product with a constant a layer."""
    network = emission.network
    if averaged_axes(node, network) == (HEIGHT_AND_WIDTH if node.inputs[0] in emission.pictures else LAST_TWO):
        return "global_pool"
    if node.kind == "matmul" and any(network.constant(index) for index in node.inputs[:2]):
        return "fully_connected"
    return node.kind


def shown_tensor(index: int, emission: Emission) -> Tensor:
    """A tensor of the file as graphs show it, pictures channels second; -1 for a size that is left open."""
    value = emission.network.values[index]
    free = value.free if emission.network.open_shapes else ()
    shape = tuple(-1 if axis in free else size for axis, size in enumerate(value.shape))
    shape = shown(shape) if index in emission.pictures else shape
    return Tensor(name=value.name, shape=shape, precision=value.precision, constant=value.constant)


def macs_of(node: Node, kind: str, network: Network) -> int:
    """Multiply-accumulates at batch 1.

    conv: output elements × window × input channels of a group. deconv: input elements × window × output channels.
    Products: output elements × length of the summed axis.
    """
    if kind not in PRODUCTS:
        return 0
    left, right, result = (network.values[index].shape for index in (*node.inputs[:2], node.outputs[0]))
    if kind == "deconv":
        return prod(left) * prod(right[:3])
    return prod(result) * _products(node, left, right, network)


def _products(node: Node, left: tuple[int, ...], right: tuple[int, ...], network: Network) -> int:
    """Products that are summed for one element of the result."""
    if node.source == "DEPTHWISE_CONV_2D":
        return prod(right[1:3])
    if node.source != "BATCH_MATMUL":  # output channels first, all that is summed after them
        return prod(right[1:])
    if network.constant(node.inputs[0]) and not network.constant(node.inputs[1]):
        return right[-1] if node.options.get("adjY") else right[-2]
    return left[-2] if node.options.get("adjX") else left[-1]


def attributes_of(node: Node, kind: str, emission: Emission) -> dict[str, Attribute]:
    """Windows complete, bounds and axes as numbers, axes of pictures as the graph shows them."""
    network = emission.network
    found: dict[str, Attribute] = {}
    if kind in WINDOWS:
        found = window_attributes(node, network)
    elif node.source == "FULLY_CONNECTED" and network.constant(node.inputs[1]):
        width = network.values[node.inputs[1]].shape
        found = {"in_features": width[-1], "out_features": prod(width) // width[-1]}
    elif node.source in BOUNDS:
        found = {"min": BOUNDS[node.source][0], "max": BOUNDS[node.source][1]}
    elif kind in AXES:
        found = _axes(node, emission)
    elif kind in {"concat", "split", "softmax"}:
        found = _axis(node, emission)
    else:
        found = _moves(node, kind, emission)
    if kind in PRODUCTS:
        weight = next((i for i in node.inputs[:2] if network.constant(i) and network.values[i].quantised), -1)
        if weight >= 0:
            value = network.values[weight]
            found |= {"weight_scales": value.scales, "weights_symmetric": weights_around_zero(value)}
    return found


def _axes(node: Node, emission: Emission) -> dict[str, Attribute]:
    axes = emission.network.numbers(node.inputs[1]) if len(node.inputs) > 1 else None
    if axes is None:
        return {}
    rank = len(emission.network.values[node.inputs[0]].shape)
    if node.inputs[0] in emission.pictures:
        return {"axes": tuple(sorted(axis_shown(axis) for axis in axes))}
    return {"axes": tuple(sorted(axis % max(1, rank) for axis in axes))}


def _axis(node: Node, emission: Emission) -> dict[str, Attribute]:
    network = emission.network
    axis = node.options.get("axis", -1)
    if node.source in {"SPLIT", "SPLIT_V"}:
        held = network.numbers(node.inputs[1 if node.source == "SPLIT" else 2])
        if not held:
            return {}
        axis = held[0]
    rank = len(network.values[node.inputs[0]].shape)
    if node.inputs[0] in emission.pictures:
        return {"axis": axis_shown(int(axis))}
    return {"axis": int(axis) % max(1, rank) if node.source not in {"PACK", "UNPACK"} else int(axis)}


def _moves(node: Node, kind: str, emission: Emission) -> dict[str, Attribute]:
    """Attributes of operators that move data."""
    network = emission.network
    if kind == "pad":
        return _pads(node, emission)
    if kind == "resize":
        aligned, halves = node.options.get("alignCorners"), node.options.get("halfPixelCenters")
        placed = "align_corners" if aligned else "half_pixel" if halves else "asymmetric"
        mode = "linear" if node.source == "RESIZE_BILINEAR" else "nearest"
        return {"mode": mode, "coordinate_transformation_mode": placed}
    if node.source == "STRIDED_SLICE":
        steps = network.numbers(node.inputs[3])
        return {"steps": steps} if steps else {}
    if node.source == "TRANSPOSE":
        order = network.numbers(node.inputs[1])
        return {"perm": order} if order else {}
    if kind == "leaky_relu":
        return {"alpha": float(node.options.get("alpha", 0.0))}
    return {}


def _pads(node: Node, emission: Emission) -> dict[str, Attribute]:
    held = emission.network.numbers(node.inputs[1]) if len(node.inputs) > 1 else None
    mode = "reflect" if node.source == "MIRROR_PAD" else "constant"
    if held is None or len(held) % 2:
        return {"mode": mode}
    begins, ends = held[::2], held[1::2]
    if node.inputs[0] in emission.pictures and len(begins) == 4:
        begins, ends = shown(begins), shown(ends)
    return {"mode": mode, "pads": (*begins, *ends)}


def _arithmetic(node: Node, kind: str, inputs: tuple[int, ...], network: Network) -> tuple[str, str]:
    """Precision of the arithmetic, and how it is quantised.

    An operator on integers with a scale is static; a product of floats with a small weight is dynamic where the kernel
    takes the weight as it is stored, and weight-only where it is expanded before.
    """
    running = [index for index in inputs if not network.constant(index)] or [*inputs, *node.outputs]
    data = network.values[running[0]] if running else None
    precision = "fp32" if data is None else data.precision
    if kind == "quantize" or data is None:
        return precision, ""
    if data.quantised and precision in NARROW and kind != "dequantize":
        return ("int8" if precision in EIGHT_BIT else precision), "static"
    small = [i for i in inputs if network.constant(i) and network.values[i].precision in NARROW]
    if precision in FLOAT and small and kind in PRODUCTS | OPERANDS | {"gather"}:
        return (precision, "weight-only") if small[0] in node.unpacked else ("int8", "dynamic")
    return precision, ""


def _is_data(at: int, index: int, kind: str, network: Network) -> bool:
    """Whether an input is data or a parameter, and not a constant shape, axis, bound or fill value."""
    if index < 0:
        return False
    value = network.values[index]
    if not value.constant or kind in PRODUCTS:
        return True
    if kind == "gather":
        return at == 0
    return kind in OPERANDS and (value.precision in FLOAT or value.quantised)


def _note_input(at: int, index: int, kind: str, emission: Emission, node: Node) -> None:
    value = emission.network.values[index]
    found = shown_tensor(index, emission)
    if value.constant:
        product = kind in PRODUCTS
        if product or value.precision in FLOAT | NARROW:
            found = replace(found, zeros=share_of_zeros(value))
        if product or found.elements > 1:
            emission.parameters.add(index)
        if product and at == 1:
            found = replace(found, shape=_weight_shape(node, value.shape))
    emission.tensors[value.name] = found


def _weight_shape(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A weight's shape as graphs show it: output channels, input channels of a group, window; deconv the first two
    the other way round."""
    if len(shape) != 4:
        return shape
    if node.source == "DEPTHWISE_CONV_2D":
        return (shape[3], 1, shape[1], shape[2])
    out, height, width, into = shape
    return (into, out, height, width) if node.kind == "deconv" else (out, into, height, width)

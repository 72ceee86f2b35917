"""Nodes of a normalised network as operators of an `OpGraph`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench_onnx.element import FLOAT, QUANTISED
from bench_onnx.kinds import bounds, kind_of, reduced_axes
from bench_onnx.macs import features, macs_of
from bench_onnx.network import Network, Node, TensorType, text
from bench_onnx.quantised_constant import share_of_zeros
from bench_onnx.weight_scales import weight_scale
from bench_onnx.windows import Attribute, window_attributes
from harness import Operator, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

CARRIES_MACS = frozenset({"conv", "deconv", "fully_connected", "matmul"})
WINDOWS = frozenset({"conv", "deconv", "pool_max", "pool_avg"})
OPERANDS = {"Pad": {"pads": 1, "axes": 3}, "Slice": {"starts": 1, "ends": 2, "axes": 3, "steps": 4}}
"""Inputs of operators that hold what earlier operator sets had as attributes."""

NOT_PARAMETERS = {"batch_norm": (3, 4)}
"""Inputs that hold running statistics: frameworks call them buffers, not parameters."""

UNKNOWN_TYPE = TensorType(precision="fp32", shape=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """Operators and tensors as they come; `parameters` are the names of constants that were trained."""

    network: Network
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    parameters: set[str] = field(default_factory=set)


def emit(node: Node, emission: Emission) -> None:
    """Append the operator of a node, and the tensors that it reads and writes."""
    network = emission.network
    kind = kind_of(node, network)
    macs = macs_of(node, kind, network)
    attributes = attributes_of(node, kind, network) | _quantisation_of(node, kind, network)
    if kind == "fully_connected" and network.constant(node.inputs[0]):
        node = replace(node, inputs=(node.inputs[1], node.inputs[0], *node.inputs[2:]))
    inputs = tuple(
        _input(name, position, kind, node, emission)
        for position, name in enumerate(node.inputs)
        if name and _is_data(name, position, kind, network)
    )
    outputs = tuple(name for name in node.outputs if name)
    for name in outputs:
        emission.tensors[name] = tensor(name, network)
    precision = node.precision or _precision(inputs, outputs, emission)
    weights_only = not node.precision and precision in FLOAT and any(name in network.zeros for name in inputs)
    emission.operators.append(
        Operator(
            name=node.name,
            kind=kind,
            inputs=inputs,
            outputs=outputs,
            precision=precision,
            macs=macs,
            activation=node.activation,
            attributes=attributes,
            source=node.source,
            scheme="weight-only" if weights_only else node.scheme,
        )
    )


def _quantisation_of(node: Node, kind: str, network: Network) -> dict[str, Attribute]:
    """Of constant weights that are quantised: their number of scales, and whether zero is in the middle of each."""
    weight = next((name for name in node.inputs[:2] if network.constant(name)), "") if kind in CARRIES_MACS else ""
    found = weight_scale(weight, network.scales) if weight else None
    return {} if found is None else {"weight_scales": found.count, "weights_symmetric": found.symmetric}


def tensor(name: str, network: Network) -> Tensor:
    """A tensor of the network; an unknown rank is written as one symbolic dimension."""
    found = network.types.get(name, UNKNOWN_TYPE)
    constant = network.constant(name)
    zeros = None
    if constant:
        known = network.zeros.get(name)
        zeros = share_of_zeros(network.constants[name]) if known is None else known
    shape = (-1,) if found.shape is None else found.shape
    return Tensor(name=name, shape=shape, precision=found.precision, constant=constant, zeros=zeros)


def _is_data(name: str, position: int, kind: str, network: Network) -> bool:
    """Whether an input is data or a parameter, and not a constant shape, axis, bound or fill value."""
    if not network.constant(name) or kind in CARRIES_MACS or name in network.zeros:
        return True
    if kind == "gather" and position == 0:
        return network.types[name].precision in FLOAT | QUANTISED
    if kind in {"clip", "relu", "relu6", "pad", "resize", "reshape", "slice", "expand", "quantize", "dequantize"}:
        return position == 0
    return network.types[name].precision in FLOAT


def _input(name: str, position: int, kind: str, node: Node, emission: Emission) -> str:
    network = emission.network
    found = tensor(name, network) if name not in emission.tensors else emission.tensors[name]
    if found.constant:
        trained = position not in NOT_PARAMETERS.get(kind, ()) and (kind in CARRIES_MACS or found.elements > 1)
        embedding = kind == "gather" and position == 0
        if trained and (found.precision in FLOAT or name in network.zeros or kind in CARRIES_MACS or embedding):
            emission.parameters.add(name)
        if node.scheme == "static" and kind in CARRIES_MACS and position == 2 and found.precision in FLOAT:
            # An integer kernel adds its bias to int32 sums, whatever the file stores (LiteRT quantisation spec).
            found = replace(found, precision="int32")
    emission.tensors[name] = found
    return name


def _precision(inputs: tuple[str, ...], outputs: tuple[str, ...], emission: Emission) -> str:
    """Precision of the data: of the first input that is not constant, else of the first tensor at all."""
    names = [name for name in inputs if not emission.tensors[name].constant] or [*inputs, *outputs]
    return emission.tensors[names[0]].precision if names else "fp32"


def _operands_of(node: Node, network: Network) -> Iterator[tuple[str, Attribute]]:
    """Constant operands by the name of the attribute that they replace."""
    for name, position in OPERANDS.get(node.op, {}).items():
        source = node.inputs[position] if position < len(node.inputs) else ""
        if source in network.constants:
            yield name, tuple(int(value) for value in network.constants[source].reshape(-1))


def attributes_of(node: Node, kind: str, network: Network) -> dict[str, Attribute]:
    """Attributes of an operator: windows complete, bounds and axes as numbers, others as they stand in the file."""
    if kind in WINDOWS:
        return window_attributes(node, network)
    if kind == "fully_connected":
        return dict(features(node, network))
    if node.op == "Clip":
        low, high = bounds(node, network.constants)
        return {"min": low, "max": high}
    found: dict[str, Attribute] = dict(_operands_of(node, network))
    for name, value in node.attributes.items():
        if isinstance(value, (int, float)):
            found[name] = value
        elif isinstance(value, (bytes, str)):
            found[name] = text(value)
        elif isinstance(value, (list, tuple)) and all(isinstance(v, int) for v in value):
            found[name] = tuple(value)
    if kind in {"reduce", "global_pool"} and node.op.startswith("Reduce"):
        axes = reduced_axes(node, network)
        if axes is not None:
            found["axes"] = axes
    return found

"""One pass in execution order: gives every tensor its type and computes what does not depend on the input.

A `Shape` of a known shape is a constant, and so is what follows from it. A constant behind `DequantizeLinear` (or
behind the `Cast`, `Sub`, `Mul` that some exporters write instead) stays the quantised constant it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench_onnx.element import QUANTISED, precision_of
from bench_onnx.inference import output_types
from bench_onnx.network import Network, Node, TensorType
from bench_onnx.quantised_constant import share_of_zeros

if TYPE_CHECKING:
    from bench_onnx.network import Constant

FOLDABLE = frozenset({
    "Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Exp", "Expand",
    "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Greater", "GreaterOrEqual", "Identity", "Less",
    "LessOrEqual", "Log", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pad", "Pow", "QuantizeLinear", "Range",
    "Reciprocal", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "ScatterND", "Shape", "Size",
    "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where",
})  # fmt: skip
"""Operators of the default set that ONNX's reference implementation computes from constants alone."""

MOVES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
SCALES = frozenset({"Mul", "Sub"})

LARGEST = 1 << 26
"""Elements of a result beyond which it is left to the runtime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What the pass has found so far; `view` maps a dequantised constant to its quantised one."""

    constants: dict[str, Constant]
    types: dict[str, TensorType]
    zeros: dict[str, float]
    view: dict[str, str] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)


def fold(network: Network) -> Network:
    """Fold constants and infer types; nodes that are left have at least one input that is not constant, or none."""
    types = {name: network.types[name] for name in network.inputs if name in network.types}
    types |= {name: _type_of_constant(array) for name, array in network.constants.items()}
    state = _State(constants=dict(network.constants), types=types, zeros=dict(network.zeros))
    for node in network.nodes:
        if node.op in {"Shape", "Size"} and not node.domain and _fold_shape(node, state):
            continue
        if _stays_quantised(node, state):
            continue
        if _foldable(node, state) and _fold_value(node, state, network.opset):
            continue
        kept = replace(node, inputs=tuple(state.view.get(name, name) for name in node.inputs))
        found = output_types(kept, network, state.types)
        if any(name in state.view for name in node.inputs):  # what it reads is float, stored in integers
            found = {name: _as_declared(name, each, network) for name, each in found.items()}
        state.types.update(found)
        state.nodes.append(kept)
    # A constant that is itself an output, or that only an unusual node reads dequantised, still has its type.
    missing = {name: found for name, found in network.types.items() if name not in state.types}
    return replace(
        network,
        nodes=tuple(state.nodes),
        constants=state.constants,
        types=state.types | missing,
        zeros=state.zeros,
    )


def _as_declared(name: str, found: TensorType, network: Network) -> TensorType:
    """A type with the precision that the file declares, where the integers of a constant have passed for its own."""
    declared = network.types.get(name)
    return replace(found, precision=declared.precision) if declared and found.precision in QUANTISED else found


def _fold_shape(node: Node, state: _State) -> bool:
    import numpy as np

    found = state.types.get(node.inputs[0])
    if found is None or found.shape is None or -1 in found.shape:
        return False
    dims = found.shape[node.attributes.get("start", 0) : node.attributes.get("end")]
    value = np.asarray(dims if node.op == "Shape" else np.prod(found.shape, dtype=np.int64), dtype=np.int64)
    _keep(node.outputs[0], value, state)
    return True


def _stays_quantised(node: Node, state: _State) -> bool:
    """Whether the node only dequantises, scales or moves a quantised constant; then it is looked through."""
    known = all(name in state.constants or name in state.view for name in node.inputs if name)
    if node.domain not in {"", "com.microsoft"} or not known:
        return False
    source = node.inputs[0] if node.inputs else ""
    output = node.outputs[0] if node.outputs else ""
    if source in state.view:
        return _through_view(node, state)
    quantised = source in state.constants and state.types[source].precision in (QUANTISED | {"int32"})
    if node.op == "DequantizeLinear" and quantised:
        zero_point = state.constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None
        state.zeros[source] = share_of_zeros(state.constants[source], zero_point, node.attributes.get("axis", 1))
    elif node.op == "Cast" and state.types[source].precision in QUANTISED and state.constants[source].ndim > 1:
        if not precision_of(node.attributes["to"]).startswith(("fp", "bf")):
            return False
        state.zeros[source] = share_of_zeros(state.constants[source])
    else:
        return False
    state.view[output] = source
    return True


def _through_view(node: Node, state: _State) -> bool:
    import numpy as np

    source = state.view[node.inputs[0]]
    if node.op in SCALES and node.inputs[1] in state.constants:
        if node.op == "Sub":  # a zero point that the exporter subtracts by hand
            zero = np.broadcast_to(state.constants[node.inputs[1]], state.constants[source].shape)
            state.zeros[source] = share_of_zeros(state.constants[source], zero)
        state.view[node.outputs[0]] = source
        return True
    if node.op in MOVES:
        moved = _evaluate(replace(node, inputs=(source, *node.inputs[1:])), state, 0)
        if moved is not None:
            name = f"{source}/{node.outputs[0]}"
            _keep(name, moved[0], state)
            state.zeros[name] = state.zeros[source]
            state.view[node.outputs[0]] = name
            return True
    return False


def _foldable(node: Node, state: _State) -> bool:
    if node.domain or node.op not in FOLDABLE or not node.inputs:
        return False
    if not all(name in state.constants for name in node.inputs if name):
        return False
    if node.op in {"ConstantOfShape", "Expand", "Tile", "Range"}:
        product = 1
        for value in state.constants[node.inputs[-1 if node.op != "Range" else 1]].reshape(-1).tolist():
            product *= max(1, abs(int(value)))
        return product <= LARGEST
    return True


def _fold_value(node: Node, state: _State, opset: int) -> bool:
    values = _evaluate(node, state, opset)
    if values is None:
        return False
    for name, value in zip(node.outputs, values, strict=False):
        if name:
            _keep(name, value, state)
    return True


def _evaluate(node: Node, state: _State, opset: int) -> list[Constant] | None:
    """Outputs of a node whose inputs are constants, by ONNX's reference implementation; None when it cannot."""
    import numpy as np
    import onnx
    from onnx.reference import ReferenceEvaluator

    names = [name for name in dict.fromkeys(node.inputs) if name]
    try:
        proto = onnx.helper.make_node(node.op, node.inputs, node.outputs, **node.attributes)
        values = [onnx.ValueInfoProto(name=name) for name in names]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.outputs if name]
        graph = onnx.helper.make_graph([proto], "fold", values, outputs)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset or 13)])
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, {name: state.constants[name] for name in names})
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError):
        return None
    return [np.asarray(result) for result in results]


def _keep(name: str, value: Constant, state: _State) -> None:
    state.constants[name] = value
    state.types[name] = _type_of_constant(value)


def _type_of_constant(array: Constant) -> TensorType:
    from onnx.helper import np_dtype_to_tensor_dtype

    return TensorType(precision=precision_of(np_dtype_to_tensor_dtype(array.dtype)), shape=tuple(array.shape))

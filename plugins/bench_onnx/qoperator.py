"""QOperator form: operators that take scales and zero points as inputs become the operators they quantise.

Argument orders are those of the default operator set (QLinearConv, QLinearMatMul) and of ONNX Runtime's
`docs/ContribOperators.md` for the domain `com.microsoft`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from bench_onnx.block_weights import rewrite_block_weights
from bench_onnx.element import EIGHT_BIT, precision_of
from bench_onnx.network import Network, Node, TensorType, text
from bench_onnx.quantised_constant import share_of_zeros

if TYPE_CHECKING:
    from bench_onnx.network import Constant


class _Layout(NamedTuple):
    """Where a QLinear operator has its operands: positions in its inputs.

    `operands` are pairs (tensor, zero point), `plain` are tensors without one, `result` is the output's zero point.
    """

    op: str
    operands: tuple[tuple[int, int], ...]
    result: int
    plain: tuple[int, ...] = ()


_UNARY, _BINARY = ((0, 2),), ((0, 2), (3, 5))

_LAYOUTS = {
    "QLinearConv": _Layout("Conv", _BINARY, 7, (8,)),
    "QLinearMatMul": _Layout("MatMul", _BINARY, 7),
    "QGemm": _Layout("Gemm", _BINARY, 8, (6,)),
    "QLinearAdd": _Layout("Add", _BINARY, 7),
    "QLinearMul": _Layout("Mul", _BINARY, 7),
    "QLinearSigmoid": _Layout("Sigmoid", _UNARY, 4),
    "QLinearLeakyRelu": _Layout("LeakyRelu", _UNARY, 4),
    "QLinearSoftmax": _Layout("Softmax", _UNARY, 4),
    "QLinearAveragePool": _Layout("AveragePool", _UNARY, 4),
    "QLinearGlobalAveragePool": _Layout("GlobalAveragePool", _UNARY, 4),
    "QLinearReduceMean": _Layout("ReduceMean", _UNARY, 4),
    "QLinearWhere": _Layout("Where", ((1, 3), (4, 6)), 8, (0,)),
}

_FUSED = {"FusedConv": "Conv", "FusedGemm": "Gemm", "FusedMatMul": "MatMul"}
_ACTIVATION = {"Relu": "relu", "Clip": "clip", "LeakyRelu": "leaky_relu", "Sigmoid": "sigmoid", "Tanh": "tanh",
               "HardSigmoid": "hardsigmoid"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """What is known of tensors, extended while nodes are rewritten."""

    types: dict[str, TensorType]
    zeros: dict[str, float]
    constants: dict[str, Constant]


def rewrite_qoperators(network: Network) -> Network:
    """Rewrite quantised and fused operators of ONNX Runtime; others stay as they are."""
    tables = _Tables(types=dict(network.types), zeros=dict(network.zeros), constants=dict(network.constants))
    nodes = tuple(_rewritten(node, tables) for node in network.nodes)
    return replace(network, nodes=nodes, types=tables.types, zeros=tables.zeros, constants=tables.constants)


def _rewritten(node: Node, tables: _Tables) -> Node:
    if node.op in _LAYOUTS and node.domain in {"", "com.microsoft"}:
        return _from_layout(node, _LAYOUTS[node.op], tables)
    return _contributed(node, tables) if node.domain == "com.microsoft" else node


def _contributed(node: Node, tables: _Tables) -> Node:
    if node.op == "QLinearConcat":  # output scale and zero point, then triples of tensor, scale, zero point
        _set_result_type(node, _at(node, 1), tables)
        return replace(node, op="Concat", domain="", inputs=node.inputs[2::3], precision="int8", scheme="static")
    if node.op in _FUSED:
        activation = text(node.attributes.get("activation", ""))
        kind = _ACTIVATION.get(activation, activation.lower())
        return replace(node, op=_FUSED[node.op], domain="", activation=kind, inputs=node.inputs[:3])
    if node.op in {"MatMulIntegerToFloat", "DynamicQuantizeMatMul"}:
        return _dynamic_matmul(node, tables)
    if node.op in {"QuantizeLinear", "DequantizeLinear"}:  # the contributed ones know 16 bits before opset 21
        return replace(node, domain="")
    return rewrite_block_weights(node, tables.constants, tables.zeros) if node.op == "MatMulNBits" else node


def _from_layout(node: Node, layout: _Layout, tables: _Tables) -> Node:
    for tensor, zero_point in layout.operands:
        _set_zeros(node, _at(node, tensor), _at(node, zero_point), tables)
    for position in layout.plain:
        bias = _at(node, position)
        if bias in tables.constants:
            tables.zeros[bias] = share_of_zeros(tables.constants[bias])
    _set_result_type(node, _at(node, layout.result), tables)
    order = sorted((*(tensor for tensor, _ in layout.operands), *layout.plain))
    inputs = tuple(_at(node, position) for position in order)
    while inputs and not inputs[-1]:
        inputs = inputs[:-1]
    return replace(node, op=layout.op, domain="", inputs=inputs, precision="int8", scheme="static")


def _dynamic_matmul(node: Node, tables: _Tables) -> Node:
    """A product that gives floats, of integers or of floats that it quantises itself.

    MatMulIntegerToFloat(A, B, a_scale, b_scale, a_zero, b_zero, bias), DynamicQuantizeMatMul(A, B, b_scale, b_zero,
    bias).
    """
    zero_point, bias = (5, 6) if node.op == "MatMulIntegerToFloat" else (3, 4)
    _set_zeros(node, _at(node, 1), _at(node, zero_point), tables)
    inputs = tuple(name for name in (*node.inputs[:2], _at(node, bias)) if name)
    return replace(node, op="MatMul", domain="", inputs=inputs, precision="int8", scheme="dynamic")


def _set_zeros(node: Node, name: str, zero_point: str, tables: _Tables) -> None:
    if name in tables.constants:
        axis = 0 if node.op == "QLinearConv" or node.attributes.get("transB") else -1
        tables.zeros[name] = share_of_zeros(tables.constants[name], tables.constants.get(zero_point), axis)


def _set_result_type(node: Node, zero_point: str, tables: _Tables) -> None:
    """The output has the type of its zero point; without one QGemm gives floats and others bytes."""
    from onnx.helper import np_dtype_to_tensor_dtype

    output = node.outputs[0]
    precision = "fp32" if node.op == "QGemm" else "uint8"
    if zero_point in tables.constants:
        precision = precision_of(np_dtype_to_tensor_dtype(tables.constants[zero_point].dtype))
        precision = precision if precision in EIGHT_BIT else "uint8"
    declared = tables.types.get(output)
    tables.types[output] = TensorType(precision=precision, shape=declared.shape if declared else None)


def _at(node: Node, position: int) -> str:
    return node.inputs[position] if position < len(node.inputs) else ""

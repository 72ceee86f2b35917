"""Types of one node's outputs, from the types of its inputs and the content of the small constants among them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench_onnx.binding import SMALL, type_of
from bench_onnx.element import FLOAT, QUANTISED

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from bench_onnx.network import Constant, Network, Node, TensorType

CONTRIB_OPSET = 13
"""Rewritten nodes of `com.microsoft` keep attributes that later operator sets have turned into inputs."""

CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})

MAC_OPS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

QDQ_OPSET = 21
"""First operator set whose QuantizeLinear knows 16 bits."""

SAME_SHAPE = frozenset({
    "Gelu", "FastGelu", "BiasGelu", "QuickGelu", "SkipLayerNormalization", "Swish", "MultiHeadAttention",
})  # fmt: skip
"""Operators without a schema in the default operator set whose first output has the shape of the first input."""


def output_types(node: Node, network: Network, types: Mapping[str, TensorType]) -> dict[str, TensorType]:
    """Types of the outputs, as exact as the schema, the file's own declaration and the constants allow."""
    inferred = _by_schema(node, network, types)
    if not inferred and node.op in SAME_SHAPE and node.inputs[0] in types:
        inferred = {node.outputs[0]: types[node.inputs[0]]}
    found: dict[str, TensorType] = {}
    for name in node.outputs:
        declared = network.types.get(name)
        if name in inferred and declared is not None:
            # A rewritten node knows its precision from its zero point; its schema speaks of the float operator.
            own = declared.precision if node.precision else inferred[name].precision
            found[name] = replace(merged(inferred[name], declared), precision=own)
        elif name in inferred or declared is not None:
            found[name] = inferred.get(name) or declared  # type: ignore[assignment]
    return found


def merged(found: TensorType, declared: TensorType) -> TensorType:
    """`found`, its unknown dimensions taken from `declared` where the ranks agree."""
    if found.shape is None or declared.shape is None:
        return replace(found, shape=declared.shape if found.shape is None else found.shape)
    if len(found.shape) != len(declared.shape):
        return found
    shape = tuple(b if a == -1 else a for a, b in zip(found.shape, declared.shape, strict=True))
    return replace(found, shape=shape)


def _by_schema(node: Node, network: Network, types: Mapping[str, TensorType]) -> dict[str, TensorType]:
    import onnx

    if node.domain or node.op in CONTROL_FLOW or not all(name in types for name in node.inputs if name):
        return {}  # what a subgraph returns is known to the inference of the whole graph alone
    version = network.opset
    if node.source.startswith("com.microsoft."):
        version = QDQ_OPSET if node.op in {"QuantizeLinear", "DequantizeLinear"} else CONTRIB_OPSET
    try:
        schema = onnx.defs.get_schema(node.op, version, "")
        known = {name: value for name, value in node.attributes.items() if name in schema.attributes}
        proto = onnx.helper.make_node(node.op, node.inputs, node.outputs, node.name, **known)
        found = onnx.shape_inference.infer_node_outputs(
            schema,
            proto,
            _input_types(node, types),
            _input_data(node, network.constants),
            opset_imports=[onnx.helper.make_opsetid("", version)],
        )
    except (onnx.defs.SchemaError, onnx.shape_inference.InferenceError, onnx.checker.ValidationError):
        return {}
    except (RuntimeError, ValueError, TypeError, KeyError):  # what the bindings raise for odd attributes
        return {}
    return {name: type_of(proto) for name, proto in found.items() if proto.HasField("tensor_type")}


def _input_types(node: Node, types: Mapping[str, TensorType]) -> dict[str, onnx.TypeProto]:
    """Types of the inputs; a quantised tensor under a float operator passes for a float one."""
    import onnx
    from onnx import TensorProto

    integer = node.op in {"QuantizeLinear", "DequantizeLinear", "MatMulInteger", "ConvInteger", "Cast"}
    data = [types[name].precision for name in node.inputs if name]
    stand_in = next((p for p in data if p in FLOAT), "fp32")
    mixed = not integer and (bool(node.precision) or (stand_in in data and any(p in QUANTISED for p in data)))
    replaced = QUANTISED | ({"int32"} if node.op in MAC_OPS else set())  # a quantised bias is int32
    number = {
        "fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16,
        "fp64": TensorProto.DOUBLE, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int4": TensorProto.INT4,
        "int16": TensorProto.INT16, "int32": TensorProto.INT32, "int64": TensorProto.INT64, "bool": TensorProto.BOOL,
    }  # fmt: skip
    protos: dict[str, onnx.TypeProto] = {}
    for name in node.inputs:
        if name:
            found = types[name]
            precision = stand_in if mixed and found.precision in replaced else found.precision
            shape = None if found.shape is None else [None if d == -1 else d for d in found.shape]
            protos[name] = onnx.helper.make_tensor_type_proto(number[precision], shape)
    return protos


def _input_data(node: Node, constants: Mapping[str, Constant]) -> dict[str, onnx.TensorProto]:
    from onnx.numpy_helper import from_array

    small = {name: constants[name] for name in node.inputs if name in constants and constants[name].size <= SMALL}
    return {name: from_array(array) for name, array in small.items()}

"""Binds a symbolic batch to 1 and collects what the file and ONNX shape inference say of every tensor's type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_onnx.element import precision_of
from bench_onnx.model_file import feeds
from bench_onnx.network import TensorType

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

SMALL = 1024
"""Elements up to which a constant can be a shape, an axis or a bound, so that inference must see its content."""


def bind_batch(model: onnx.ModelProto) -> None:
    """Set the first dimension of every input to 1 where it is symbolic, and its symbol to 1 wherever else it stands."""
    symbols: set[str] = set()
    for value in feeds(model.graph):
        dims = value.type.tensor_type.shape.dim
        if len(dims) and not dims[0].dim_value > 0:
            symbols.add(dims[0].dim_param)
            dims[0].dim_value = 1
    symbols.discard("")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in symbols:
                dim.dim_value = 1


def tensor_types(model: onnx.ModelProto) -> dict[str, TensorType]:
    """Types as declared in the file, completed by ONNX shape inference with data propagation."""
    import onnx

    graph = model.graph
    types = _types((*graph.value_info, *graph.output, *graph.input))
    try:
        inferred = onnx.shape_inference.infer_shapes(_skeleton(model), data_prop=True).graph
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return types  # operator by operator, `inference` will still find most of them
    return types | {
        name: found
        for name, found in _types((*inferred.output, *inferred.value_info, *inferred.input)).items()
        if found.shape is not None or name not in types
    }


def _skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without its weights, so that inference neither copies them nor meets protobuf's limit of 2 GB.

    Declared types of intermediate tensors stay only for operators that inference cannot know: exporters write some
    with a batch that is no longer true.
    """
    import onnx
    from onnx.helper import make_tensor_value_info

    graph = model.graph
    skeleton = onnx.ModelProto(ir_version=max(4, model.ir_version))  # from 4 on an initialiser need not be an input
    skeleton.opset_import.extend(model.opset_import)
    skeleton.graph.name = graph.name
    skeleton.graph.node.extend(graph.node)
    skeleton.graph.output.extend(graph.output)
    skeleton.graph.input.extend(feeds(graph))
    for tensor in graph.initializer:
        elements = 1
        for dim in tensor.dims:
            elements *= dim
        if elements <= SMALL:
            skeleton.graph.initializer.append(tensor)
        else:
            skeleton.graph.input.append(make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    foreign = {name for node in graph.node if node.domain not in {"", "ai.onnx"} for name in node.output}
    skeleton.graph.value_info.extend(v for v in graph.value_info if v.name in foreign)
    return skeleton


def _types(values: Iterable[onnx.ValueInfoProto]) -> dict[str, TensorType]:
    types: dict[str, TensorType] = {}
    for value in values:
        if value.type.HasField("tensor_type"):
            types[value.name] = type_of(value.type)
    return types


def type_of(proto: onnx.TypeProto) -> TensorType:
    """Precision and shape of a tensor type; a dimension without a positive number is -1."""
    tensor = proto.tensor_type
    known = tensor.HasField("shape")
    shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else -1 for d in tensor.shape.dim)
    return TensorType(precision=precision_of(tensor.elem_type), shape=shape if known else None)

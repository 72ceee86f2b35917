"""Canonical hash of an ONNX file: what it computes, not how it is written down.

Names of tensors and nodes, doc strings, metadata, the producer, declared intermediate types and the place of the
weights (inside or beside the file) take no part; operators with their attributes, connections by position, the
content of constants, and types of inputs and outputs do.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bench_onnx.model_file import blaming, feeds, load_model
from bench_onnx.order import captured

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Callable
    from pathlib import Path

    import onnx


def content_sha256(path: Path) -> str:
    """Sha256 of canonical content, as 64 hexadecimal digits; the same in every process.

    Raises:
        ArtifactError: The file cannot be read.
    """
    model = load_model(path)
    digest = hashlib.sha256()
    with blaming(path):
        for opset in sorted((o.domain or "ai.onnx", o.version) for o in model.opset_import):
            _put(digest, "opset", *opset)
        _graph(digest, model.graph, {})
    return digest.hexdigest()


def _put(digest: HASH, *parts: object) -> None:
    """Add parts, each with its length, so that no two sequences of parts are the same bytes."""
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)


def _graph(digest: HASH, graph: onnx.GraphProto, outer: dict[str, str]) -> None:
    """Hash a graph; a tensor is called after the position where it is made or, for a constant, first read."""
    constants: dict[str, onnx.TensorProto | onnx.SparseTensorProto] = {t.name: t for t in graph.initializer}
    constants |= {t.values.name: t for t in graph.sparse_initializer}
    place = dict(outer)
    depth = len(outer)  # keeps the positions of a subgraph apart from those around it

    def locate(name: str) -> str:
        if name in constants:
            place[name] = f"{depth}:constant {len(place)}"
            _tensor(digest, constants.pop(name))
        return place.get(name, "none")

    for index, value in enumerate(feeds(graph)):
        place[value.name] = f"{depth}:input {index}"
        _type(digest, value.type)
    for index, node in enumerate(graph.node):
        _put(digest, "node", "" if node.domain == "ai.onnx" else node.domain, node.op_type, len(node.input))
        for name in node.input:
            _put(digest, locate(name))
        for attribute in sorted(node.attribute, key=lambda a: a.name):
            _attribute(digest, attribute, locate, place)
        for position, name in enumerate(node.output):
            _put(digest, "made" if name else "left out")
            if name:
                place[name] = f"{depth}:{index}.{position}"
    for value in graph.output:
        _put(digest, "output", locate(value.name))
        _type(digest, value.type)


def _type(digest: HASH, proto: onnx.TypeProto) -> None:
    """Element type and shape of an input or output; the names of free dimensions take no part."""
    if not proto.HasField("tensor_type"):
        _put(digest, "type", proto.WhichOneof("value"))
        return
    dims = [d.dim_value if d.HasField("dim_value") else "free" for d in proto.tensor_type.shape.dim]
    _put(digest, "tensor", proto.tensor_type.elem_type, len(dims), *dims)


def _tensor(digest: HASH, tensor: onnx.TensorProto | onnx.SparseTensorProto) -> None:
    import onnx

    if isinstance(tensor, onnx.SparseTensorProto):
        _put(digest, "sparse", *tensor.dims)
        _tensor(digest, tensor.values)
        _tensor(digest, tensor.indices)
        return
    _put(digest, "tensor", tensor.data_type, len(tensor.dims), *tensor.dims)
    if tensor.data_type == onnx.TensorProto.STRING:
        _put(digest, *tensor.string_data)
    else:
        _put(digest, onnx.numpy_helper.to_array(tensor).tobytes())


def _attribute(
    digest: HASH, attribute: onnx.AttributeProto, locate: Callable[[str], str], place: dict[str, str]
) -> None:
    import onnx
    from onnx.helper import get_attribute_value

    _put(digest, "attribute", attribute.name, attribute.type)
    value = get_attribute_value(attribute)
    values = [value] if isinstance(value, (bytes, int, float)) or not hasattr(value, "__len__") else list(value)
    _put(digest, len(values))
    for item in values:
        if isinstance(item, onnx.GraphProto):
            for name in captured(item):
                locate(name)  # a constant that only subgraphs read
            _graph(digest, item, place)
        elif isinstance(item, (onnx.TensorProto, onnx.SparseTensorProto)):
            _tensor(digest, item)
        elif isinstance(item, onnx.TypeProto):
            _type(digest, item)
        else:
            _put(digest, item if isinstance(item, bytes) else repr(item))

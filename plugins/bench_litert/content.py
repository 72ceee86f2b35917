"""Canonical hash of a .tflite file: what it computes, not how it is written down.

Names, descriptions, metadata, the place of buffers in the file and the order of operator codes take no part; operators
with their options, connections by position, the content of constants, and types, shapes and scales of tensors do.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from bench_litert.schema_file import blaming, load, operator_name

if TYPE_CHECKING:
    from _hashlib import HASH
    from pathlib import Path


def content_sha256(path: Path) -> str:
    """Sha256 of canonical content, as 64 hexadecimal digits; the same in every process.

    Raises:
        ArtifactError: The file cannot be read.
    """
    model = load(path)
    digest = hashlib.sha256()
    with blaming(path):
        for graph in model.subgraphs:
            _graph(digest, model, graph)
    return digest.hexdigest()


def _graph(digest: HASH, model: Any, graph: Any) -> None:
    """Hash a graph; a tensor is called after the order in which it is first met."""
    place: dict[int, int] = {}

    def locate(index: int) -> str:
        if index < 0:
            return "none"
        if index not in place:
            place[index] = len(place)
            _tensor(digest, model, graph.tensors[index])
        return str(place[index])

    _put(digest, "graph", *map(locate, _numbers(graph.inputs)))
    for operator in graph.operators:
        _put(digest, "operator", operator_name(model, operator))
        _put(digest, *map(locate, _numbers(operator.inputs)))
        _put(digest, "makes", *map(locate, _numbers(operator.outputs)))
        for options in (operator.builtinOptions, getattr(operator, "builtinOptions2", None)):
            _put(digest, _plain(options))
        _put(digest, _plain(operator.customOptions))
    _put(digest, "outputs", *map(locate, _numbers(graph.outputs)))


def _tensor(digest: HASH, model: Any, tensor: Any) -> None:
    found = tensor.quantization
    scales = [] if found is None else [_plain(found.scale), _plain(found.zeroPoint), found.quantizedDimension]
    signature = _plain(tensor.shapeSignature)
    _put(digest, "tensor", tensor.type, _plain(tensor.shape), signature, *scales, bool(tensor.isVariable))
    _put(digest, _plain(tensor.sparsity))
    data = model.buffers[tensor.buffer].data
    if data is not None:
        import numpy as np

        content = np.ascontiguousarray(data, np.uint8)
        _put(digest, "constant", content.size)
        digest.update(content.data)


def _plain(value: Any) -> Any:
    """A value of the schema as something whose text is its content."""
    if value is None or isinstance(value, int | float | str | bytes | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return type(value).__name__, sorted((key, repr(_plain(each))) for key, each in vars(value).items())


def _numbers(values: Any) -> list[int]:
    return [] if values is None else [int(each) for each in values]


def _put(digest: HASH, *parts: object) -> None:
    """Add parts, each with its length, so that no two sequences of parts are the same bytes."""
    for part in parts:
        content = str(part).encode()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)

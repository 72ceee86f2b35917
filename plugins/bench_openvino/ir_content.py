"""Canonical hash of an IR: what it computes, not how it is written down.

Names and ids of layers, names of tensors, runtime information and the place of the weights in the .bin take no part;
types with their attributes, connections by position, the content of constants, the shapes of tensors and the options
that the file gives to the runtime do.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bench_openvino.ir_file import load

if TYPE_CHECKING:
    from pathlib import Path

PLACE = frozenset({"offset", "size"})


def content_sha256(path: Path) -> str:
    """Sha256 of canonical content, as 64 hexadecimal digits.

    Raises:
        ArtifactError: The file cannot be read.
    """
    file = load(path)
    digest = hashlib.sha256()

    def put(*parts: object) -> None:
        """Add parts, each with its length, so that no two sequences of parts are the same bytes."""
        for part in parts:
            content = str(part).encode()
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)

    for layer in file.layers:
        put("layer", layer.type, layer.opset, len(layer.sources), len(layer.outputs), layer.inside)
        for source, port in layer.sources:
            put(file.where[source], port)
        for precision, shape in layer.outputs:
            put(precision, *shape)
        for key in sorted(layer.attributes.keys() - PLACE):
            put(key, layer.attributes[key])
        if layer.type == "Const":
            content = file.store.bytes_of(layer)
            put(len(content))
            digest.update(content.data)
    for key, value in sorted(file.runtime_options.items()):
        put("runtime option", key, value)
    return digest.hexdigest()

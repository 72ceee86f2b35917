"""Canonical hash of a .pte file: what it computes, not how it is written down.

Names, keys, the order of segments, memory plans and debug handles take no part; operators with their options,
connections by position, which of them are delegated, the content of constants, and types, shapes and scales do.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bench_executorch.network import Network, network_of
from bench_executorch.program_file import blaming, load

if TYPE_CHECKING:
    from _hashlib import HASH
    from pathlib import Path


def content_sha256(path: Path) -> str:
    """Sha256 of canonical content, as 64 hexadecimal digits; the same in every process.

    Raises:
        ArtifactError: The file cannot be read.
    """
    program = load(path)
    digest = hashlib.sha256()
    with blaming(path):
        _network(digest, network_of(program))
    return digest.hexdigest()


def _network(digest: HASH, network: Network) -> None:
    """Hash a network; a value is called after the order in which it is first met, a delegate likewise."""
    place: dict[int, int] = {}
    delegates: dict[int, int] = {}

    def locate(index: int) -> str:
        if index not in place:
            place[index] = len(place)
            value = network.values[index]
            _put(digest, "value", value.precision, value.shape, value.dynamic, value.constant)
            _put(digest, *value.quantisation)
            _put(digest, "content", value.content)
        return str(place[index])

    _put(digest, "inputs", *map(locate, network.inputs))
    for node in network.nodes:
        where = delegates.setdefault(node.delegate, len(delegates)) if node.delegate >= 0 else "own"
        _put(digest, "operator", node.source, where, node.bounds)
        _put(digest, *map(locate, node.inputs))
        _put(digest, "makes", *map(locate, node.outputs))
        for key in sorted(node.options):
            _put(digest, key, node.options[key])
    _put(digest, "outputs", *map(locate, network.outputs))


def _put(digest: HASH, *parts: object) -> None:
    """Add parts, each with its length, so that no two sequences of parts are the same bytes."""
    for part in parts:
        content = part if isinstance(part, memoryview) else str(part).encode()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)

"""Who makes and who reads each tensor of a graph."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench_onnx.network import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Who makes and who reads each tensor."""

    producer: Mapping[str, Node]
    readers: Mapping[str, tuple[Node, ...]]
    outputs: frozenset[str]

    def only_read_by(self, name: str, op: str) -> bool:
        """Whether a tensor is no output and only nodes of one operator read it, as their data."""
        return (
            bool(self.readers.get(name))
            and name not in self.outputs
            and all(reader.op == op and not reader.domain and reader.inputs[0] == name for reader in self.readers[name])
        )


def links_of(nodes: Iterable[Node], outputs: Iterable[str]) -> Links:
    """Links of nodes in execution order, with the outputs of the graph."""
    producer: dict[str, Node] = {}
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        producer |= dict.fromkeys(node.outputs, node)
        for name in dict.fromkeys(node.inputs):
            readers[name].append(node)
    return Links(producer=producer, readers={k: tuple(v) for k, v in readers.items()}, outputs=frozenset(outputs))

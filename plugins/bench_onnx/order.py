"""Execution order of the nodes of an ONNX graph, subgraphs that read tensors around them included."""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put nodes in execution order where they are not; the specification asks for it, but some tools do not do it.

    A node moves behind the nodes whose results it reads, others keep their order. Nodes of a cycle stay at the end.
    """
    maker = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = [{maker[name] for name in (*node.input, *captured_by(node)) if name in maker} for node in graph.node]
    if all(need < index for index, wanted in enumerate(needs) for need in wanted):
        return
    readers: dict[int, list[int]] = defaultdict(list)
    for index, wanted in enumerate(needs):
        for need in wanted:
            readers[need].append(index)
    missing = [len(wanted) for wanted in needs]
    ready = [index for index, count in enumerate(missing) if count == 0]  # ascending, so a heap already
    order: list[int] = []
    while ready:
        index = heappop(ready)
        order.append(index)
        for reader in readers[index]:
            missing[reader] -= 1
            if missing[reader] == 0:
                heappush(ready, reader)
    order += [index for index, count in enumerate(missing) if count > 0]
    nodes = [copy(graph.node[index]) for index in order]
    del graph.node[:]
    graph.node.extend(nodes)


def captured_by(node: onnx.NodeProto) -> list[str]:
    """Tensors of the graph around it that the subgraphs of a node read, each once."""
    found = (name for attribute in node.attribute for graph in _subgraphs(attribute) for name in captured(graph))
    return list(dict.fromkeys(found))


def _subgraphs(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def captured(graph: onnx.GraphProto) -> list[str]:
    """Tensors of the graph around it that a subgraph reads, each once, in order of first use."""
    inner = {v.name for v in graph.input} | {t.name for t in graph.initializer}
    inner |= {name for node in graph.node for name in node.output}
    used: list[str] = []
    for node in graph.node:
        used += (*node.input, *captured_by(node))
    used += [value.name for value in graph.output]
    return list(dict.fromkeys(name for name in used if name and name not in inner))

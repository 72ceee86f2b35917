"""A GELU that is written with Erf, as operator sets before 20 need it, in the normal form of one operator.

`x/√2 → Erf → +1 → ·x → ·½` in any order, as runtimes fuse it (ONNX Runtime's GeluFusion).
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

from bench_onnx.links import Links, links_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench_onnx.network import Network, Node


def fuse_gelu(network: Network) -> Network:
    """Replace each GELU that is written with Erf by one node."""
    if not any(node.op == "Erf" and not node.domain for node in network.nodes):
        return network
    links = links_of(network.nodes, network.outputs)
    gone: set[str] = set()
    made: dict[str, Node] = {}
    for node in network.nodes:
        chain = _gelu(node, links, network) if node.op == "Erf" and not node.domain else []
        if chain:
            first, last = chain[0], chain[-1]
            gone |= {part.outputs[0] for part in chain[:-1]}
            source = next(name for name in first.inputs if not network.constant(name))
            made[last.outputs[0]] = replace(last, op="Gelu", inputs=(source,), attributes={}, source="Erf")
    return replace(
        network,
        nodes=tuple(made.get(node.outputs[0], node) for node in network.nodes if node.outputs[0] not in gone),
    )


def _gelu(erf: Node, links: Links, network: Network) -> list[Node]:
    """The nodes of a GELU from the scaling before Erf to the last product, or none."""
    scaling = links.producer.get(erf.inputs[0])
    if scaling is None or not _scales(scaling, network, {"Div": sqrt(2), "Mul": 1 / sqrt(2)}):
        return []
    source = next((name for name in scaling.inputs if not network.constant(name)), "")
    chain = [scaling, erf]
    plus = _after(erf, links)
    if plus is None or not _scales(plus, network, {"Add": 1.0}):
        return []
    chain.append(plus)
    halves = [part for part in _readers(source, links) if _scales(part, network, {"Mul": 0.5, "Div": 2.0})]
    halved = {part.outputs[0]: part for part in halves}
    end = _after(plus, links)
    rest = {"x", "half"}
    while end is not None and end.op == "Mul" and rest:
        other = [name for name in end.inputs if name != chain[-1].outputs[0]]
        if other == [source] and "x" in rest:
            rest.discard("x")
        elif _scales(end, network, {"Mul": 0.5}) and "half" in rest:
            rest.discard("half")
        elif len(other) == 1 and other[0] in halved and rest == {"x", "half"} and _after(halved[other[0]], links):
            rest.clear()
            chain.append(halved[other[0]])
        else:
            break
        chain.append(end)
        end = _after(end, links) if rest else None
    return [] if rest or not _private(chain, links) else chain


def _scales(node: Node, network: Network, wanted: dict[str, float]) -> bool:
    """Whether a node combines a tensor with a constant of one element that is about what is wanted."""
    value = next((network.constants[n] for n in node.inputs if network.constant(n)), None)
    if node.domain or node.op not in wanted or value is None or value.size != 1 or len(node.inputs) != 2:
        return False
    if node.op == "Div" and network.constant(node.inputs[0]):
        return False
    return abs(float(value.reshape(())) - wanted[node.op]) < 1e-3


def _readers(name: str, links: Links) -> Iterable[Node]:
    return links.readers.get(name, ())


def _after(node: Node, links: Links) -> Node | None:
    readers = links.readers.get(node.outputs[0], ())
    alone = len(readers) == 1 and node.outputs[0] not in links.outputs and not readers[0].domain
    return readers[0] if alone else None


def _private(chain: list[Node], links: Links) -> bool:
    """Whether nobody else reads what is made between the first and the last node."""
    inside = {part.outputs[0] for part in chain}
    return all(
        name not in links.outputs and all(reader.outputs[0] in inside for reader in links.readers.get(name, ()))
        for name in (part.outputs[0] for part in chain[:-1])
    )

"""Who makes and who reads each tensor, and neighbours that one kernel computes: biases and clamps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench_openvino.ir_kinds import clamp_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench_openvino.ir_network import Network, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Who makes and who reads each tensor."""

    producer: Mapping[str, Node]
    readers: Mapping[str, tuple[Node, ...]]
    outputs: frozenset[str]

    def sole_reader(self, name: str) -> Node | None:
        """The one node that reads a tensor that is no output."""
        found = self.readers.get(name, ())
        return found[0] if len(found) == 1 and name not in self.outputs else None


def links_of(network: Network) -> Links:
    """Links of a network."""
    readers: dict[str, list[Node]] = {}
    producer: dict[str, Node] = {}
    for node in network.nodes:
        producer |= dict.fromkeys(node.outputs, node)
        for name in dict.fromkeys(node.inputs):
            readers.setdefault(name, []).append(node)
    return Links(
        producer=producer,
        readers={name: tuple(nodes) for name, nodes in readers.items()},
        outputs=frozenset(network.outputs),
    )


def join(network: Network) -> Network:
    """Put constant biases into the products before them, scale and shift into the normalisation before them, and
    Maximum with Minimum of two bounds into one clamp.

    OpenVINO's own passes do the same before anything runs (ClampFusion; oneDNN takes bias, scale and shift with it).
    """
    links = links_of(network)
    gone: set[str] = set()
    nodes = []
    for node in network.nodes:
        if node.outputs[0] in gone:
            continue
        made = node
        for ops in _ENDINGS.get(node.kind if node.source != "MVN" else "MVN", ()):
            after = links.sole_reader(made.outputs[0])
            joined = _joined(made, after, network) if after is not None and after.kind == ops else None
            if joined is not None:
                gone.update(joined.outputs)
                made = joined
        nodes.append(made)
    return replace(network, nodes=tuple(nodes))


_ENDINGS = {
    "conv": ("add",), "deconv": ("add",), "matmul": ("add",), "MVN": ("mul", "add"), "min": ("max",), "max": ("min",),
}  # fmt: skip
"""What may follow and become part of a kind, in this order."""


def _joined(node: Node, after: Node, network: Network) -> Node | None:
    if node.kind in {"min", "max"}:
        return _clamp(node, after, network)
    vector = _other(after, node.outputs[0])
    weighted = node.source == "MVN" or network.constant(node.inputs[1])
    if not weighted or not _is_vector(vector, network):
        return None
    return replace(node, inputs=(*node.inputs, vector), outputs=after.outputs)


def bounds(node: Node) -> tuple[float, float]:
    """Bounds of a Clamp."""
    return float(node.given.get("min", "-inf")), float(node.given.get("max", "inf"))


def known(node: Node, network: Network) -> str:
    """Kind of a node by what it reads and writes, where its type alone does not tell."""
    kind = node.kind
    if kind == "matmul" and node.source == "MatMul" and any(network.constant(name) for name in node.inputs[:2]):
        return "fully_connected"
    if kind == "clip":
        return clamp_kind(*bounds(node))
    if kind == "prelu" and network.tensors[node.inputs[1]].elements == 1:
        return "leaky_relu"
    if node.source == "MVN" and len(node.inputs) > 1:
        return "layer_norm" if _axes(node, network) == (_rank(node, network) - 1,) else "norm"
    averaged = node.source == "ReduceMean" and _axes(node, network) == tuple(range(2, _rank(node, network)))
    single = node.source.startswith("Adaptive") and set(network.tensors[node.outputs[0]].shape[2:]) == {1}
    return "global_pool" if (averaged and _rank(node, network) > 2) or single else kind


def reduced_axes(node: Node, network: Network) -> tuple[int, ...] | None:
    """Axes that a reduction takes, none negative; None when they are not stored in the file."""
    return _axes(node, network)


def _axes(node: Node, network: Network) -> tuple[int, ...] | None:
    values = network.small(node.inputs[1]) if len(node.inputs) > 1 else None
    if values is None:
        return None
    return tuple(sorted(int(axis) % max(1, _rank(node, network)) for axis in values))


def _rank(node: Node, network: Network) -> int:
    return len(network.tensors[node.inputs[0]].shape)


def _other(node: Node, name: str) -> str:
    rest = [each for each in node.inputs if each != name]
    return rest[0] if len(rest) == 1 else ""


def _is_vector(name: str, network: Network) -> bool:
    """Whether a constant has at most one dimension that is longer than 1."""
    return network.constant(name) and sum(dim > 1 for dim in network.tensors[name].shape) <= 1


def _clamp(first: Node, second: Node, network: Network) -> Node | None:
    found = {}
    for node, carried in ((first, ""), (second, first.outputs[0])):
        limit = _other(node, carried) if carried else next((n for n in node.inputs if network.constant(n)), "")
        values = network.small(limit) if limit else None
        if values is None or len(values) != 1:
            return None
        found["min" if node.kind == "max" else "max"] = str(float(values[0]))
    data = next(name for name in first.inputs if not network.constant(name))
    return replace(second, kind="clip", inputs=(data,), given=found, source=f"{first.source}, {second.source}")

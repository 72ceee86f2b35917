"""How constants are quantised: in how many scales, and whether around zero."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench_onnx.network import Constant, Network, Node

MIDDLE = {"int8": 0, "int4": 0, "int16": 0, "uint8": 128, "uint4": 8}
"""The integer that stands for zero when a range is symmetric."""

_QLINEAR = frozenset({"QLinearConv", "QLinearMatMul", "QGemm"})
"""Operators with the weight, its scale and its zero point at positions 3 to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScale:
    """Scales of one constant: `count` is 1 for the whole tensor, `symmetric` is whether zero lies in the middle."""

    count: int
    symmetric: bool


def note_weight_scales(network: Network) -> Network:
    """Add the scales of every constant that a node dequantises or multiplies with."""
    found = dict(network.scales)
    for node in network.nodes:
        if node.op == "DequantizeLinear":
            _note(node, (0, 1, 2), network, found)
        elif node.op in _QLINEAR:
            _note(node, (3, 4, 5), network, found)
    return replace(network, scales=found)


def weight_scale(name: str, scales: Mapping[str, WeightScale]) -> WeightScale | None:
    """Scales of a constant, or of the one that it was moved from while the graph was folded."""
    if name in scales:
        return scales[name]
    return next((found for source, found in scales.items() if name.startswith(f"{source}/")), None)


def _note(node: Node, at: tuple[int, int, int], network: Network, found: dict[str, WeightScale]) -> None:
    value, scale, zero = (network.constants.get(node.inputs[i]) if i < len(node.inputs) else None for i in at)
    if value is not None and scale is not None:
        found[node.inputs[at[0]]] = WeightScale(count=int(scale.size), symmetric=_symmetric(value, zero))


def _symmetric(value: Constant, zero: Constant | None) -> bool:
    if zero is None:
        return value.dtype.name.startswith("int")
    return bool((zero == MIDDLE.get(zero.dtype.name, 0)).all())

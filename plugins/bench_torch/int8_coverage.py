"""How many layers of a module a quantiser really made int8."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILY = {"Conv": "Conv", "Linear": "Linear", "LSTM": "LSTM", "GRU": "GRU", "RNN": "RNN", "Embedding": "Embedding"}
"""Beginning of a layer's class name, float or quantised, to what it is called in a line."""


def coverage(module: nn.Module) -> Mapping[str, tuple[int, int]]:
    """Family of layers to (layers in int8, all layers)."""
    small: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for part in module.modules():
        kind = type(part)
        family = next((word for start, word in FAMILY.items() if kind.__name__.startswith(start)), None)
        if family is None or not _computes(part):
            continue
        every[family] += 1
        small[family] += ".quantized" in kind.__module__
    return {family: (small[family], every[family]) for family in sorted(every)}


def _computes(part: nn.Module) -> bool:
    """Whether a layer has a weight of its own; holders of packed weights and of fused layers have not."""
    return "PackedParam" not in type(part).__name__ and not isinstance(part, nn.Sequential)


def sentence(found: Mapping[str, tuple[int, int]]) -> str:
    """Coverage as a line of a lineage, such as `int8: 10 of 10 Conv, 1 of 1 Linear`."""
    return "int8: " + ", ".join(f"{part} of {whole} {family}" for family, (part, whole) in found.items())

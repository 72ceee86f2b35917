"""The next weaker try of each technique, for a build that has to keep an accuracy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench_quantize.options import Int8Dynamic, Int8Static, WeightOnlyInt4, WeightOnlyInt8

SMALLEST_BLOCK = 16
"""Of ONNX Runtime's MatMulNBits."""


def gentler_static(options: Int8Static) -> Int8Static | None:
    """A scale for each channel first, then ranges that leave extreme values out; those are left out as they were."""
    if not options.per_channel:
        return replace(options, per_channel=True)
    following = {"minmax": "entropy", "entropy": "percentile"}.get(options.method)
    return None if following is None else replace(options, method=following)  # type: ignore[arg-type]


def gentler_dynamic(options: Int8Dynamic) -> Int8Dynamic | None:
    """A scale for each channel first, then linear layers only."""
    if not options.per_channel:
        return replace(options, per_channel=True)
    return replace(options, operators="linear") if options.operators == "all" else None


def gentler_weights_int8(options: WeightOnlyInt8) -> WeightOnlyInt8 | None:
    """With zero points."""
    return replace(options, symmetric=False) if options.symmetric else None


def gentler_weights_int4(options: WeightOnlyInt4) -> WeightOnlyInt4 | None:
    """Activations in float, then with zero points, then blocks of half the length."""
    if options.activations == "int8":
        return replace(options, activations="float")
    if options.symmetric:
        return replace(options, symmetric=False)
    return replace(options, block=options.block // 2) if options.block > SMALLEST_BLOCK else None

"""Domain: what speaks against trusting an estimate of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.estimate.features import UNMODELLED, KernelClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.estimate.latency import KernelCost
    from harness.graph import OpGraph

__all__ = ["UNMODELLED", "reasons_against"]

MATRIX_SHARE = 0.10
"""Share of multiply-accumulates in matrix products of several rows (attention, transformers) above which a graph is
out of domain: the published rows are of convolutional networks."""


def reasons_against(graph: OpGraph, costs: Sequence[KernelCost], unmodelled: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons in words, none when the graph is of the sort that was calibrated."""
    found = []
    detection = sum(op.kind == "detection" for op in graph.operators)
    unknown = len(unmodelled) - detection
    if unknown:
        names = ", ".join(op.name for op in graph.operators if op.kind == "unknown")
        found.append(f"{unknown} operators are not modelled: {_short(names)}")
    if detection:
        found.append(f"detection post-processing ({detection} operators) is not in the estimate: shapes do not tell it")
    matrix = sum(each.macs for each in costs if each.kernel_class is KernelClass.GEMM)
    if graph.macs and matrix / graph.macs > MATRIX_SHARE:
        found.append(f"{matrix / graph.macs:.0%} of the multiply-accumulates are matrix products of several rows")
    dynamic = [t.name for t in graph.tensors.values() if any(d < 0 for d in t.shape)]
    if dynamic:
        found.append(f"{len(dynamic)} tensors have a dynamic shape, counted as 1: {', '.join(dynamic[:3])}")
    if any(t.precision == "int4" for t in graph.tensors.values()) or any(
        op.precision == "int4" for op in graph.operators
    ):
        found.append("4-bit weights are in no calibration data")
    return tuple(found)


def _short(names: str, most: int = 60) -> str:
    return names if len(names) <= most else names[: most - 1] + "…"

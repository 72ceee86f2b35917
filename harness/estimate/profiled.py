"""Estimates for a machine whose own kernels were timed: the costs that `bench calibrate` fitted, kernel by kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.calibrate.model import operator_times, unswept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.estimate.latency import KernelCost
    from harness.graph import OpGraph
    from harness.profile import HostCalibration


def own_costs(costs: Sequence[KernelCost], graph: OpGraph, calibration: HostCalibration) -> tuple[KernelCost, ...]:
    """The kernels' costs as they were timed: each kernel's parts stretched to what its operators take here.

    How a kernel's time divides into arithmetic, memory and launch stays that of the datasheet's model.
    """
    timed = {each.name: each.ms for each in operator_times(graph, calibration)}
    return tuple(
        _stretched(each, timed.get(each.name, 0.0) + sum(timed.get(name, 0.0) for name in each.fused)) for each in costs
    )


def basis_of(calibration: HostCalibration) -> str:
    """Where the numbers are from, in words."""
    return (
        f"kernels timed on this machine: {int(calibration.graphs.value)} graphs in {calibration.precision} on"
        f" {int(calibration.threads.value)} threads, {calibration.graphs.date}"
    )


def reasons_of(graph: OpGraph, calibration: HostCalibration) -> tuple[str, ...]:
    """What speaks against trusting it: kinds of operators that were not timed."""
    kinds = unswept(graph, calibration)
    return (f"not timed on this machine, priced like a pass over memory: {', '.join(kinds)}",) if kinds else ()


def _stretched(cost: KernelCost, ms: float) -> KernelCost:
    whole = cost.total_ms
    share = ms / whole if whole else 0.0
    return replace(
        cost,
        compute_ms=cost.compute_ms * share,
        activation_ms=cost.activation_ms * share,
        weight_ms=cost.weight_ms * share,
        overhead_ms=cost.overhead_ms * share,
    )

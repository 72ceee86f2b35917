"""Estimates latency, memory and energy of a graph on the cores of a device that is not here."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING

from harness.estimate.energy import energy
from harness.estimate.features import UNMODELLED, KernelClass
from harness.estimate.fusion import Kernel, fuse
from harness.estimate.interval import Estimate, Interval
from harness.estimate.latency import KernelCost, coefficients, cost, launch_ms, rates
from harness.estimate.memory import fits, peak, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.graph import OpGraph
    from harness.profile import DeviceProfile

FLOAT_FACTOR = 2.2
"""90 % factor of a float latency from the prior alone. Coefficients fitted on other devices of the same runtime reach
1.70; the prior is not fitted (25 % mean error on ncnn's table) and the runtime is another one."""

INT8_FACTOR = 3.0
"""The same for int8: its gain over float differs up to threefold between runtimes on one device (Raspberry Pi 4:
XNNPACK 2.7 to 3.2, ncnn 1.1 to 1.8, Arm NN 0.5)."""

OUT_OF_DOMAIN = 1.5
"""Widens the factor for a graph of a sort that the prior was never compared with."""

MATRIX_SHARE = 0.10
"""Share of multiply-accumulates in matrix products of several rows (attention, transformers) above which a graph is
out of domain: ncnn's table holds one such network, and it was left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    kernels: Sequence[Kernel]
    costs: Sequence[KernelCost]
    threads: int
    launch_ms: float

    @property
    def latency_ms(self) -> float:
        """The kernels, and one launch for calling the runtime at all."""
        return self.launch_ms + sum(each.total_ms for each in self.costs)


def estimate(graph: OpGraph, profile: DeviceProfile, *, kernel_family: str, threads: int | None = None) -> Estimate:
    """Estimate one inference at batch 1.

    Args:
        graph: What runs.
        profile: Where it runs; its fastest cluster is used.
        kernel_family: The kernel library that the backend would use there.
        threads: Threads, or None for one on each core of the cluster.
    """
    priced = _price(graph, profile, kernel_family=kernel_family, threads=threads)
    unmodelled = tuple(op.name for op in graph.operators if op.kind in UNMODELLED)
    reasons = _reasons(graph, priced.costs, unmodelled)
    factor = _factor(priced, out_of_domain=bool(reasons))
    latency = _spread(priced.latency_ms, factor)
    total, above = energy(profile, latency, threads=priced.threads)
    memory = peak(plan(graph, priced.kernels, threads=priced.threads), kernel_family)
    return Estimate(
        kind="estimated",
        latency_ms=latency,
        peak_memory_bytes=memory,
        energy_mj=total,
        energy_above_idle_mj=above,
        threads=priced.threads,
        basis=f"physical prior, uncalibrated for {kernel_family or 'an unnamed kernel family'}",
        in_domain=not reasons,
        reasons=reasons,
        fits=fits(memory, profile.available_bytes),
        unmodelled=unmodelled,
    )


def per_operator(
    graph: OpGraph, profile: DeviceProfile, *, kernel_family: str, threads: int | None = None
) -> tuple[KernelCost, ...]:
    """Cost of each fused kernel in execution order; views and fused operators are not rows of their own."""
    return tuple(_price(graph, profile, kernel_family=kernel_family, threads=threads).costs)


def _price(graph: OpGraph, profile: DeviceProfile, *, kernel_family: str, threads: int | None) -> _Priced:
    given = rates(profile, kernel_family=kernel_family, threads=threads)
    table = coefficients(kernel_family)
    kernels = fuse(graph)
    costs = [cost(kernel, given, table) for kernel in kernels]
    return _Priced(kernels=kernels, costs=costs, threads=given.threads, launch_ms=launch_ms(given))


def _reasons(graph: OpGraph, costs: Sequence[KernelCost], unmodelled: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    if unmodelled:
        found.append(f"{len(unmodelled)} operators are not modelled: {', '.join(unmodelled[:3])}")
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


def _factor(priced: _Priced, *, out_of_domain: bool) -> float:
    macs = sum(each.macs for each in priced.costs)
    int8 = sum(each.macs for each in priced.costs if each.arithmetic == "int8")
    share = int8 / macs if macs else 0.0
    unknown = [each for each in priced.costs if each.kernel_class is KernelClass.UNKNOWN]
    if unknown:  # the larger of their shares of time and of kernels: a cheap guess must not hide that it is one
        time = sum(each.total_ms for each in unknown) / priced.latency_ms
        unmodelled = max(time, len(unknown) / len(priced.costs))
    else:
        unmodelled = 0.0
    factor = exp((1 - share) * log(FLOAT_FACTOR) + share * log(INT8_FACTOR))
    return factor * (OUT_OF_DOMAIN if out_of_domain else 1.0) * (1 + unmodelled)


def _spread(middle: float, factor: float) -> Interval:
    return Interval(p50=middle, lo90=middle / factor, hi90=middle * factor)

"""Why is it not faster? Every cause is looked for, here by what was measured and on a device by what is estimated.

A variant is asked about only when something was to be gained: arithmetic in 8 bits or half precision, weights stored
small, zeros, or fewer multiply-accumulates. One that is faster may have reasons too: what still holds it back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.estimate.estimator import estimate, per_operator
from harness.estimate.features import BORDERS
from harness.operator_time import OperatorTime
from harness.why.arithmetic import (
    eight_bits_promised,
    float_left,
    format_changes,
    half_in_float,
    no_dot_product,
    weights_expanded,
)
from harness.why.cpu import CpuFacts, cpu_facts
from harness.why.reason import Reason
from harness.why.side import HALF, Comparison, Side
from harness.why.structure import (
    dense_zeros,
    fewer_macs,
    less_reuse,
    more_zeros,
    odd_channels,
    other_work,
    too_small,
)

if TYPE_CHECKING:
    from harness.estimate.latency import KernelCost
    from harness.graph import OpGraph
    from harness.profile import DeviceProfile

CAUSES: tuple[Callable[[Comparison], Reason | None], ...] = (
    float_left, format_changes, no_dot_product, half_in_float, weights_expanded,
    dense_zeros, odd_channels, less_reuse, other_work, too_small,
)  # fmt: skip

MOST_BETWEEN_NS = 20_000
"""Time that can pass between two operators: an eager runtime takes some 10 µs. What a measured latency has beyond that
is another moment of a busy machine, no property of the variant."""

MOST_CALL_NS = 50_000
"""The same for a call of the runtime as a whole."""


def asked(given: Comparison) -> bool:
    """Whether the variant could be expected to be faster than its baseline."""
    small = given.gained(frozenset(), scheme="weight-only") > 0
    half = given.gained(HALF) > 0
    simulated = given.variant.spent("quantise") > given.baseline.spent("quantise")
    return eight_bits_promised(given) or half or small or simulated or fewer_macs(given) or more_zeros(given)


def host_reasons(baseline: Side, variant: Side, cpu: CpuFacts) -> tuple[Reason, ...]:
    """Reasons on this machine, the largest share of time first; empty where no gain was to be expected, or none holds.

    Args:
        baseline: The baseline in the same runtime.
        variant: The variant. Without operators' times the causes that only they show are left out.
        cpu: This machine's processor.
    """
    return _reasons(Comparison(baseline=_settled(baseline), variant=_settled(variant), cpu=cpu, where="host"))


def device_reasons(
    baseline: OpGraph, variant: OpGraph, profile: DeviceProfile, *, kernel_family: str, threads: int | None = None
) -> tuple[Reason, ...]:
    """Reasons on the cores of a device, by the time that the estimate gives each operator; not for accelerators.

    Args:
        baseline: Graph of the baseline.
        variant: Graph of the variant.
        profile: The device.
        kernel_family: The kernel library that the backend would use there.
        threads: Threads, or None for what is faster: one on each of the fastest cores, or a single one.
    """
    sides = []
    for graph in (baseline, variant):
        costs = per_operator(graph, profile, kernel_family=kernel_family, threads=threads)
        whole = estimate(graph, profile, kernel_family=kernel_family, threads=threads)
        operators = tuple(_as_time(each) for each in costs)
        sides.append(Side(graph=graph, operators=operators, latency_ns=whole.latency_ms.p50 * 1e6))
    return _reasons(Comparison(baseline=sides[0], variant=sides[1], cpu=cpu_facts(profile), where="device"))


def _reasons(given: Comparison) -> tuple[Reason, ...]:
    if not asked(given):
        return ()
    found = [reason for cause in CAUSES if (reason := cause(given)) is not None]
    return tuple(sorted(found, key=lambda reason: -(reason.share or 0.0)))


def _settled(side: Side) -> Side:
    """The side with what its latency has beyond its operators limited to what calling and launching can take."""
    if side.latency_ns is None or not side.operators:
        return side
    most = side.operators_ns + MOST_CALL_NS + MOST_BETWEEN_NS * len(side.operators)
    return replace(side, latency_ns=min(side.latency_ns, most))


def _as_time(cost: KernelCost) -> OperatorTime:
    """A kernel of an estimate without its launch, which counts as time between operators."""
    return OperatorTime(
        name=cost.name,
        kind=cost.kind,
        does="compute" if cost.macs else "quantise" if cost.kind in BORDERS else "other",
        precision=cost.arithmetic,
        ns=round((cost.total_ms - cost.overhead_ms) * 1e6),
    )

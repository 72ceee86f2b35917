"""Estimates latency, memory and energy of a graph on the cores of a device that is not here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING

from harness.calibrate.model import calibration_of, predict_ms
from harness.estimate.domain import UNMODELLED, Overhead, reasons_against
from harness.estimate.energy import Work, energy
from harness.estimate.features import KernelClass, features
from harness.estimate.fusion import Kernel, fuse
from harness.estimate.interval import Estimate, Interval
from harness.estimate.latency import KernelCost, cost, launch_ms
from harness.estimate.memory import Fits, fits, peak, plan
from harness.estimate.microcontroller import fits_on, microcontroller_memory
from harness.estimate.profiled import basis_of, own_costs, reasons_of
from harness.estimate.rates import Rates, rates
from harness.estimate.standing import Standing, standing

if TYPE_CHECKING:
    from harness.graph import OpGraph
    from harness.profile import DeviceProfile, HostCalibration

OUT_OF_DOMAIN = 1.5
"""Widens the factor for a graph of a sort that no published row is of: an assumption, and said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    """A graph's kernels with their costs.

    Attributes:
        standings: By arithmetic precision, for those that occur.
        own: What was timed on the device itself, which then stands for the whole.
    """

    kernels: Sequence[Kernel]
    costs: Sequence[KernelCost]
    standings: Mapping[str, Standing]
    threads: int
    launch_ms: float
    own: HostCalibration | None = None

    @property
    def latency_ms(self) -> float:
        """The kernels, and one launch for calling the runtime at all."""
        return self.launch_ms + sum(each.total_ms for each in self.costs)

    @property
    def shares(self) -> Mapping[str, float]:
        """Share of each arithmetic precision in the multiply-accumulates, or in the time where there are none."""
        by_macs, by_ms = dict.fromkeys(self.standings, 0.0), dict.fromkeys(self.standings, 0.0)
        for each in self.costs:
            by_macs[_known_as(each.arithmetic)] += each.macs
            by_ms[_known_as(each.arithmetic)] += each.total_ms
        for amounts in (by_macs, by_ms):
            total = sum(amounts.values())
            if total:
                return {arithmetic: amount / total for arithmetic, amount in amounts.items()}
        return {arithmetic: 1 / len(by_ms) for arithmetic in by_ms}

    @property
    def precision(self) -> str:
        """The arithmetic of most multiply-accumulates."""
        shares = self.shares
        return max(shares, key=lambda arithmetic: shares[arithmetic], default="fp32")


def estimate(graph: OpGraph, profile: DeviceProfile, *, kernel_family: str, threads: int | None = None) -> Estimate:
    """Estimate one inference at batch 1.

    Args:
        graph: What runs.
        profile: Where it runs; its fastest cores are used first.
        kernel_family: The kernel library that the backend would use there.
        threads: Threads, or None for what is faster: one on each of the fastest cores, or a single one.
    """
    priced = _fastest(graph, profile, kernel_family=kernel_family, threads=threads)
    unmodelled = tuple(op.name for op in graph.operators if op.kind in UNMODELLED)
    reasons = reasons_against(graph, priced.costs, unmodelled)
    if priced.own is not None:
        reasons = (*reasons, *reasons_of(graph, priced.own))
    widened = (OUT_OF_DOMAIN if reasons else 1.0) * (1 + _unmodelled_share(priced))
    factor = priced.own.factor90.value if priced.own else _mixed(priced, "factor90")
    overhead = _overhead(priced)
    reasons = (*reasons, *overhead.reasons)
    latency = _spread(priced.latency_ms, factor * widened, unseen_ms=overhead.unseen_ms)
    widened *= priced.latency_ms / (priced.latency_ms - overhead.unseen_ms)
    work = Work(
        kernel_family=kernel_family, precision=priced.precision, threads=priced.threads,
        macs=sum(each.macs for each in priced.costs),
    )  # fmt: skip
    drawn = energy(profile, latency, work)
    memory, flash, verdict = _memory(graph, profile, priced, kernel_family)
    return Estimate(
        kind="estimated",
        latency_ms=latency,
        peak_memory_bytes=memory,
        energy_mj=drawn.total_mj,
        energy_above_idle_mj=drawn.above_idle_mj,
        energy_basis=drawn.basis,
        threads=priced.threads,
        basis=_basis(priced),
        in_domain=not reasons,
        reasons=reasons,
        flash_bytes=flash,
        fits=verdict,
        unmodelled=unmodelled,
        precision=priced.precision,
        kernel_family=kernel_family,
        pair_factor90=(factor if priced.own else _mixed(priced, "pair_factor90")) * widened,
        gain_factor90=(factor if priced.own else _mixed(priced, "gain_factor90")) * widened,
    )


def per_operator(
    graph: OpGraph, profile: DeviceProfile, *, kernel_family: str, threads: int | None = None
) -> tuple[KernelCost, ...]:
    """Cost of each fused kernel in execution order; views and fused operators are not rows of their own."""
    return tuple(_fastest(graph, profile, kernel_family=kernel_family, threads=threads).costs)


def _fastest(graph: OpGraph, profile: DeviceProfile, *, kernel_family: str, threads: int | None) -> _Priced:
    """With the threads that are asked for, else with those that whoever ships the network would choose.

    Waking threads takes longer than a small network. Only what was timed counts where anything was.
    """
    asked = (threads,) if threads is not None else dict.fromkeys((1, profile.fast_cores))
    kernels = fuse(graph, kernel_family)
    found = [_price(graph, kernels, profile, kernel_family=kernel_family, threads=each) for each in asked]
    timed = [each for each in found if each.own is not None]
    return min(timed or found, key=lambda each: each.latency_ms)


def _price(
    graph: OpGraph, kernels: Sequence[Kernel], profile: DeviceProfile, *, kernel_family: str, threads: int
) -> _Priced:
    given = rates(profile, kernel_family=kernel_family, threads=threads)
    known: dict[str, Standing] = {}

    def of(arithmetic: str) -> Standing:
        if arithmetic not in known:
            known[arithmetic] = standing(profile, family=kernel_family, precision=arithmetic, threads=given.threads)
        return known[arithmetic]

    costs = [_cost(kernel, given, of) for kernel in kernels]
    main = _Priced(kernels=kernels, costs=costs, standings=known, threads=given.threads, launch_ms=0.0)
    first = of(main.precision)
    launch = launch_ms(given) * first.coefficients.get("launch", 1.0) * first.scale
    own = calibration_of(graph, profile.profiled, kernel_family=kernel_family, threads=given.threads)
    if own is not None:
        costs = list(own_costs(costs, graph, own))
        launch = max(predict_ms(graph, own) - sum(each.total_ms for each in costs), 0.0)
    return _Priced(kernels=kernels, costs=costs, standings=known, threads=given.threads, launch_ms=launch, own=own)


def _cost(kernel: Kernel, given: Rates, of: Callable[[str], Standing]) -> KernelCost:
    what = features(kernel, given.family, fp16_arithmetic=given.fp16_arithmetic)
    known = of(_known_as(what.arithmetic))
    return cost(kernel, what, given, known.coefficients, known.scale)


def _known_as(arithmetic: str) -> str:
    """Nobody publishes fp64: the coefficients of fp32 stand in for it, at its own peak rate."""
    return "fp32" if arithmetic == "fp64" else arithmetic


def _memory(
    graph: OpGraph, profile: DeviceProfile, priced: _Priced, family: str
) -> tuple[Interval, Interval | None, Fits]:
    """Peak memory, flash where the device is a microcontroller, and whether it all fits."""
    if profile.memory.flash is not None:
        needed = microcontroller_memory(graph, priced.kernels, family)
        return needed.ram_bytes, needed.flash_bytes, fits_on(needed, profile)
    memory = peak(plan(graph, priced.kernels, threads=priced.threads, family=family), family)
    return memory, None, fits(memory, profile.available_bytes)


def _basis(priced: _Priced) -> str:
    """What is known of the precision that computes most, then of the others that compute a part worth naming."""
    if priced.own is not None:
        return basis_of(priced.own)
    shares = priced.shares
    ordered = sorted(shares, key=lambda a: -shares[a])
    named = [a for a in ordered if a == priced.precision or shares[a] > NAMED_SHARE]
    return "; ".join(dict.fromkeys(priced.standings[a].basis for a in named))


NAMED_SHARE = 0.05


def _mixed(priced: _Priced, attribute: str) -> float:
    """A 90 % factor of a graph in several precisions: its logs weighted by their shares."""
    return exp(sum(share * log(getattr(priced.standings[a], attribute)) for a, share in priced.shares.items()))


def _unmodelled_share(priced: _Priced) -> float:
    """The larger of the unknown kernels' shares of time and of kernels: a cheap guess must not hide that it is one."""
    unknown = [each for each in priced.costs if each.kernel_class is KernelClass.UNKNOWN]
    if not unknown:
        return 0.0
    time = sum(each.total_ms for each in unknown) / priced.latency_ms
    return max(time, len(unknown) / len(priced.costs))


def _overhead(priced: _Priced) -> Overhead:
    """What launches take. Where the device itself was timed there is nothing unseen: it was timed launching."""
    known = priced.standings.get(priced.precision) if priced.own is None else None
    return Overhead(
        launches_ms=priced.launch_ms + sum(each.overhead_ms for each in priced.costs),
        of_ms=priced.latency_ms,
        published_share=known.overhead_share if known else 1.0,
    )


def _spread(middle: float, factor: float, *, unseen_ms: float) -> Interval:
    """What no data speak of may be nothing, or twice as much."""
    return Interval(p50=middle, lo90=(middle - unseen_ms) / factor, hi90=(middle + unseen_ms) * factor)

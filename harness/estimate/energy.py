"""Energy of one inference: the power that was measured of the same software on the device, else its power states."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import TYPE_CHECKING

from harness.estimate.interval import Interval

if TYPE_CHECKING:
    from harness.profile import ActivePower, DeviceProfile, Power

POWER_LOG_SD = 0.25
"""Standard deviation of the log of a single-board computer's power between meters, supplies, RAM sizes and revisions:
one board's published readings span ±40 %."""

SMALLEST_SPREAD = 0.05
"""The same where power was measured of the same software on the device, at least: a network that nobody measured, on
another board of the type. E = P·t holds within 5 % for one board and one software in MLPerf Tiny v1.0."""

Z90 = 1.645
"""Standard normal: 90 % lie within ±1.645 standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What computes, for as far as power depends on it.

    Attributes:
        precision: Of most multiply-accumulates: `fp32`, `fp16` or `int8`.
    """

    kernel_family: str
    precision: str
    threads: int
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy of one inference in millijoules; None where it is not known, and `basis` says why.

    Attributes:
        total_mj: With all that the meter behind the numbers covers.
        above_idle_mj: The same less what the device draws anyway, by the same meter.
        basis: Method, what the meter covers, and what is missing.
    """

    total_mj: Interval | None
    above_idle_mj: Interval | None
    basis: str


def energy(profile: DeviceProfile, latency_ms: Interval, work: Work) -> Energy:
    """Energy of an inference that takes `latency_ms`.

    Where power was measured of the same kernel family, precision and number of threads, that is taken. Else the busy
    threads' share of the cores takes the same share of what full load adds to idle; else the power that other software
    draws stands in. The interval adds the doubt about power to that about time.
    """
    power = profile.power
    if power is None:
        return Energy(total_mj=None, above_idle_mj=None, basis="no power of the device is known")
    measured = active_power(power, work)
    if measured:
        return _from_measured(measured, latency_ms, work.macs)
    cores = sum(int(c.count.value) for c in profile.clusters)
    return _from_states(power, latency_ms, work, cores) or _from_others(power, latency_ms, work)


def active_power(power: Power, work: Work) -> ActivePower | None:
    """The power that was measured of the same kernel family, precision and threads, or None."""
    same = (work.kernel_family, work.precision, work.threads)
    return next((a for a in power.active if (a.family, a.precision, a.threads.value) == same), None)


def interval_factor(spread: float) -> float:
    """Factor of the 90 % interval of an energy at known latency, for the spread of a measured power."""
    return exp(Z90 * max(SMALLEST_SPREAD, spread))


def _named(work: Work) -> str:
    threads = f"{work.threads} thread{'s' * (work.threads != 1)}"
    return f"{work.kernel_family or 'an unnamed kernel family'} in {work.precision} on {threads}"


def _from_measured(measured: ActivePower, latency_ms: Interval, macs: int) -> Energy:
    per_mac_pj = measured.per_mac.value if measured.per_mac else 0.0
    above = per_mac_pj * 1e-9 * macs  # a picojoule is 1e-9 mJ
    at = {end: measured.power.value * getattr(latency_ms, end) + above for end in ("p50", "lo90", "hi90")}
    total = _widened(Interval(**at), max(SMALLEST_SPREAD, measured.spread.value))
    basis = (
        f"power measured of {measured.family} in {measured.precision}, {measured.power.source}; it covers"
        f" {measured.scope}. Above idle is not known: nobody published idle power by that meter"
    )
    return Energy(total_mj=total, above_idle_mj=None, basis=basis)


def _from_states(power: Power, latency_ms: Interval, work: Work, cores: int) -> Energy | None:
    if power.stress is None or (power.idle is None and work.threads < cores):
        return None
    basis = f"power states of the board, none measured of {_named(work)}; {power.method}"
    if power.idle is None:
        return Energy(
            total_mj=_times(latency_ms, power.stress.value),
            above_idle_mj=None,
            basis=f"{basis}. Above idle is not known: nobody published idle power",
        )
    idle = power.idle.value
    above = max(0.0, power.stress.value - idle) * min(1.0, work.threads / cores)
    return Energy(total_mj=_times(latency_ms, idle + above), above_idle_mj=_times(latency_ms, above), basis=basis)


def _from_others(power: Power, latency_ms: Interval, work: Work) -> Energy:
    """The geometric mean of what other software draws in the same precision on as many threads."""
    others = [a for a in power.active if (a.precision, a.threads.value) == (work.precision, work.threads)]
    if not others:
        known = ", ".join(f"{a.family} in {a.precision} on {a.threads.value:g} threads" for a in power.active)
        basis = f"no power of {_named(work)} is known, nor of idle and full load; known is: {known or 'nothing'}"
        return Energy(total_mj=None, above_idle_mj=None, basis=basis)
    watt = exp(sum(log(a.power.value) for a in others) / len(others))
    scopes = " or ".join(dict.fromkeys(a.scope for a in others))
    basis = (
        f"no power measured of {_named(work)}: that of {', '.join(a.family for a in others)} stands in; it covers"
        f" {scopes}. Above idle is not known"
    )
    return Energy(total_mj=_times(latency_ms, watt), above_idle_mj=None, basis=basis)


def _times(latency_ms: Interval, watt: float) -> Interval:
    """Milliseconds times watts are millijoules."""
    return _widened(_scaled(latency_ms, watt), POWER_LOG_SD) if watt else _scaled(latency_ms, watt)


def _scaled(latency_ms: Interval, watt: float) -> Interval:
    return Interval(p50=latency_ms.p50 * watt, lo90=latency_ms.lo90 * watt, hi90=latency_ms.hi90 * watt)


def _widened(interval: Interval, log_sd: float) -> Interval:
    """The doubts about time and power are independent, so their logs add in quadrature."""
    doubt = Z90 * log_sd
    low = exp(sqrt(log(interval.p50 / interval.lo90) ** 2 + doubt**2))
    high = exp(sqrt(log(interval.hi90 / interval.p50) ** 2 + doubt**2))
    return Interval(p50=interval.p50, lo90=interval.p50 / low, hi90=interval.p50 * high)

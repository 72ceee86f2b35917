"""Energy of one inference from the power states of a board: E = P·t."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import TYPE_CHECKING

from harness.estimate.interval import Interval

if TYPE_CHECKING:
    from harness.profile import DeviceProfile

POWER_LOG_SD = 0.25
"""Standard deviation of the log of a single-board computer's power between meters, supplies, RAM sizes and revisions:
one board's published readings span ±40 %."""

Z90 = 1.645
"""Standard normal: 90 % lie within ±1.645 standard deviations."""


def energy(
    profile: DeviceProfile, latency_ms: Interval, *, threads: int
) -> tuple[Interval, Interval] | tuple[None, None]:
    """Energy in millijoules, with and without the board's idle power; None twice when its power is not known.

    The busy threads' share of the cores takes the same share of what full load adds to idle. MLPerf Tiny v1.0 shows
    E = P·t to hold within 5 % for one board and one software; the interval adds the doubt about P to that about t.
    """
    if profile.power is None:
        return None, None
    idle = profile.power.idle.value
    cores = sum(int(c.count.value) for c in profile.clusters)
    above = max(0.0, profile.power.stress.value - idle) * min(1.0, threads / cores)
    return _times(latency_ms, idle + above), _times(latency_ms, above)


def _times(latency_ms: Interval, watt: float) -> Interval:
    """Milliseconds times watts are millijoules; the doubts are independent, so their logs add in quadrature."""
    doubt = Z90 * POWER_LOG_SD
    low = exp(sqrt(log(latency_ms.p50 / latency_ms.lo90) ** 2 + doubt**2))
    high = exp(sqrt(log(latency_ms.hi90 / latency_ms.p50) ** 2 + doubt**2))
    middle = latency_ms.p50 * watt
    return Interval(p50=middle, lo90=middle / low, hi90=middle * high)

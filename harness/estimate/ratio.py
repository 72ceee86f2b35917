"""Ratios: how two estimates on one device compare, which is surer than either alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.estimate.interval import Interval
from harness.estimate.standing import OTHER_THREADS

if TYPE_CHECKING:
    from harness.estimate.interval import Estimate

Verdict = Literal["faster", "slower", "no difference shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Latency of one estimate over another's, with the 90 % interval of the quotient."""

    interval: Interval
    verdict: Verdict


def ratio(estimate: Estimate, over: Estimate) -> Ratio:
    """Compare two estimates of one device.

    What is wrong with a device's rates is wrong with both and cancels; the interval comes from pairs of published
    networks on one device. Networks of unlike precision share less: then the interval is that of published gains where
    there is one, and never narrower. Estimates of unlike threads differ by what threads gain on this device, too.
    """
    middle = estimate.latency_ms.p50 / over.latency_ms.p50
    factor = max(estimate.pair_factor90, over.pair_factor90)
    if estimate.precision != over.precision:
        factor = max(factor, min(estimate.gain_factor90, over.gain_factor90))  # only one of the two gained over float
    if estimate.threads != over.threads:
        factor *= OTHER_THREADS
    interval = Interval(p50=middle, lo90=middle / factor, hi90=middle * factor)
    return Ratio(interval=interval, verdict=_verdict(interval))


def _verdict(interval: Interval) -> Verdict:
    if interval.hi90 < 1:
        return "faster"
    return "slower" if interval.lo90 > 1 else "no difference shown"

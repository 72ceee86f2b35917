"""Latency of kernels on the cores of a profile: additive, linear in a few physical quantities.

    t = (c₁·products + c₂·handled bytes) / (peak·speedup) + (c₃·traffic + c₄·weights) / memcpy + c₅·launches / peak

A sum and not a maximum: on in-order and bandwidth-poor cores compute and memory overlap only in part, and a sum is
linear in what is unknown. What the cores do themselves goes with the width of their arithmetic, since wider cores load,
store and launch faster too; main memory goes with the measured speed of a copy, which one core nearly fills.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from harness.estimate import coefficient as prior
from harness.estimate.coefficient import Coefficient
from harness.estimate.features import Features, KernelClass

if TYPE_CHECKING:
    from harness.estimate.coefficient import Price
    from harness.estimate.fusion import Kernel
    from harness.estimate.rates import Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCost:
    """What one kernel costs, in milliseconds, and why."""

    name: str
    kind: str
    fused: tuple[str, ...]
    kernel_class: KernelClass
    arithmetic: str
    macs: int
    activation_bytes: int
    weight_bytes: int
    compute_ms: float
    activation_ms: float
    weight_ms: float
    overhead_ms: float

    @property
    def total_ms(self) -> float:
        """The whole kernel."""
        return self.compute_ms + self.activation_ms + self.weight_ms + self.overhead_ms


class Amount(NamedTuple):
    """Milliseconds that a coefficient of 1 stands for, and the part of the cost that they belong to."""

    coefficient: Coefficient
    part: str
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tariff:
    """Prices of a class, and the coefficients that scale them."""

    price: Price
    products: Coefficient
    handled: Coefficient
    traffic: Coefficient = Coefficient.TRAFFIC
    weights: Coefficient = Coefficient.WEIGHTS


_C = Coefficient
TARIFFS: Mapping[KernelClass, _Tariff] = MappingProxyType({
    KernelClass.POINTWISE: _Tariff(price=prior.POINTWISE, products=_C.POINTWISE, handled=_C.POINTWISE_MOVED),
    KernelClass.CONV: _Tariff(price=prior.CONV, products=_C.CONV, handled=_C.CONV),
    KernelClass.STEM: _Tariff(price=prior.STEM, products=_C.STEM, handled=_C.STEM),
    KernelClass.WINOGRAD: _Tariff(price=prior.WINOGRAD, products=_C.WINOGRAD, handled=_C.WINOGRAD),
    KernelClass.DEPTHWISE: _Tariff(
        price=prior.DEPTHWISE, products=_C.DEPTHWISE, handled=_C.DEPTHWISE_MOVED, traffic=_C.STREAM_TRAFFIC),
    KernelClass.WIDE_DEPTHWISE: _Tariff(
        price=prior.WIDE_DEPTHWISE, products=_C.WIDE_DEPTHWISE, handled=_C.DEPTHWISE_MOVED,
        traffic=_C.STREAM_TRAFFIC),
    KernelClass.GROUPED: _Tariff(price=prior.GROUPED, products=_C.GROUPED, handled=_C.GROUPED),
    KernelClass.GEMM: _Tariff(price=prior.POINTWISE, products=_C.MATRIX, handled=_C.MATRIX),
    KernelClass.GEMV: _Tariff(
        price=prior.VECTOR, products=_C.STREAM, handled=_C.STREAM, traffic=_C.STREAM_TRAFFIC,
        weights=_C.VECTOR_WEIGHTS),
    KernelClass.STREAM: _Tariff(
        price=prior.STREAM, products=_C.STREAM, handled=_C.STREAM, traffic=_C.STREAM_TRAFFIC),
    KernelClass.EXPONENTIAL: _Tariff(
        price=prior.EXPONENTIAL, products=_C.EXPONENTIAL, handled=_C.EXPONENTIAL, traffic=_C.STREAM_TRAFFIC),
    KernelClass.UNKNOWN: _Tariff(
        price=prior.CONV, products=_C.EXPONENTIAL, handled=_C.EXPONENTIAL, traffic=_C.STREAM_TRAFFIC),
})  # fmt: skip


def amounts(what: Features, given: Rates) -> Iterator[Amount]:
    """The quantities of a kernel as milliseconds at the prior's price; never all zero, since a launch takes time."""
    tariff = TARIFFS[what.kernel_class]
    price = tariff.price
    slots = given.peak["fp32"] * 1e6  # of one core in a millisecond
    compute = given.peak[what.arithmetic] * 1e6 * given.speedup
    together = slots * given.speedup
    window = given.family.window_price if what.kernel_class is KernelClass.CONV else 1.0
    yield Amount(tariff.products, "compute", window * price.mac * what.products / compute)
    yield Amount(tariff.handled, "activation", window * price.handled * what.handled_bytes / 4 / together)
    traffic = sum(_leaves_cache(size, given.cache_bytes) for size in what.tensor_bytes)
    yield Amount(tariff.traffic, "activation", price.traffic * traffic / 2e6 / given.memcpy)
    if what.weight_bytes:
        yield Amount(tariff.weights, "weight", price.weight * what.weight_bytes / 2e6 / given.memcpy)
    if what.misaligned:
        wasted = prior.MISALIGNED.mac * what.products / compute
        wasted += prior.MISALIGNED.handled * what.activation_bytes / 4 / together
        yield Amount(_C.MISALIGNED, "compute", what.misaligned * wasted)
    yield Amount(_C.LAUNCH, "overhead", prior.LAUNCH_SLOTS / slots)
    yield Amount(_C.GROUP, "overhead", what.groups * prior.GROUP_SLOTS / slots)
    if given.threads > 1:
        yield Amount(_C.THREADED_LAUNCH, "overhead", prior.THREADED_LAUNCH_SLOTS / slots)
        yield Amount(_C.THREADED_GROUP, "overhead", what.groups * prior.THREADED_GROUP_SLOTS / slots)


def cost(kernel: Kernel, what: Features, given: Rates, table: Mapping[str, float], scale: float = 1.0) -> KernelCost:
    """Cost of one kernel with the coefficients of a table and a device's scale; what the table lacks is the prior's.

    Detection heads cost nothing here: their time is left out, and said to be.
    """
    parts = {"compute": 0.0, "activation": 0.0, "weight": 0.0, "overhead": 0.0}
    if kernel.operator.kind != "detection":
        for each in amounts(what, given):
            parts[each.part] += scale * table.get(each.coefficient, 1.0) * each.ms
    return KernelCost(
        name=kernel.operator.name,
        kind=kernel.operator.kind,
        fused=kernel.fused,
        kernel_class=what.kernel_class,
        arithmetic=what.arithmetic,
        macs=what.macs,
        activation_bytes=what.activation_bytes,
        weight_bytes=round(what.weight_bytes),
        compute_ms=parts["compute"],
        activation_ms=parts["activation"],
        weight_ms=parts["weight"],
        overhead_ms=parts["overhead"],
    )


def launch_ms(given: Rates) -> float:
    """Time of one launch, the smallest that an inference can take."""
    return prior.LAUNCH_SLOTS / (given.peak["fp32"] * 1e6)


def _leaves_cache(size_bytes: int, cache_bytes: float) -> float:
    """Bytes of a tensor that go through main memory: all when it is larger than the cache, few when much smaller."""
    return size_bytes * min(1.0, size_bytes / (prior.CACHE_SHARE * cache_bytes))

"""Latency of kernels on the cores of a profile: the additive physical prior.

    t = a·MAC / (peak·T^g) + (b·activation bytes + w·weight bytes) / 4 / (memcpy·T^h) + overhead

A sum and not a maximum: on in-order and bandwidth-poor cores compute and memory overlap only in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.estimate.features import KernelClass, features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.estimate.fusion import Kernel
    from harness.profile import Cluster, DeviceProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """Dimensionless costs of one kernel class.

    Attributes:
        mac: Times the ideal compute time; 1.4 is 72 % of peak.
        activation: Halves of a streaming pass over what is read and written (2 is one pass: a copy moves each byte
            in and out, and `memcpy` counts it once).
        weight: The same for constants.
    """

    mac: float
    activation: float
    weight: float


PRIOR: Mapping[KernelClass, Coefficients] = MappingProxyType({
    KernelClass.POINTWISE: Coefficients(mac=1.4, activation=6, weight=2),
    KernelClass.CONV: Coefficients(mac=1.6, activation=6, weight=2),
    KernelClass.WINOGRAD: Coefficients(mac=0.5, activation=10, weight=2),
    KernelClass.DEPTHWISE: Coefficients(mac=1.5, activation=2, weight=2),
    KernelClass.GROUPED: Coefficients(mac=1.5, activation=6, weight=2),
    KernelClass.GEMV: Coefficients(mac=0, activation=2, weight=2),
    KernelClass.GEMM: Coefficients(mac=1.4, activation=6, weight=2),
    KernelClass.STREAM: Coefficients(mac=0, activation=2, weight=2),
    KernelClass.EXPONENTIAL: Coefficients(mac=0, activation=5, weight=2),
    KernelClass.UNKNOWN: Coefficients(mac=1.6, activation=2, weight=2),
})  # fmt: skip
"""Chosen from first principles against the public table of ncnn's benchmark (Tencent/ncnn, benchmark/README.md at
commit a4d2ea1: 33 runs on 16 Arm processors). Packing and reading again make a convolution cost about three passes
over its tensors; Winograd needs a third of the multiplications and dear transforms; one row of a matrix product is
bound by reading its weights; exp-like functions take two to three passes."""

COMPUTE_SCALING = 0.9
"""g: four threads compute 4^0.9 = 3.5 times as fast as one, as in the same table."""

MEMORY_SCALING = 0.2
"""h: four threads move bytes 4^0.2 = 1.3 times as fast as one; one core nearly fills these memories."""

OVERHEAD = 0.04
"""Milliseconds of a launch times GMAC/s of a core, from the same table: 7 µs on a Cortex-A72 at 1.5 GHz."""

DOT_PRODUCT = frozenset({"asimddp", "i8mm", "avx512_vnni", "avx_vnni"})
"""Flags of the instructions that make int8 faster than a widening multiply."""

WIDENING_GAIN = 2.0
"""int8 over float32 without a dot product: smlal multiplies 8 pairs where fmla multiplies 4."""

WINOGRAD_FAMILIES = frozenset({"ncnn"})
"""Kernel families that use Winograd by default (ncnn's README); XNNPACK, MLAS and oneDNN do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What the cores of a profile deliver to one kernel family.

    Attributes:
        peak: Giga multiply-accumulates per second of one core, by arithmetic precision.
        memcpy: GB/s copied by one core.
        threads: Threads, at most the cores of the cluster.
    """

    peak: Mapping[str, float]
    memcpy: float
    threads: int
    fp16_arithmetic: bool
    winograd: bool


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


def rates(profile: DeviceProfile, *, kernel_family: str, threads: int | None) -> Rates:
    """Rates of the profile's fastest cluster; `threads=None` is one thread a core, more than that helps nothing."""
    cluster = profile.big
    cores = int(cluster.count.value)
    ghz = cluster.clock.value
    fp32 = cluster.fp32.value * ghz
    return Rates(
        peak={
            "fp32": fp32,
            "fp64": fp32 / 2,
            "fp16": max(cluster.fp16.value * ghz, fp32),
            "int8": _int8(profile, cluster) * ghz,
        },
        memcpy=profile.memory.memcpy.value,
        threads=max(1, min(cores, threads or cores)),
        fp16_arithmetic=cluster.fp16.value > 0,
        winograd=kernel_family in WINOGRAD_FAMILIES,
    )


def coefficients(kernel_family: str) -> Mapping[KernelClass, Coefficients]:
    """Coefficients of a kernel family: the prior, for every family that nobody has calibrated."""
    return _CALIBRATED.get(kernel_family, PRIOR)


_CALIBRATED: Mapping[str, Mapping[KernelClass, Coefficients]] = MappingProxyType({})


def cost(kernel: Kernel, given: Rates, table: Mapping[KernelClass, Coefficients]) -> KernelCost:
    """Cost of one kernel; never zero, since a launch alone takes time."""
    what = features(kernel, fp16_arithmetic=given.fp16_arithmetic, winograd=given.winograd)
    each = table[what.kernel_class]
    compute = given.peak[what.arithmetic] * given.threads**COMPUTE_SCALING
    memory = given.memcpy * given.threads**MEMORY_SCALING
    return KernelCost(
        name=kernel.operator.name,
        kind=kernel.operator.kind,
        fused=kernel.fused,
        kernel_class=what.kernel_class,
        arithmetic=what.arithmetic,
        macs=what.macs,
        activation_bytes=what.activation_bytes,
        weight_bytes=what.weight_bytes,
        compute_ms=each.mac * what.macs / 1e6 / compute,
        activation_ms=_pass_ms(each.activation, what.activation_bytes, memory),
        weight_ms=_pass_ms(each.weight, what.weight_bytes, memory),
        overhead_ms=launch_ms(given),
    )


def launch_ms(given: Rates) -> float:
    """Time of one launch, the smallest that an inference can take."""
    return OVERHEAD / given.peak["fp32"]


def _pass_ms(halves: float, count: int, gbps: float) -> float:
    return halves * count / 4 / 1e6 / gbps


def _int8(profile: DeviceProfile, cluster: Cluster) -> float:
    if DOT_PRODUCT & set(profile.isa_flags):
        return cluster.int8.value
    return min(cluster.int8.value, WIDENING_GAIN * cluster.fp32.value)

"""What of a processor decides whether an optimisation pays: vectors, dot products, half precision, launches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.estimate.coefficient import LAUNCH_SLOTS
from harness.estimate.rates import DOT_PRODUCT, VECTORS

if TYPE_CHECKING:
    from harness.profile import DeviceProfile

DOT_PRODUCTS = DOT_PRODUCT | {"amx_int8", "avx_vnni_int8"}
"""Flags of /proc/cpuinfo: SDOT/UDOT and SMMLA on Arm, VNNI and AMX on x86."""

X86_LANES = (("avx512f", 16), ("avx2", 8), ("avx", 8), ("", 4))
"""Float32 lanes of the widest vectors that a flag stands for: 512, 256 and, on every x86-64, 128 bits (Intel 64 and
IA-32 Architectures Software Developer's Manual, volume 1, chapters 10, 14 and 15)."""

NEON_LANES = 4
"""128-bit vectors (Arm Architecture Reference Manual, Advanced SIMD). Longer ones of SVE count as these: the kernels of
the runtimes are written for 128 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuFacts:
    """Facts of a processor.

    Attributes:
        name: As people write it.
        lanes: Float32 numbers in a vector register, which is also how many output channels a kernel sums at once, in
            float and (with int32 sums) in 8 bits; 1 without vectors.
        dot_product: Whether it multiplies and sums 8-bit numbers in one instruction.
        half: Whether it computes in float16.
        launch_ns: Time to start one operator.
    """

    name: str
    lanes: int
    dot_product: bool
    half: bool
    launch_ns: float


def cpu_facts(profile: DeviceProfile) -> CpuFacts:
    """Facts of a profile's fastest cores; for this machine give the profile that `harness.detect.detect` makes."""
    flags, big = set(profile.isa_flags), profile.big
    vectors = big.fp32.value >= VECTORS
    if not vectors:
        lanes = 1
    elif profile.isa == "x86_64":
        lanes = next(lanes for flag, lanes in X86_LANES if not flag or flag in flags)
    else:
        lanes = NEON_LANES
    return CpuFacts(
        name=big.core if profile.name == "host" else profile.title,
        lanes=lanes,
        dot_product=bool(flags & DOT_PRODUCTS),
        half=big.fp16.value > 0,
        launch_ns=LAUNCH_SLOTS / (big.fp32.value * big.clock.value),
    )

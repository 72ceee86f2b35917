"""Rates: what the cores of a profile deliver to one kernel family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.estimate.family import KernelFamily, family_of

if TYPE_CHECKING:
    from harness.profile import Cluster, DeviceProfile

SERIAL_SHARE = 0.107
"""Amdahl's serial share: four threads compute 3.0 times as fast as one. With it the public table of ncnn's benchmark
(Tencent/ncnn, benchmark/README.md at commit a4d2ea1) shows no bias between one thread and four."""

IN_ORDER = 0.72
"""Share of its peak that a core without reordering keeps when kernels that reach a certain share on others run there:
loads stop its multiplications. From the same table: Cortex-A53 and A55 beside A57, A72, A73 and A76."""

DOT_PRODUCT = frozenset({"asimddp", "i8mm", "avx512_vnni", "avx_vnni"})
"""Flags of the instructions that make int8 faster than a widening multiply."""

WIDENING_GAIN = 2.0
"""int8 over float32 without a dot product: smlal multiplies 8 pairs where fmla multiplies 4."""

VECTORS = 1.0
"""Float32 multiply-accumulates a cycle below which a core has no vectors to widen, as a microcontroller's."""

SMALLEST_CACHE_KIB = 256
"""Last-level cache where a profile states none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What the cores of a profile deliver.

    Attributes:
        peak: Giga multiply-accumulates per second of one core, by arithmetic precision.
        memcpy: GB/s copied by one core.
        cache_bytes: Last cache before main memory.
        threads: Threads, at most the cores of the cluster.
        speedup: How many times one core's compute they reach together.
    """

    family: KernelFamily
    peak: Mapping[str, float]
    memcpy: float
    cache_bytes: float
    threads: int
    speedup: float
    fp16_arithmetic: bool


def rates(profile: DeviceProfile, *, kernel_family: str, threads: int | None, cluster: str = "") -> Rates:
    """Rates of a cluster, the fastest unless named; `threads=None` is one on each core as wide as the fastest.

    Threads that the cores do not suffice for go to the next slower cores. Work is shared out evenly, so that the pace
    of the team is the harmonic mean of its cores. Threads beyond all cores help nothing.
    """
    team = _team(profile, cluster)
    default = profile.fast_cores if not cluster else int(team[0].count.value)
    used = max(1, min(sum(int(c.count.value) for c in team), threads or default))
    cores = _cores(team, used)
    fp32 = _pace([c.fp32.value * _ghz(c) for c in cores])
    memcpy = team[0].memcpy or profile.memory.memcpy
    return Rates(
        family=family_of(kernel_family),
        peak={
            "fp32": fp32,
            "fp64": fp32 / 2,
            "fp16": max(_pace([c.fp16.value * _ghz(c) for c in cores]), fp32),
            "int8": _pace([_int8(profile, c) * _ghz(c) for c in cores]),
        },
        memcpy=memcpy.value,
        cache_bytes=_cache_bytes(profile),
        threads=used,
        speedup=used / (1 + SERIAL_SHARE * (used - 1)),
        fp16_arithmetic=all(c.fp16.value > 0 for c in cores),
    )


def _team(profile: DeviceProfile, cluster: str) -> list[Cluster]:
    """Clusters in the order in which threads fill them."""
    named = [c for c in profile.clusters if c.name == cluster]
    return named or sorted(profile.clusters, key=lambda c: -c.fp32.value * c.clock.value)


def _cores(team: list[Cluster], threads: int) -> list[Cluster]:
    """The cluster of each thread's core."""
    every = [c for c in team for _ in range(int(c.count.value))]
    return every[:threads]


def _ghz(cluster: Cluster) -> float:
    return cluster.clock.value * (IN_ORDER if cluster.in_order else 1.0)


def _pace(rates_of_cores: list[float]) -> float:
    slowest = min(rates_of_cores)
    return len(rates_of_cores) / sum(1 / r for r in rates_of_cores) if slowest > 0 else 0.0


def _int8(profile: DeviceProfile, cluster: Cluster) -> float:
    if DOT_PRODUCT & set(profile.isa_flags) or cluster.fp32.value < VECTORS:
        return cluster.int8.value
    return min(cluster.int8.value, WIDENING_GAIN * cluster.fp32.value)


def _cache_bytes(profile: DeviceProfile) -> float:
    last = profile.caches.l3 or profile.caches.l2
    return (last.value if last else SMALLEST_CACHE_KIB) * 1024

"""Constants of the latency model from published latencies, and how wrong it is about families it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any

from bench_edgetpu.latency import Work, latency_ms, work_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness import OpGraph

    Array = Any

PRIOR = {"t0_ms": 1.0, "macs_per_s": 1.0e12, "link_bytes_per_s": 500e6}
"""What is expected before any measurement: a transfer there and back takes a millisecond; half of the array's
2 TMAC/s (4 TOPS, coral.ai/docs/edgetpu/faq) is reached; PCIe 2.0 with one lane, and USB 3.0 at 5 Gbit/s, carry 500 MB/s
after their 8b/10b coding."""

CACHES_BYTES = tuple(range(6_000_000, 8_000_001, 250_000))
"""Parameter caches to choose from: small networks leave 7 to 8 MiB (logs in google-coral/edgetpu issues 75, 173 and
322), the program and the activations of larger ones take some of it."""

STRENGTH = 0.43
"""Weight of the prior: residuals of a factor 1.35 (ln = 0.3) against constants known to a factor 2 (ln = 0.69)."""

OUTLIER = 0.3
"""Residual, as a logarithm, from which it counts linearly and no more as a square (pseudo-Huber loss)."""

STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A network that somebody measured on the accelerator; one that leaves operators to the CPU is none.

    Attributes:
        family: Networks of the same design are held out together.
    """

    name: str
    family: str
    work: Work
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """A prediction by constants that were fitted without the network's family."""

    row: Row
    predicted_ms: float

    @property
    def ratio(self) -> float:
        """Predicted over published."""
        return self.predicted_ms / self.row.latency_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Errors over predictions, as shares of what was published; `within` is the share inside a factor."""

    count: int
    median: float
    mean: float
    within: float
    worst: str
    worst_ratio: float


def fit_edgetpu(rows: Sequence[Row]) -> dict[str, float]:
    """`t0_ms`, `macs_per_s`, `link_bytes_per_s` and `cache_bytes` from networks measured on one accelerator.

    Minimises the pseudo-Huber loss of log(predicted / published) plus the squared distance of the logarithms of the
    constants from `PRIOR`, by Gauss-Newton steps, for each cache size; deterministic. Without rows it is the prior.
    """
    best = min((_fit(rows, cache) for cache in CACHES_BYTES), key=lambda found: found[0])
    return best[1]


def facts_of(samples: Sequence[tuple[OpGraph, float]]) -> dict[str, float]:
    """`fit_edgetpu` for graphs that map whole, each with its published latency in milliseconds."""
    rows = [
        Row(name=graph.name, family="", work=work_of(graph, graph.operators), latency_ms=latency)
        for graph, latency in samples
    ]
    return fit_edgetpu(rows)


def leave_one_family_out(rows: Sequence[Row]) -> tuple[HeldOut, ...]:
    """Predict each network by constants that were fitted without its family."""
    facts: dict[str, Mapping[str, float]] = {
        family: fit_edgetpu([row for row in rows if row.family != family])
        for family in sorted({row.family for row in rows})
    }
    return tuple(HeldOut(row=row, predicted_ms=latency_ms(row.work, facts[row.family])) for row in rows)


def errors_of(found: Sequence[HeldOut], factor: float) -> Errors:
    """Errors of predictions; there is at least one."""
    shares = sorted(abs(each.ratio - 1) for each in found)
    middle = len(shares) // 2
    worst = max(found, key=lambda each: abs(log(each.ratio)))
    return Errors(
        count=len(shares),
        median=shares[middle] if len(shares) % 2 else (shares[middle - 1] + shares[middle]) / 2,
        mean=sum(shares) / len(shares),
        within=sum(1 / factor <= each.ratio <= factor for each in found) / len(found),
        worst=worst.row.name,
        worst_ratio=worst.ratio,
    )


def _fit(rows: Sequence[Row], cache_bytes: int) -> tuple[float, dict[str, float]]:
    """Loss and constants for one cache size."""
    import numpy as np

    published = np.array([row.latency_ms for row in rows])
    # Milliseconds that each network spends in each part at the prior's constants; a fit scales the three columns.
    parts = np.array([_parts(row.work, cache_bytes) for row in rows]).reshape(-1, len(PRIOR))
    scale = np.zeros(len(PRIOR))
    for _ in range(STEPS):
        residual, slope, weight = _linearised(parts, published, scale)
        curvature = slope.T @ (weight[:, None] * slope) + STRENGTH**2 * np.eye(len(PRIOR))
        step = np.linalg.solve(curvature, slope.T @ (weight * residual) + STRENGTH**2 * scale)
        scale = scale - np.clip(step, -0.5, 0.5)
    residual, _, _ = _linearised(parts, published, scale)
    huber = 2 * OUTLIER**2 * np.sum(np.sqrt(1 + (residual / OUTLIER) ** 2) - 1)
    t0, rate, link = (float(value) for value in np.exp(scale))
    constants = {
        "t0_ms": PRIOR["t0_ms"] * t0,
        "macs_per_s": PRIOR["macs_per_s"] / rate,
        "link_bytes_per_s": PRIOR["link_bytes_per_s"] / link,
        "cache_bytes": float(cache_bytes),
    }
    return float(huber + STRENGTH**2 * np.sum(scale**2)), constants


def _parts(work: Work, cache_bytes: int) -> tuple[float, float, float]:
    streamed = work.streamed_bytes(cache_bytes)
    return (
        PRIOR["t0_ms"],
        work.array_macs / PRIOR["macs_per_s"] * 1e3,
        streamed / PRIOR["link_bytes_per_s"] * 1e3,
    )


def _linearised(parts: Array, published: Array, scale: Array) -> tuple[Array, Array, Array]:
    """Residuals log(predicted / published), their slopes by the logarithms of the constants, and robust weights."""
    import numpy as np

    scaled = parts * np.exp(scale)
    predicted = scaled.sum(axis=1)
    residual = np.log(predicted / published)
    return residual, scaled / predicted[:, None], 1 / np.sqrt(1 + (residual / OUTLIER) ** 2)

"""Baselines: what FLOPs and a roofline would have said of the same rows, given the same help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.estimate.design import kernels_of
from harness.estimate.features import features
from harness.estimate.fit import groups, scale
from harness.estimate.rates import rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.estimate.design import Array, Design
    from harness.estimate.published import PublishedData, PublishedRow


def flops_ms(row: PublishedRow, data: PublishedData) -> float:
    """Multiply-accumulates over the peak of the cores."""
    given = rates(data.profile_of(row), kernel_family=row.family, threads=row.threads, cluster=row.cluster)
    arithmetic = "int8" if row.precision == "int8" else row.precision
    return data.graph_of(row).macs / (given.peak[arithmetic] * 1e6 * given.speedup)


def roofline_ms(row: PublishedRow, data: PublishedData) -> float:
    """The longer of arithmetic and memory, kernel by kernel: Williams, Waterman and Patterson, CACM 52(4), 2009."""
    given = rates(data.profile_of(row), kernel_family=row.family, threads=row.threads, cluster=row.cluster)
    total = 0.0
    for kernel in kernels_of(data.graph_of(row), row.family, row.precision):
        what = features(kernel, given.family, fp16_arithmetic=given.fp16_arithmetic)
        compute = what.macs / (given.peak[what.arithmetic] * 1e6 * given.speedup)
        total += max(compute, (what.activation_bytes + what.weight_bytes) / 2e6 / given.memcpy)
    return total


def unscaled(of: Callable[[PublishedRow, PublishedData], float], given: Design, data: PublishedData) -> Array:
    """A baseline with one factor from the other processors and model families."""
    raw = np.array([of(row, data) for row in given.rows])
    return raw * _factors(raw, given, own_run=False)


def scaled(of: Callable[[PublishedRow, PublishedData], float], given: Design, data: PublishedData) -> Array:
    """A baseline with one factor from the other model families of the same run."""
    raw = np.array([of(row, data) for row in given.rows])
    return raw * _factors(raw, given, own_run=True)


def _factors(raw: Array, given: Design, *, own_run: bool) -> Array:
    errors = np.log(given.measured_ms / raw)
    families, socs, runs = given.of("model_family"), given.of("soc"), given.of("run")
    result = np.ones(len(raw))
    for rows in groups([f"{family} {run}" for family, run in zip(families, runs, strict=True)]):
        first = rows[0]
        others = (families != families[first]) & ((runs == runs[first]) if own_run else (socs != socs[first]))
        if not others.any():
            others = families != families[first]
        result[rows] = scale(errors[others]) if own_run else np.exp(np.median(errors[others])) if others.any() else 1
    return result

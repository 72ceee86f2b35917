"""Design matrix: what each coefficient contributes to each published row, in milliseconds at the prior's price."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.estimate.coefficient import Coefficient
from harness.estimate.features import Features, features
from harness.estimate.fusion import Kernel, fuse
from harness.estimate.latency import amounts, launch_ms
from harness.estimate.precision import at_precision
from harness.estimate.rates import Rates, rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.estimate.family import KernelFamily
    from harness.estimate.published import PublishedData, PublishedRow
    from harness.graph import OpGraph

Array = np.ndarray[Any, np.dtype[np.float64]]
NAMES = tuple(Coefficient)
COLUMN = {name: index for index, name in enumerate(NAMES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Rows of one kernel family and precision.

    Attributes:
        matrix: Rows by coefficients, in milliseconds.
        measured_ms: Published latencies.
    """

    rows: tuple[PublishedRow, ...]
    matrix: Array
    measured_ms: Array

    def of(self, attribute: str) -> np.ndarray[Any, Any]:
        """An attribute of every row."""
        return np.array([getattr(row, attribute) for row in self.rows])

    def take(self, chosen: Sequence[bool] | np.ndarray[Any, Any]) -> Design:
        """Some of the rows."""
        keep = np.flatnonzero(np.asarray(chosen))
        return Design(
            rows=tuple(self.rows[i] for i in keep), matrix=self.matrix[keep], measured_ms=self.measured_ms[keep]
        )


def design(rows: Sequence[PublishedRow], data: PublishedData) -> Design:
    """The matrix of some rows, each at the conditions that it states."""
    kernels = cache(lambda family, precision, name: kernels_of(data.graphs[name], family, precision))
    matrix = np.zeros((len(rows), len(NAMES)))
    for index, row in enumerate(rows):
        given = rates(data.profile_of(row), kernel_family=row.family, threads=row.threads, cluster=row.cluster)
        matrix[index] = contributions(kernels(row.family, row.precision, data.name_of(row)), given)
    return Design(rows=tuple(rows), matrix=matrix, measured_ms=np.array([row.latency_ms for row in rows]))


def contributions(kernels: Sequence[Kernel], given: Rates) -> Array:
    """Milliseconds of each coefficient for one graph; calling the runtime counts as a launch."""
    total = np.zeros(len(NAMES))
    total[COLUMN[Coefficient.LAUNCH]] = launch_ms(given)
    for kernel in kernels:
        for each in amounts(_features(kernel, given), given):
            total[COLUMN[each.coefficient]] += each.ms
    return total


_KNOWN: dict[tuple[int, bool, KernelFamily], tuple[Kernel, Features]] = {}


def _features(kernel: Kernel, given: Rates) -> Features:
    """Features do not depend on a device's rates, so that a back-test need not compute them a thousand times."""
    key = (id(kernel), given.fp16_arithmetic, given.family)
    if key not in _KNOWN:
        _KNOWN[key] = kernel, features(kernel, given.family, fp16_arithmetic=given.fp16_arithmetic)
    return _KNOWN[key][1]


def kernels_of(graph: OpGraph, family: str, precision: str) -> tuple[Kernel, ...]:
    """Kernels of a graph in a precision, without detection heads: shapes do not tell what they cost."""
    asked = "fp32" if precision == "fp16" else precision
    found = fuse(at_precision(graph, asked), family)
    return tuple(kernel for kernel in found if kernel.operator.kind != "detection")

"""Fits costs to the timed graphs of a sweep.

Costs are non-negative and minimise the relative error (Lawson and Hanson's NNLS, Solving Least Squares Problems, 1974,
chapter 23), reweighted so that a graph disturbed by a neighbour of the machine weighs less (Huber's weights, Robust
Statistics, 1981). A weak ridge pulls what the sweep cannot tell apart towards a common size.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, log
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RIDGE = 1e-3
"""Weight of the pull against one graph's relative error."""

TURNS = 10
HUBER = 0.07
"""Relative error from which on a graph counts less: about what the same graph differs by between two processes."""

FOLDS = 10

FEWEST_NETWORKS = 4
"""Made-up networks below which their common error is left alone."""

START_MS = {
    "one": 4e-3, "mac": 1e-2, "tail": 5e-3, "ragged": 5e-3, "stride": 1e-2, "channels": 1e-2, "activation": 2e-2,
}  # fmt: skip
"""Size of a cost towards which the ridge pulls, by quantity: microseconds for a launch, some ten GMAC/s and GB/s. All
are scaled to the machine's pace before."""

START_OTHER_MS = 5e-2

LEVEL_SD = 0.1
"""Log standard deviation of what whole networks take over the sum of their parts, before anything is timed: cold caches
and layouts that change between kernels cost some ten per cent in one runtime and nothing in another."""

MEDIAN_ERROR = 1.253
"""Standard error of a median over that of a mean, of normal numbers: the square root of half of pi."""

TO_DEVIATION = 1.4826
"""Standard deviation over median absolute deviation, of normal numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A graph of the sweep.

    Attributes:
        amounts: How much of each term is in it.
        whole: It resembles a network or a block of one, and not a chain of one kernel.
        network: It is a network, though a made-up one.
        again_ms: Its latency in processes of its own, later, where it was timed there.
    """

    name: str
    amounts: Mapping[str, float]
    ms: float
    whole: bool = True
    network: bool = False
    again_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Fitted costs with what they leave unexplained.

    Attributes:
        coefficients: Milliseconds of a unit of each term.
        errors: For each graph predicted / measured - 1, predicted without it.
        error_percent: Mean of the absolute errors of those that resemble networks. A chain of one kernel left out is
            often all that is known of it, which a network is not.
        factor90: Nine tenths of these are within this factor of their prediction.
        level: What whole networks take over the sum of their parts; it is in the coefficients.
    """

    coefficients: Mapping[str, float]
    errors: Mapping[str, float]
    error_percent: float
    factor90: float
    level: float


def fit(timed: Sequence[Timed]) -> Fit:
    """Fit, and predict each graph from a fit that left it and a tenth of the others out."""
    names = sorted({name for each in timed for name in each.amounts})
    errors: dict[str, float] = {}
    for fold in range(min(FOLDS, len(timed))):
        kept = [each for place, each in enumerate(timed) if place % FOLDS != fold]
        costs = _costs(kept, names)
        for each in timed[fold::FOLDS]:
            errors[each.name] = _predicted(each, costs) / each.ms - 1
    level = _level([_off(each, errors[each.name]) for each in timed if each.network])
    costs = {name: level * cost for name, cost in _costs(timed, names).items()}
    errors = {name: level * (1 + error) - 1 for name, error in errors.items()}
    looked_at = [errors[each.name] for each in timed if each.whole] or list(errors.values())
    logs = sorted(abs(log(max(1e-9, 1 + error))) for error in looked_at)
    place = min(len(logs), ceil((len(logs) + 1) * 0.9)) - 1
    return Fit(
        coefficients=costs,
        errors=errors,
        error_percent=100 * sum(map(abs, looked_at)) / len(looked_at),
        factor90=exp(logs[place]),
        level=level,
    )


def _off(each: Timed, error: float) -> tuple[float, bool]:
    """Logarithm of predicted over measured, and whether that was measured in processes of its own."""
    own = each.again_ms is not None
    measured = each.again_ms if each.again_ms is not None else each.ms
    return log(max(1e-9, each.ms * (1 + error)) / measured), own


def _level(found: Sequence[tuple[float, bool]]) -> float:
    """What the made-up networks take over what was predicted of them by fits without them.

    Times from processes of their own count alone where there are enough: two processes of one network differ by a
    tenth, and the sweep has only one. The median is shrunk to 1 by how unsure it is: few networks or unlike ones say
    little.
    """
    own = [off for off, alone in found if alone]
    logs = own if len(own) >= FEWEST_NETWORKS else [off for off, _ in found]
    if len(logs) < FEWEST_NETWORKS:
        return 1.0
    middle = median(logs)
    deviation = TO_DEVIATION * median(abs(each - middle) for each in logs)
    unsure = (MEDIAN_ERROR * deviation) ** 2 / len(logs)
    return exp(-middle * LEVEL_SD**2 / (LEVEL_SD**2 + unsure))


def _predicted(each: Timed, costs: Mapping[str, float]) -> float:
    return sum(costs[name] * amount for name, amount in each.amounts.items())


def _costs(timed: Sequence[Timed], names: Sequence[str]) -> dict[str, float]:
    import numpy as np
    from scipy.optimize import nnls

    start = np.array([_start_ms(name) for name in names])
    shares = np.array([[each.amounts.get(name, 0.0) / each.ms for name in names] for each in timed]) * start
    pace = 1 / np.median(shares.sum(axis=1))  # of this machine, so that the ridge pulls a slow one no lower
    start, shares = start * pace, shares * pace
    weight = np.ones(len(timed))
    pull = np.sqrt(RIDGE) * np.eye(len(names))
    found: Any = start
    for _ in range(TURNS):
        left = np.vstack([shares * weight[:, None], pull])
        found, _rest = nnls(left, np.concatenate([weight, pull.sum(axis=1)]), maxiter=100 * len(names))
        error = np.abs(shares @ found - 1)
        weight = np.sqrt(HUBER / np.maximum(error, HUBER))
    return {name: float(value) for name, value in zip(names, found * start, strict=True)}


def _start_ms(name: str) -> float:
    return START_MS.get(name.rpartition(" ")[2], START_OTHER_MS)

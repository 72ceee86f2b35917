"""Predicts a graph's latency on a machine that was profiled: a sum of quantities times fitted costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.calibrate.quantities import CacheSizes, borders_of, by_operator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.graph import OpGraph
    from harness.profile import HostCalibration

STAND_IN = "pair"
"""Class of operators whose costs serve for one that the sweep does not hold: a pass over inputs and output."""

INTEGER_SHARE = 0.5
"""Share of multiply-accumulates in int8 above which a graph is predicted by the int8 table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """Predicted time of one operator; zero for what the runtime fuses."""

    name: str
    kind: str
    ms: float
    stand_in: bool = False


def predict_ms(graph: OpGraph, calibration: HostCalibration) -> float:
    """Latency of one inference at batch 1 with the calibration's threads."""
    borders = sum(calibration.coefficients.get(name, 0.0) * amount for name, amount in borders_of(graph))
    return borders + sum(t.ms for t in operator_times(graph, calibration))


def operator_times(graph: OpGraph, calibration: HostCalibration) -> tuple[OperatorTime, ...]:
    """What each operator adds, in execution order; views are left out."""
    near, last = calibration.near.value, calibration.last.value
    caches = CacheSizes(near_bytes=near * 1024, last_bytes=last * 1024)
    found = []
    for op, terms in by_operator(graph, caches):
        known = [_cost(name, calibration.coefficients) for name, _ in terms]
        ms = sum(cost * amount for (cost, _), (_, amount) in zip(known, terms, strict=True))
        found.append(OperatorTime(name=op.name, kind=op.kind, ms=ms, stand_in=not all(own for _, own in known)))
    return tuple(found)


def unswept(graph: OpGraph, calibration: HostCalibration) -> tuple[str, ...]:
    """Kinds of operators that the sweep did not hold, whose cost a stand-in gives."""
    return tuple(dict.fromkeys(t.kind for t in operator_times(graph, calibration) if t.stand_in))


def calibration_of(
    graph: OpGraph, calibrations: Sequence[HostCalibration], *, kernel_family: str, threads: int
) -> HostCalibration | None:
    """The table for a graph in a kernel family with so many threads, or None when nobody measured one."""
    precision = "int8" if graph.int8_macs_share > INTEGER_SHARE else "fp32"
    for each in calibrations:
        if (each.family, each.precision, int(each.threads.value)) == (kernel_family, precision, threads):
            return each
    return None


def _cost(name: str, coefficients: Mapping[str, float]) -> tuple[float, bool]:
    """Milliseconds a unit, and whether it is the term's own cost."""
    if name in coefficients:
        return coefficients[name], True
    quantity = name.rpartition(" ")[2]
    return coefficients.get(f"{STAND_IN} {quantity}", 0.0), False

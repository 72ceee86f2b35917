"""What a choice is made by: the latency and the quality that the rows of a section are compared in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from harness.estimate.ratio import Ratio, ratio
from harness.report.pareto import pareto_front

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.row import Row

HOST = "host"
"""The profile of this machine, where measurements speak for themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A number with its interval, where there is one."""

    value: float
    lo: float | None
    hi: float | None

    def overlaps(self, other: Reading) -> bool:
        """Whether the intervals of both have a number in common; a missing end counts as unknown, so as overlap."""
        if self.lo is None or self.hi is None or other.lo is None or other.hi is None:
            return True
        return self.lo <= other.hi and other.lo <= self.hi


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What the rows of one section are compared in.

    Attributes:
        latency: `estimated` for the device, else `measured` here.
        quality: `value` of the metric, else `agreement` with the baseline, or None when neither is known.
        metric: Name of the metric, or `agreement`.
        sharper: Whether agreement was taken over more rows than the metric, and so tells variants apart better.
        unit: Unit that every latency of the section is shown in.
    """

    latency: Literal["estimated", "measured"]
    quality: Literal["value", "agreement"] | None
    metric: str
    sharper: bool = False
    unit: Literal["ms", "µs"] = "ms"

    def shown(self, milliseconds: float) -> float:
        """A latency in ms, in the unit of the section."""
        return milliseconds * 1e3 if self.unit == "µs" else milliseconds


def choose_axes(rows: Sequence[Row], profile: str) -> Axes:
    """Estimates for a device when there are any, measurements for the host; the metric wherever it is known."""
    estimated = profile != HOST and any(row.estimate for row in rows)
    metrics = [row.quality.metric for row in rows if row.quality and row.quality.value is not None]
    agreed = [row.quality for row in rows if row.quality and row.quality.agreement is not None]
    return Axes(
        latency="estimated" if estimated else "measured",
        quality="value" if metrics else "agreement" if agreed else None,
        metric=metrics[0] if metrics else "agreement",
        sharper=bool(metrics and agreed) and all(found.agreement_n > found.n for found in agreed),
        unit=_unit(rows),
    )


def _unit(rows: Sequence[Row]) -> Literal["ms", "µs"]:
    """Microseconds where a latency below 0.1 ms would need more than three decimals."""
    times = [row.host.median_ns / 1e6 for row in rows if row.host]
    times += [row.estimate.latency_ms.p50 for row in rows if row.estimate]
    return "µs" if times and min(times) < 0.1 else "ms"


def latency(row: Row, axes: Axes) -> Reading | None:
    """Latency in the unit of the axes: 90 % interval of an estimate, 95 % interval of a measurement."""
    return estimated(row, axes) if axes.latency == "estimated" else measured(row, axes)


def compared(row: Row, over: Row, axes: Axes) -> Ratio | None:
    """How two estimates of one backend on the device compare, None for what is not such a pair.

    They share most of their error, so that the interval of their ratio decides and not whether their own overlap.
    """
    one, other = row.estimate, over.estimate
    if axes.latency != "estimated" or row.backend != over.backend or not one or not other:
        return None
    return ratio(one, over=other) if one.kind == other.kind == "estimated" else None


def told_apart(row: Row, other: Row, axes: Axes) -> bool:
    """Whether the latencies of two rows differ by more than what is in doubt."""
    found = compared(row, other, axes)
    if found is not None:
        return found.verdict != "no difference shown"
    ours, theirs = latency(row, axes), latency(other, axes)
    return bool(ours and theirs and not ours.overlaps(theirs))


def estimated(row: Row, axes: Axes) -> Reading | None:
    """Latency predicted for the device, in the unit of the axes, with its 90 % interval."""
    if row.estimate is None:
        return None
    ends = row.estimate.latency_ms
    return Reading(value=axes.shown(ends.p50), lo=axes.shown(ends.lo90), hi=axes.shown(ends.hi90))


def measured(row: Row, axes: Axes) -> Reading | None:
    """Latency timed on this machine, in the unit of the axes, with its 95 % interval where there is one."""
    if row.host is None:
        return None
    lo, hi = row.host.lo95_ns, row.host.hi95_ns
    return Reading(
        value=axes.shown(row.host.median_ns / 1e6),
        lo=None if lo is None else axes.shown(lo / 1e6),
        hi=None if hi is None else axes.shown(hi / 1e6),
    )


def quality(row: Row, axes: Axes) -> Reading | None:
    """Metric or agreement, 0 to 1, with its Wilson interval."""
    found = row.quality
    if found is None or axes.quality is None:
        return None
    if axes.quality == "value":
        return None if found.value is None else Reading(value=found.value, lo=found.lo95, hi=found.hi95)
    return None if found.agreement is None else agreement(row)


def agreement(row: Row) -> Reading | None:
    """Agreement with the baseline, 0 to 1, with its Wilson interval."""
    from harness.measure.statistics import wilson

    found = row.quality
    if found is None or found.agreement is None:
        return None
    lo, hi = wilson(round(found.agreement * found.agreement_n), found.agreement_n)
    return Reading(value=found.agreement, lo=lo, hi=hi)


def fits(row: Row) -> bool:
    """Whether the row may be chosen for the device at all."""
    return row.estimate is None or row.estimate.fits != "does not fit"


def needs_option(row: Row) -> bool:
    """Whether the row needs an accelerator that the device does not have by itself."""
    return row.estimate is not None and "option" in row.estimate.accelerator


def mark_front(rows: Sequence[Row], axes: Axes) -> tuple[Row, ...]:
    """The rows, fastest first, with those marked that no other row beats.

    What does not fit the device is never marked. Rows that need an optional accelerator compete with each other, so
    that a device without it has a front of its own.
    """
    points: dict[bool, dict[int, tuple[float, float]]] = {False: {}, True: {}}
    order: list[tuple[bool, float, str, str, int]] = []
    for index, row in enumerate(rows):
        time, good = latency(row, axes), quality(row, axes)
        order.append((time is None, time.value if time else 0.0, row.backend, row.recipe, index))
        if time and good and fits(row):
            points[needs_option(row)][index] = (time.value, good.value)
    front = pareto_front(points[False]) | pareto_front(points[True])
    return tuple(replace(rows[index], pareto=index in front) for *_, index in sorted(order))

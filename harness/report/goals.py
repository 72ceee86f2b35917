"""Goals: what a variant must keep to on the device, and how far each row is from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from harness.report import units
from harness.report.choice import Axes, Reading, latency, quality

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.row import Row

TOLERANCE_POINTS = 1.0
"""Quality that may be lost against the baseline where no goal says otherwise: one point of a hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """Most of each that a recommended variant may take; None for no limit.

    Attributes:
        max_accuracy_drop: Points of quality below the best baseline; None for one point.
        max_latency_ms: Of the middle value, on the device or, for this machine, as measured.
        max_memory_bytes: Peak memory, likewise.
        max_download_bytes: Of the variant's file after gzip.
        max_energy_mj: Of one inference, idle power included.
    """

    max_accuracy_drop: float | None = None
    max_latency_ms: float | None = None
    max_memory_bytes: float | None = None
    max_download_bytes: float | None = None
    max_energy_mj: float | None = None

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    @property
    def tolerance(self) -> float:
        """Quality that may be lost, 0 to 1."""
        points = TOLERANCE_POINTS if self.max_accuracy_drop is None else self.max_accuracy_drop
        return points / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One goal held against one row.

    Attributes:
        what: What is limited, such as `latency`.
        limit: The limit in words, such as `at most 5 ms`.
        value: What the row takes in words; empty where it is not known.
        miss: By how much of the limit it is exceeded, 0.23 is 23 %; of points lost by how many limits, one point at
            least. 0 where the goal is met, infinite where the row's value is not known.
        missed_by: The same in words.
        reaches: The end of the interval, in words, where the middle meets the goal and the end does not.
    """

    what: str
    limit: str
    value: str
    miss: float
    missed_by: str = ""
    reaches: str = ""

    @property
    def met(self) -> bool:
        """Whether the middle value keeps to the goal."""
        return self.miss == 0


def planned_goals(folder: Path) -> Goals:
    """The goal that the plan of a run folder was given; none where the plan is missing or cannot be read."""
    import tomllib

    try:
        plan: Mapping[str, Any] = tomllib.loads((folder / "plan.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Goals()
    drop = plan.get("max_accuracy_drop")
    return Goals(max_accuracy_drop=float(drop) if isinstance(drop, int | float) else None)


def best_quality(rows: Sequence[Row], axes: Axes) -> float:
    """What points are lost against: complete agreement, or the best baseline, or the best row where there is none."""
    if axes.quality == "agreement":
        return 1.0
    baselines = [row for row in rows if row.baseline]
    return max((found.value for row in baselines or rows if (found := quality(row, axes))), default=math.nan)


def checks(row: Row, goals: Goals, axes: Axes, best: float) -> tuple[Check, ...]:
    """Every goal that was given, and that on quality, which always holds, against one row.

    Args:
        best: As `best_quality` says.
    """
    return tuple(_checks(row, goals, axes, best))


def limits(found: Sequence[Check]) -> str:
    """`at most 1 point lost, latency at most 5 ms`."""
    return ", ".join(check.limit for check in found)


def _checks(row: Row, goals: Goals, axes: Axes, best: float) -> Iterable[Check]:
    yield _quality_check(row, goals, axes, best)
    if goals.max_latency_ms is not None:
        unit = axes.unit

        def time(value: float) -> str:
            return units.quantity(value, unit)

        yield _check("latency", latency(row, axes), axes.shown(goals.max_latency_ms), time, _interval(axes))
    if goals.max_memory_bytes is not None:
        yield _check("memory", _memory(row, axes), goals.max_memory_bytes, units.size, _interval(axes))
    if goals.max_download_bytes is not None:
        size = row.variant.download_bytes if row.variant else None
        exact = None if size is None else Reading(value=size, lo=size, hi=size)
        yield _check("download", exact, goals.max_download_bytes, units.size, "")
    if goals.max_energy_mj is not None:
        yield _check("energy", _energy(row, axes), goals.max_energy_mj, _energy_text, _interval(axes))


def _quality_check(row: Row, goals: Goals, axes: Axes, best: float) -> Check:
    allowed = goals.tolerance * 100
    what = "agreement" if axes.quality == "agreement" else "accuracy"
    limit = f"at most {_points(allowed)} of {what} lost"
    found = quality(row, axes)
    if found is None or math.isnan(best):
        return Check(what=what, limit=limit, value="", miss=math.inf)
    lost = (best - found.value) * 100
    value = f"{_points(max(lost, 0.0))} of {what} lost"
    if lost > allowed + 1e-9:
        over = lost - allowed
        miss = over / max(allowed, TOLERANCE_POINTS)
        return Check(what=what, limit=limit, value=value, miss=miss, missed_by=f"{_points(over)} too many")
    worst = _most_lost(row, found, axes, best)
    reaches = f"95 % interval reaches {_points(worst)} lost" if worst > allowed + 1e-9 else ""
    return Check(what=what, limit=limit, value=value, miss=0.0, reaches=reaches)


def _most_lost(row: Row, found: Reading, axes: Axes, best: float) -> float:
    """Points at the far end of the interval: of the paired difference where it is known, else of the quality itself."""
    if row.baseline:
        return 0.0
    if axes.quality == "value" and row.quality and row.quality.drop_hi95 is not None:
        return row.quality.drop_hi95 * 100
    return (best - found.lo) * 100 if found.lo is not None else 0.0


def _check(what: str, found: Reading | None, limit: float, words: Any, interval: str) -> Check:
    text = f"{what} at most {words(limit)}"
    if found is None:
        return Check(what=what, limit=text, value="", miss=math.inf)
    value = f"{what} {words(found.value)}"
    if found.value > limit:
        over = found.value / limit - 1
        return Check(what=what, limit=text, value=value, miss=over, missed_by=f"{_share(over)} above {words(limit)}")
    straddles = found.hi is not None and found.hi > limit
    reaches = f"{interval} reaches {words(found.hi)}" if straddles else ""
    return Check(what=what, limit=text, value=value, miss=0.0, reaches=reaches)


def _interval(axes: Axes) -> str:
    return "90 % interval" if axes.latency == "estimated" else "95 % interval"


def _memory(row: Row, axes: Axes) -> Reading | None:
    if axes.latency == "measured":
        found = row.host_memory_bytes
        return None if found is None else Reading(value=found, lo=None, hi=None)
    if row.estimate is None:
        return None
    ends = row.estimate.peak_memory_bytes
    return Reading(value=ends.p50, lo=ends.lo90, hi=ends.hi90)


def _energy(row: Row, axes: Axes) -> Reading | None:
    if axes.latency == "measured":
        total = row.host_energy.total_mj if row.host_energy else None
        return None if total is None else Reading(value=total, lo=None, hi=None)
    if row.estimate is None or row.estimate.energy_mj is None:
        return None
    ends = row.estimate.energy_mj
    return Reading(value=ends.p50, lo=ends.lo90, hi=ends.hi90)


def _energy_text(value: float) -> str:
    return units.quantity(value, "mJ")


def _points(points: float) -> str:
    text = f"{points:.2f}".rstrip("0").rstrip(".")
    return f"{text} {'point' if text == '1' else 'points'}"


def _share(over: float) -> str:
    return f"{over * 100:.0f} %" if over < 10 else f"{over + 1:.0f} times"

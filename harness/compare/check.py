"""A check: is a run worse than another by more than noise and by more than matters?

A quantity that is drawn at random is a regression when it is significantly worse and the change exceeds two floors, a
relative and an absolute one; an exact one when it exceeds its floor. A check that noise kept from seeing a change of
the size that was asked for is inconclusive, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.compare.change import Change
    from harness.compare.comparison import CellComparison, Comparison, Row

Status = Literal["fine", "inconclusive", "regression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What a check lets pass.

    Attributes:
        latency_share, latency_ns: Relative and absolute floor of a change of latency. 2 µs is a hundred times what the
            timing loop adds.
        drift_share: Relative floor where no baseline of the same run cancels what the machine did between the runs.
        memory_share, memory_bytes: Floors of a change of memory.
        size_share: Floor of a change of a file's size, and of its size after compression.
        accuracy_share: Floor of a drop of accuracy, as a share of rows.
        must_see_share: Change of latency or memory that a check must be able to see to be conclusive.
        missing_allowed: Whether rows may be gone that were there before.
    """

    latency_share: float = 0.03
    latency_ns: float = 2_000.0
    drift_share: float = 0.15
    memory_share: float = 0.05
    memory_bytes: float = 1e6
    size_share: float = 0.01
    accuracy_share: float = 0.005
    must_see_share: float = 0.10
    missing_allowed: bool = False

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(
                    f"{name.replace('_', ' ')} = {getattr(self, name)} makes no sense.", hint="Give 0 or more."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check says of one quantity of one cell.

    Attributes:
        metric: A metric, or `outcome` for a row that is missing now.
        change: What it rests on, None for an outcome.
        floor: Relative change (of accuracy, share of rows) up to which it would pass.
        reason: Why the status is what it is.
    """

    model: str
    recipe: str
    backend: str
    metric: str
    status: Status
    change: Change | None
    floor: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Verdict of a check.

    Attributes:
        sees: Change of latency that it sees with a chance of 80 %, median over cells; None when no latency was tested.
        sees_worst: The same of the cell where it sees least.
    """

    status: Status
    findings: tuple[Finding, ...]
    sees: float | None
    sees_worst: float | None

    def of(self, status: Status) -> tuple[Finding, ...]:
        """Findings of one status."""
        return tuple(finding for finding in self.findings if finding.status == status)


def check(comparison: Comparison, thresholds: Thresholds) -> Check:
    """Check the second run of a comparison against the first."""
    findings = (*_missing(comparison, thresholds), *_judged(comparison, thresholds))
    seen = [
        finding.change.sees
        for finding in findings
        if finding.change and finding.metric in ("latency", "relative latency") and finding.change.sees is not None
    ]
    statuses = {finding.status for finding in findings}
    return Check(
        status="regression" if "regression" in statuses else "inconclusive" if "inconclusive" in statuses else "fine",
        findings=findings,
        sees=median(seen) if seen else None,
        sees_worst=max(seen, default=None),
    )


def _missing(comparison: Comparison, thresholds: Thresholds) -> Iterator[Finding]:
    for changed in comparison.outcomes:
        if changed.lost:
            row = changed.model, changed.recipe, changed.backend, changed.profile
            yield _gone(row, "regression", f"was {changed.before}, is {changed.after}: {changed.reason}")
    for row in comparison.only_before:
        yield _gone(row, "fine" if thresholds.missing_allowed else "regression", "is missing in the new run")


def _gone(row: Row, status: Status, reason: str) -> Finding:
    model, recipe, backend, profile = row
    return Finding(
        model=model,
        recipe=recipe,
        backend=backend,
        metric="outcome",
        status=status,
        change=None,
        floor=None,
        reason=f"the row for {profile} {reason}",
    )


def _judged(comparison: Comparison, thresholds: Thresholds) -> Iterator[Finding]:
    for cell in comparison.cells:
        relative = cell.change("relative latency")
        for change in cell.changes:
            if change.metric == "latency" and relative:
                continue  # what is relative to the baseline of its own run is free of the machine's drift
            floor = _floor(change, cell, thresholds)
            status, reason = _status(change, floor, thresholds)
            yield Finding(
                model=cell.model,
                recipe=cell.recipe,
                backend=cell.backend,
                metric=change.metric,
                status=status,
                change=change,
                floor=floor,
                reason=reason,
            )


def _floor(change: Change, cell: CellComparison, given: Thresholds) -> float:
    """The larger of the relative and the absolute floor, as a relative change."""
    if change.metric == "memory":
        return max(given.memory_share, given.memory_bytes / change.before)
    if change.metric in ("size", "download"):
        return given.size_share
    if change.metric == "accuracy":
        return given.accuracy_share
    absolute = cell.change("latency")
    floor = max(given.latency_share, given.latency_ns / absolute.before if absolute else 0.0)
    return max(floor, given.drift_share) if change.metric == "latency" else floor


def _status(change: Change, floor: float, thresholds: Thresholds) -> tuple[Status, str]:
    beyond = (-change.change if change.metric == "accuracy" else change.change) > floor
    if change.verdict == "worse":
        return (
            ("regression", "worse by more than its floor") if beyond else ("fine", "worse, not by more than its floor")
        )
    if change.verdict == "cannot be told":
        return "inconclusive", change.note
    if change.verdict == "not significant":
        if change.metric == "accuracy" and beyond:
            return "inconclusive", "the drop exceeds its floor, and so few rows cannot tell it from chance"
        if change.sees is not None and change.sees > max(thresholds.must_see_share, floor):
            return "inconclusive", f"noise hides changes below {change.sees * 100:.2g} %"
    return "fine", change.verdict

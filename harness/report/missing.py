"""Cells without numbers, grouped by the reason they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.record import SkipReason
from harness.report.row import safe_summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.measure.statistics import LatencySummary
    from harness.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingCell:
    """One cell that is missing.

    Attributes:
        error: What happened to this cell, empty when all cells of the group share it.
        host: Latency on this machine, when the cell failed after it was timed.
    """

    recipe: str
    backend: str
    error: str
    host: LatencySummary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingGroup:
    """Cells that are missing for one reason.

    Attributes:
        reason: The reason in words, for skipped cells one of the closed list.
        stage: Where the cells ended; `plugin` who was at work.
        error: What happened, when it is the same for all cells and says more than the reason.
        hint: What to do next.
    """

    outcome: Literal["skipped", "failed"]
    stage: str
    plugin: str
    reason: str
    error: str
    hint: str
    cells: tuple[MissingCell, ...]


def group_missing(records: Sequence[Record]) -> tuple[MissingGroup, ...]:
    """Skipped and failed cells of one model and profile: failed first, then larger groups first."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        if record.outcome in ("failed", "skipped"):
            groups.setdefault((record.outcome, *_cause(record)), []).append(record)
    found = [_group(members) for members in groups.values()]
    return tuple(sorted(found, key=lambda group: (group.outcome != "failed", -len(group.cells))))


def _group(records: Sequence[Record]) -> MissingGroup:
    first = records[0]
    failure = first.failure
    reason = _reason(failure.reason, failure.error) if failure else "no reason was recorded"
    errors = [_particulars(record, reason) for record in records]
    shared = errors[0] if len(set(errors)) == 1 else ""
    return MissingGroup(
        outcome="failed" if first.outcome == "failed" else "skipped",
        stage=failure.stage if failure else "",
        plugin=failure.plugin if failure else "",
        reason=reason,
        error=shared,
        hint=failure.hint if failure else "",
        cells=tuple(
            MissingCell(
                recipe=record.recipe,
                backend=record.backend,
                error="" if shared else error,
                host=safe_summary(record.measurement),
            )
            for record, error in zip(records, errors, strict=True)
        ),
    )


def _particulars(record: Record, reason: str) -> str:
    """What the error of a cell says beyond the reason."""
    return record.failure.error.removeprefix(reason).lstrip(" :;,") if record.failure else ""


def _cause(record: Record) -> tuple[str, ...]:
    """What cells of one group share; the particulars of a skipped cell are not part of it."""
    failure = record.failure
    return (failure.stage, failure.plugin, failure.reason or failure.error, failure.hint) if failure else ()


def _reason(name: str, error: str) -> str:
    if name in SkipReason.__members__:
        return SkipReason[name].value
    return name or error

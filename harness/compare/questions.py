"""What can be asked of a cell that both runs have: latency, memory, size and accuracy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.compare.change import Question
from harness.measure.between_runs import Level, difference, latency_level, level, relative_latency_level
from harness.measure.shares import mcnemar, paired_difference
from harness.quality import rows_right

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.compare.change import Metric
    from harness.record import Measurement, Quality, Record, Variant

ONE_PROCESS = "a run timed it in one process only, which says nothing of the spread between processes"

Pair = tuple["Record", "Record"]
"""The records of one cell: before, after."""


def questions(cell: Pair, baseline: Pair | None, *, same_rows: bool) -> Iterator[Question]:
    """What can be asked of a cell.

    Args:
        baseline: The records of the baseline of the same model and backend where both runs timed it and it is another
            cell, else None.
        same_rows: Whether both runs were scored on the same rows in the same order.
    """
    before, after = cell
    if before.measurement and after.measurement:
        if baseline and baseline[0].measurement and baseline[1].measurement:
            levels = [
                _relative(reference.measurement, record.measurement)
                for reference, record in zip(baseline, cell, strict=True)
            ]
            yield from _latency("relative latency", levels)
        yield from _latency("latency", [_absolute(record.measurement) for record in cell])
        yield from _memory(before.measurement, after.measurement)
    if before.variant and after.variant:
        yield from _sizes(before.variant, after.variant)
    if before.quality and after.quality:
        yield from _accuracy(before.quality, after.quality, same_rows=same_rows)


def _absolute(measurement: Measurement | None) -> Level | None:
    """None for a measurement whose samples cannot be read."""
    try:
        return latency_level(measurement) if measurement else None
    except ValueError:
        return None


def _relative(reference: Measurement | None, measurement: Measurement | None) -> Level | None:
    try:
        return relative_latency_level(reference, measurement) if reference and measurement else None
    except ValueError:
        return None


def _latency(metric: Metric, levels: list[Level | None]) -> Iterator[Question]:
    before, after = levels
    if before is None or after is None:
        return
    found = difference(before, after)
    yield Question(
        metric=metric,
        before=math.exp(before.centre),
        after=math.exp(after.centre),
        change=math.expm1(found.value),
        p=found.p(),
        interval=lambda alpha: _scaled(found.interval(alpha)),
        sees=lambda alpha: None if (seen := found.smallest_seen(alpha)) is None else math.expm1(min(seen, 10.0)),
        note=ONE_PROCESS if found.error is None else "",
    )


def _scaled(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    """Ends on the logarithmic scale as relative changes; so wide that nothing is said is e^±10."""
    return None if ends is None else (math.expm1(max(ends[0], -10.0)), math.expm1(min(ends[1], 10.0)))


def _memory(before: Measurement, after: Measurement) -> Iterator[Question]:
    """Peak memory of each process less what it held with only the runtime loaded."""
    levels = [
        level([float(max(0, p.peak_rss_bytes - p.baseline_rss_bytes)) for p in measurement.processes])
        for measurement in (before, after)
        if measurement.processes
    ]
    if len(levels) < 2 or not levels[0].centre:
        return
    first, found = levels[0].centre, difference(*levels)
    yield Question(
        metric="memory",
        before=first,
        after=levels[1].centre,
        change=found.value / first,
        p=found.p(),
        interval=lambda alpha: _over(found.interval(alpha), first),
        sees=lambda alpha: None if (seen := found.smallest_seen(alpha)) is None else seen / first,
        note=ONE_PROCESS if found.error is None else "",
    )


def _over(ends: tuple[float, float] | None, first: float) -> tuple[float, float] | None:
    return None if ends is None else (ends[0] / first, ends[1] / first)


def _sizes(before: Variant, after: Variant) -> Iterator[Question]:
    sizes: tuple[tuple[Metric, int, int], ...] = (
        ("size", before.size_bytes, after.size_bytes),
        ("download", before.download_bytes, after.download_bytes),
    )
    for metric, left, right in sizes:
        if left > 0:
            yield Question(metric=metric, before=left, after=right, change=right / left - 1, exact=True)


def _accuracy(before: Quality, after: Quality, *, same_rows: bool) -> Iterator[Question]:
    if before.value is None or after.value is None:
        return
    first, second = rows_right(before), rows_right(after)
    why = ""
    if first is None or second is None:
        why = "a run did not keep which rows are right"
    elif len(first) != len(second) or before.data != after.data or before.metric != after.metric or not same_rows:
        why = "the runs were scored on other rows"
    if first is None or second is None or why:
        note = f"rows cannot be paired: {why}"
        yield Question(
            metric="accuracy", before=before.value, after=after.value, change=after.value - before.value, note=note
        )
        return
    differ = int((first != second).sum())
    change, _, _ = paired_difference(second, first)
    yield Question(
        metric="accuracy",
        before=before.value,
        after=after.value,
        change=change,
        p=mcnemar(first, second),
        interval=lambda alpha: paired_difference(second, first, alpha)[1:],
        note=f"{differ:,} of {len(first):,} rows differ",
    )

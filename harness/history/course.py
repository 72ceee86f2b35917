"""A cell from run to run on one machine, and where it changed.

The rule: against the last run before on that machine that timed it in two fresh processes or more, it is `faster` or
`slower` where the 95 % interval of the ratio of the two latencies, over the processes of both, excludes 1. With one
process, or other threads, nothing is said. The interval knows the noise within the two runs and nothing of a machine
that runs slower today than it did then: where the baseline changed as well, look at the ratio to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from harness.measure.statistics import RatioSummary, ratio

if TYPE_CHECKING:
    from harness.history.archive import Archive
    from harness.report.row import Verdict

_QUESTION = """
SELECT * FROM records
QUALIFY row_number() OVER (
  PARTITION BY run_folder, model, recipe, backend ORDER BY measured_latency_median_ns IS NULL, rowid
) = 1
ORDER BY model, recipe, backend, cpu, isa, cores, time_utc NULLS FIRST, run_folder
"""

SERIES = ("model", "recipe", "backend", "cpu", "isa", "cores")
"""What is the same along a course."""

FEWEST_PROCESSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is other than in the run that it is compared with.

    Attributes:
        verdict: What the latencies show; None where they cannot be compared.
        speed: Latency then divided by latency now.
        differences: What else changed: the file, versions, threads.
    """

    verdict: Verdict | None
    speed: RatioSummary | None
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A cell in one run: its line of `records`, and what changed since it was last timed; None in the first."""

    record: Mapping[str, Any]
    change: Change | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A cell on one machine, oldest run first."""

    model: str
    recipe: str
    backend: str
    cpu: str | None
    cores: int | None
    points: tuple[Point, ...]


def courses(archive: Archive) -> tuple[Course, ...]:
    """The courses of all cells of an archive, in order of their names.

    A measurement that several profiles share is one point.
    """
    answer = archive.connection.execute(_QUESTION)
    names = [column[0] for column in answer.description]
    records = [dict(zip(names, line, strict=True)) for line in answer.fetchall()]
    found = []
    for (model, recipe, backend, cpu, _, cores), points in groupby(records, lambda r: tuple(r[key] for key in SERIES)):
        course = tuple(_points(archive, list(points)))
        found.append(Course(model=model, recipe=recipe, backend=backend, cpu=cpu, cores=cores, points=course))
    return tuple(found)


def _points(archive: Archive, records: list[dict[str, Any]]) -> Iterator[Point]:
    before: dict[str, Any] | None = None
    for record in records:
        yield Point(record=record, change=_change(archive, before, record) if before else None)
        if before is None or _comparable(archive, record) or not _comparable(archive, before):
            before = record


def _change(archive: Archive, before: Mapping[str, Any], now: Mapping[str, Any]) -> Change:
    verdict: Verdict | None = None
    speed = None
    alike = before["measured_threads"] == now["measured_threads"]
    if alike and _comparable(archive, before) and _comparable(archive, now):
        speed = ratio(archive.measurements[_key(before)], archive.measurements[_key(now)])
        verdict = "no difference shown"
        if speed.significant:
            verdict = "faster" if speed.ratio > 1 else "slower"
    return Change(verdict=verdict, speed=speed, differences=tuple(_differences(before, now)))


def _comparable(archive: Archive, record: Mapping[str, Any]) -> bool:
    timed = archive.measurements.get(_key(record))
    return timed is not None and record["measured_processes"] >= FEWEST_PROCESSES


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if now["sha256"] and before["sha256"] and now["sha256"] != before["sha256"]:
        yield "another file"
    pairs = [("threads", before["measured_threads"], now["measured_threads"])]
    then, today = (json.loads(record["versions"] or "{}") for record in (before, now))
    pairs += [(name, then.get(name), today.get(name)) for name in sorted({*then, *today})]
    pairs += [(name, before[column], now[column]) for name, column in (("bench", "bench"), ("Python", "python"))]
    yield from (f"{name} {old} → {new}" for name, old, new in pairs if old and new and old != new)


def _key(record: Mapping[str, Any]) -> tuple[str, str]:
    return record["run_folder"], record["cell"]

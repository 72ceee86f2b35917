"""What `bench history` shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from harness.cli.listing import print_table, print_text
from harness.export.column import as_text
from harness.history.course import FEWEST_PROCESSES
from harness.report import units
from harness.report.columns import SAME
from harness.report.terminal_table import plain

if TYPE_CHECKING:
    from harness.history.course import Course, Point
    from harness.history.overview import RunLine

LEGEND = (
    f"In brackets: 95 %. × baseline: latency of the baseline of the same backend divided by this one. Change: against"
    f" the last run that timed it in {FEWEST_PROCESSES} processes or more; {SAME} means that no difference is shown."
)

OUTCOMES = ("measured", "simulated", "skipped", "failed")


def run_lines(runs: Sequence[RunLine]) -> list[dict[str, str]]:
    """A table of runs; its first column can be typed."""
    return [
        {
            "run": plain(run.folder),
            "began, UTC": _time(run.time_utc),
            "models": plain(run.models),
            "profiles": plain(run.profiles),
            "machine": machine(run.cpu, run.cores),
            "outcomes": ", ".join(f"{n} {name}" for name in OUTCOMES if (n := getattr(run, name))),
            "noise": units.MISSING if run.noise is None else f"{run.noise * 100:.1f} %",
            "bench": plain(run.bench or units.MISSING),
        }
        for run in runs
    ]


def print_runs(runs: Sequence[RunLine]) -> None:
    """The runs as a table."""
    _print_lines(run_lines(runs))


def print_courses(courses: Sequence[Course]) -> None:
    """Each cell on each machine as a heading and a table, and how to read them."""
    for course in courses:
        here = machine(course.cpu, course.cores)
        print_text(plain(f"{course.model}: {course.recipe} in {course.backend}, on {here}"))
        metrics = {point.record["quality_metric"] for point in course.points} - {None}
        quality = plain(metrics.pop()) if len(metrics) == 1 else "quality"
        lines = [_line(point, quality) for point in course.points]
        kept = [key for key in lines[0] if any(line[key] not in ("", units.MISSING) for line in lines)]
        _print_lines([{key: line[key] for key in kept} for line in lines])
        click.echo()
    print_text(LEGEND if courses else "none")


def course_document(course: Course) -> dict[str, Any]:
    """The same for a program: each point with its whole line of `records`."""
    points = [{"record": dict(p.record), "change": asdict(p.change) if p.change else None} for p in course.points]
    return {**{key: getattr(course, key) for key in ("model", "recipe", "backend", "cpu", "cores")}, "points": points}


def document(value: Any) -> Any:
    """A value as JSON takes it: times in ISO 8601, no number that is none."""
    if isinstance(value, Mapping):
        return {str(key): document(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [document(each) for each in value]
    if isinstance(value, datetime):
        return as_text(value) if value.tzinfo is None else value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def answer_lines(answer: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A table of what a question was answered with."""
    return [{plain(key): _value(value) for key, value in line.items()} for line in answer]


def machine(cpu: str | None, cores: int | None) -> str:
    """`AMD EPYC, 2 cores`."""
    named = plain(cpu or "a machine that is not named")
    return named if cores is None else f"{named}, {cores} core{'s' if cores != 1 else ''}"


def _line(point: Point, quality: str) -> dict[str, str]:
    record = point.record
    return {
        "run": plain(record["run_folder"]),
        "began, UTC": _time(record["time_utc"]),
        "latency here": _latency(record) if record["measured_latency_median_ns"] else record["outcome"],
        "× baseline": _speed(record),
        quality: units.percent(record["quality_value"], record["quality_lo95"], record["quality_hi95"]),
        "memory": units.size(record["measured_memory_bytes"]),
        "file": (record["sha256"] or units.MISSING)[:8],
        "change": _changed(point),
    }


def _latency(record: Mapping[str, Any]) -> str:
    ends = (record[f"measured_latency_{end}_ns"] for end in ("median", "lo95", "hi95"))
    median, lo, hi = (None if ns is None else ns / 1e6 for ns in ends)
    return units.interval(median, lo, hi, "ms")


def _speed(record: Mapping[str, Any]) -> str:
    return units.interval(*(record[f"measured_ratio{end}"] for end in ("", "_lo95", "_hi95")))


def _changed(point: Point) -> str:
    change = point.change
    if change is None:
        return ""
    parts = list(map(plain, change.differences))
    if change.speed and change.verdict:
        text = units.speed(change.speed.ratio, change.speed.lo95, change.speed.hi95, change.verdict)
        parts.insert(0, text.replace("no difference shown", SAME))
    elif point.record["measured_processes"] == 1:
        parts.insert(0, "not compared: one process")
    return "; ".join(parts)


def _print_lines(lines: list[dict[str, str]]) -> None:
    """A table, and below it what all its lines have alike, said once."""
    alike = [key for key in list(lines[0])[1:] if len(lines) > 1 and len({line[key] for line in lines}) == 1]
    print_table([{key: line[key] for key in line if key not in alike} for line in lines])
    if alike:
        print_text(f"All: {'; '.join(f'{key} {lines[0][key]}' for key in alike)}.")


def _time(value: datetime | None) -> str:
    return units.MISSING if value is None else f"{value:%Y-%m-%d %H:%M}"


def _value(value: Any) -> str:
    if value is None:
        return units.MISSING
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return plain(str(value))

"""A line for each run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from harness.history.archive import Archive

_QUESTION = """
SELECT
  run_folder, time_utc,
  string_agg(DISTINCT model, ', ' ORDER BY model),
  string_agg(DISTINCT profile, ', ' ORDER BY profile),
  any_value(cpu), any_value(cores), any_value(bench),
  count(*) FILTER (outcome = 'measured'),
  count(*) FILTER (outcome = 'simulated'),
  count(*) FILTER (outcome = 'skipped'),
  count(*) FILTER (outcome = 'failed'),
  median(measured_process_spread)
FROM records GROUP BY run_folder, time_utc ORDER BY time_utc NULLS FIRST, run_folder
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """What a run was.

    Attributes:
        noise: Median over its cells of the standard deviation of the logarithms of process medians: 0.01 is 1 %.
            None where every cell was timed in one process.
    """

    folder: str
    time_utc: datetime | None
    models: str
    profiles: str
    cpu: str | None
    cores: int | None
    bench: str | None
    measured: int
    simulated: int
    skipped: int
    failed: int
    noise: float | None


def overview(archive: Archive) -> tuple[RunLine, ...]:
    """The runs that hold a record, oldest first; those whose time nobody knows come before."""
    names = RunLine.__slots__
    lines = archive.connection.execute(_QUESTION).fetchall()
    return tuple(RunLine(**dict(zip(names, line, strict=True))) for line in lines)

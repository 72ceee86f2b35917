"""A run as it lies on the disk, its records joined with the numbers that reports show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigurationError
from harness.report.row import build_rows
from harness.run_folder import read_environment, read_records

if TYPE_CHECKING:
    from pathlib import Path

    from harness.record import Measurement, Record
    from harness.report.row import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run folder that has been read.

    Attributes:
        folder: As the user gave it.
        environment: What environment.json holds; any key may be missing.
    """

    folder: Path
    environment: Mapping[str, Any]
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCell:
    """A record of a run, and its line of the comparison; None where it was skipped or failed."""

    run: StoredRun
    record: Record
    row: Row | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A measurement of a run: one, though a record of each profile repeats it.

    Attributes:
        name: `model recipe in backend`, unique within the run.
        cell: The first record that holds it.
    """

    name: str
    cell: StoredCell
    measurement: Measurement


def read_run(folder: Path) -> StoredRun:
    """Read a run folder; a torn last line is left out.

    Raises:
        ConfigurationError: There is no run in the folder, or what is there cannot be read.
    """
    try:
        records, environment = read_records(folder), read_environment(folder)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be read: {error.strerror}.", hint="Check who may read it.") from None
    facts = environment if isinstance(environment, Mapping) else {}
    return StoredRun(folder=folder, environment=facts, records=records)


def cells(run: StoredRun) -> tuple[StoredCell, ...]:
    """Every record of a run in its order, compared within its model and profile as in a report."""
    sections: dict[tuple[str, str], list[Record]] = {}
    for record in run.records:
        sections.setdefault((record.model, record.profile), []).append(record)
    rows = {id(record): row for section in sections.values() for record, row in _numbered(section)}
    return tuple(StoredCell(run=run, record=record, row=rows.get(id(record))) for record in run.records)


def timings(found: tuple[StoredCell, ...]) -> Iterator[Timing]:
    """What was timed here, each measurement once; those whose samples cannot be used are left out, as in a report."""
    known: dict[str, Measurement] = {}
    for cell in found:
        record, measurement = cell.record, cell.record.measurement
        if cell.row is None or cell.row.host is None or measurement is None:
            continue
        name = f"{record.model} {record.recipe} in {record.backend}"
        if known.get(name, measurement) != measurement:
            name = f"{name} for {record.profile}"
        if name not in known:
            known[name] = measurement
            yield Timing(name=name, cell=cell, measurement=measurement)


def _numbered(section: list[Record]) -> Iterator[tuple[Record, Row]]:
    done = [record for record in section if record.outcome in ("measured", "simulated")]
    return zip(done, build_rows(section), strict=True)

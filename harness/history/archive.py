"""Many runs in one table `records`, with the columns of an export, in a database that reaches nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigurationError, UsageError
from harness.export.column import Value, moment
from harness.export.database import connect, load
from harness.export.flat import COLUMNS, flat_rows
from harness.export.stored_run import cells, read_run
from harness.run_folder import read_environment

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from harness.record import Measurement, Record

LOCKED = (
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET python_enable_replacements = false",
    "SET lock_configuration = true",
)
"""What keeps a question from files, from the network and from the variables of this program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which records: by the beginning of a cell's identity, by names, or by patterns such as `*-soft*`."""

    cell: str = ""
    model: str = ""
    recipe: str = ""
    backend: str = ""

    def __bool__(self) -> bool:
        return any((self.cell, self.model, self.recipe, self.backend))

    def takes(self, record: Record) -> bool:
        """Whether a record is one of them; without any wish all are."""
        wishes = ((self.model, record.model), (self.recipe, record.recipe), (self.backend, record.backend))
        named = all(not wish or wish == name or fnmatchcase(name, wish) for wish, name in wishes)
        return named and record.cell.startswith(self.cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Runs that have been read.

    Attributes:
        connection: Holds the table `records`, and reaches nothing else.
        measurements: Of the records that were chosen by name, by run folder and cell.
        unread: Folders that could not be read, with the reason.
    """

    connection: duckdb.DuckDBPyConnection
    measurements: Mapping[tuple[str, str], Measurement]
    unread: tuple[tuple[Path, str], ...]


def open_archive(folders: Sequence[Path], choice: Choice | None = None, since: datetime | None = None) -> Archive:
    """Read run folders; one that cannot be read is named and left out.

    Args:
        choice: Records to take, all when not given.
        since: In UTC; runs that began earlier, or nobody knows when, are left out.

    Raises:
        ConfigurationError: None of the folders can be read.
        UsageError: DuckDB is not installed, or every run is older than `since`.
    """
    connection = connect()
    choice = choice or Choice()
    records: list[dict[str, Value]] = []
    measurements: dict[tuple[str, str], Measurement] = {}
    unread: list[tuple[Path, str]] = []
    for folder in folders:
        try:
            if since and not _began_after(folder, since):
                continue
            found = cells(read_run(folder))
        except ConfigurationError as error:
            unread.append((folder, str(error)))
            continue
        if not found:
            unread.append((folder, "no record is finished"))
        chosen = [(cell, row) for cell, row in zip(found, flat_rows(found), strict=True) if choice.takes(cell.record)]
        records += [row for _, row in chosen]
        if choice:
            keys = ((str(folder), cell.record.cell, cell.record.measurement, cell.row) for cell, _ in chosen)
            measurements |= {(run, cell): timed for run, cell, timed, row in keys if timed and row and row.host}
    if len(unread) == len(folders):
        raise ConfigurationError(f"no run can be read: {unread[0][1]}")
    if since and not records:
        hint = "Leave out --since, or what chooses a cell, to see what there is."
        raise UsageError(f"no such record since {since:%Y-%m-%d}.", hint=hint)
    load(connection, "records", COLUMNS, records)
    for setting in LOCKED:
        connection.execute(setting)
    return Archive(connection=connection, measurements=measurements, unread=tuple(unread))


def ask(archive: Archive, question: str) -> list[dict[str, Any]]:
    """Answer a question in SQL over `records`.

    Raises:
        UsageError: It is not one SELECT or EXPLAIN, or DuckDB refuses it.
    """
    import duckdb

    hint = "The columns: bench history --sql 'DESCRIBE records'"
    try:
        statements = archive.connection.extract_statements(question)
        if [statement.type.name for statement in statements] not in (["SELECT"], ["EXPLAIN"]):
            raise UsageError("history answers one SELECT and changes nothing.", hint=hint)
        answer = archive.connection.execute(statements[0])
        names = [column[0] for column in answer.description]
        return [dict(zip(names, line, strict=True)) for line in answer.fetchall()]
    except duckdb.Error as error:
        raise UsageError(f"DuckDB refuses the question: {str(error).strip()}", hint=hint) from None


def _began_after(folder: Path, since: datetime) -> bool:
    facts = read_environment(folder)
    begun = moment(str(facts.get("time"))) if isinstance(facts, Mapping) else None
    return begun is not None and begun >= since

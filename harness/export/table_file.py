"""A table as a CSV or Parquet file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from harness.export.column import Column, Value, as_text
from harness.export.database import connect, load

if TYPE_CHECKING:
    from pathlib import Path

FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
"""First characters by which a spreadsheet takes a text for a formula, as OWASP's page on CSV injection lists them; a
carriage return becomes a line feed before."""


def as_csv(columns: Sequence[Column[Any]], rows: Sequence[Mapping[str, Value]]) -> str:
    """A header and one line for each row, as in RFC 4180 with `\\n`; what is missing is an empty field.

    A text that a spreadsheet would take for a formula gets an apostrophe before it, and every line break in a text is
    `\\n`; numbers are left alone.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(column.name for column in columns)
    writer.writerows([_field(row[column.name]) for column in columns] for row in rows)
    return file.getvalue()


def write_parquet(columns: Sequence[Column[Any]], rows: Sequence[Mapping[str, Value]], path: Path) -> None:
    """Write rows with the types of their columns, texts as they are.

    Raises:
        UsageError: DuckDB is not installed.
    """
    with connect() as connection:
        load(connection, "rows", columns, rows)
        connection.execute("COPY rows TO ? (FORMAT parquet)", [str(path)])


def _field(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return as_text(value)
    if not isinstance(value, str):
        return str(value)
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(FORMULA) else text

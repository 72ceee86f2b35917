"""Tables in DuckDB, in memory: what Parquet is written from and what history is asked of."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.export.column import SQL_TYPES, Column, Value

if TYPE_CHECKING:
    import duckdb


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory.

    Raises:
        UsageError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError:
        hint = "Install it with: pip install 'edge-bench[report]'"
        raise UsageError("Parquet and history need DuckDB, which is not installed.", hint=hint) from None
    return duckdb.connect(":memory:")


def load(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[Column[Any]],
    rows: Sequence[Mapping[str, Value]],
) -> None:
    """Make a table of rows, with the types of the columns.

    They pass through a scratch file of JSON lines, DuckDB's only fast way in that needs no further library.
    """
    types = ", ".join(f"{quoted(column.name)}: '{SQL_TYPES[column.type]}'" for column in columns)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        path = Path(scratch) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, default=datetime.isoformat, allow_nan=False) + "\n" for row in rows)
        source = f"read_json(?, format = 'newline_delimited', columns = {{{types}}})"
        connection.execute(f"CREATE TABLE {quoted(table)} AS SELECT * FROM {source}", [str(path)])  # noqa: S608


def quoted(name: str) -> str:
    """An identifier as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'

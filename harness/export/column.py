"""A column of an exported table: its name, type, meaning and where its value comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar

Type = Literal["text", "time", "integer", "real", "flag"]

Kind = Literal["run", "cell", "measured", "estimated", "simulated", "scored", "counted", "said"]
"""What a value is: a fact of the `run` and its machine; what the `cell` is; `measured` on that machine; `estimated` for
the profile; `simulated` for its accelerator; `scored` on real data; `counted` in the variant's file; `said` in words.
"""

Value = str | int | float | bool | datetime | None

SQL_TYPES: Mapping[Type, str] = {
    "text": "VARCHAR", "time": "TIMESTAMP", "integer": "BIGINT", "real": "DOUBLE", "flag": "BOOLEAN",
}  # fmt: skip
"""The type of a column in a database and in Parquet. A TIMESTAMP is in UTC."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[T]):
    """One column.

    Attributes:
        name: With the unit, and with the kind of number where that could be mistaken.
        meaning: A phrase for the documents.
        read: The value of one line; of any type, brought to that of the column by `rows`.
    """

    name: str
    type: Type
    kind: Kind
    meaning: str
    read: Callable[[T], Any]


def rows(columns: Sequence[Column[T]], lines: Iterable[T]) -> list[dict[str, Value]]:
    """One mapping for each line, every column in it; what is missing, empty or does not fit its type is None."""
    return [{column.name: _fit(column.read(line), column.type) for column in columns} for line in lines]


def clean(text: str) -> str:
    """Text that every file format takes: half of a surrogate pair and NUL become a replacement character."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")


def as_text(value: datetime) -> str:
    """A time in UTC as ISO 8601: `2026-01-31T12:00:00Z`."""
    return f"{value.isoformat(timespec='seconds')}Z"


def moment(text: str) -> datetime | None:
    """Read a time in ISO 8601 as UTC without a time zone, None when it is none; one that names no zone is in UTC."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


def _fit(value: Any, kind: Type) -> Value:
    if kind == "text":
        return clean(value) or None if isinstance(value, str) else None
    if kind == "flag":
        return value if isinstance(value, bool) else None
    if kind == "time":
        return moment(value) if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return _integer(value) if kind == "integer" else _real(value)


def _integer(value: float) -> int | None:
    """A signed integer of 64 bits."""
    return round(value) if math.isfinite(value) and -(2**63) <= round(value) < 2**63 else None


def _real(value: float) -> float | None:
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond every float
        return None

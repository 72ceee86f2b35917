"""The run folder: `plan.toml`, `environment.json` and `records.jsonl`, written so that a killed run loses nothing.

A record is one line: appended, flushed and synced. A line that a kill has torn has no newline; resuming cuts it off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

from harness.errors import ConfigurationError, UsageError
from harness.record import SCHEMA, Record

RECORDS = "records.jsonl"
PLAN = "plan.toml"
ENVIRONMENT = "environment.json"


class RecordLog:
    """An open records.jsonl, held by one run at a time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORDS
        self._file = _open_locked(self._path)
        _cut_torn_line(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def append(self, record: Record) -> None:
        """Write one record and make sure that it is on the disk."""
        self._file.write(json.dumps(asdict(record), separators=(",", ":"), default=str).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def create_run_folder(folder: Path, plan_toml: str, environment: Mapping[str, Any]) -> None:
    """Make a new run folder.

    Raises:
        UsageError: It cannot be written, or holds a run already.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / RECORDS).exists():
            hint = f"Continue it with --resume {folder}, or choose another folder."
            raise UsageError(f"{folder} holds a run already.", hint=hint)
        _write(folder / PLAN, plan_toml)
        _write(folder / ENVIRONMENT, json.dumps(environment, indent=1))
    except OSError as error:
        hint = "Choose a folder that can be written, with --out."
        raise UsageError(f"the run folder {folder} cannot be written: {error.strerror}.", hint=hint) from None


def read_records(folder: Path) -> tuple[Record, ...]:
    """Read the finished records of a run; a torn last line is left out.

    Raises:
        ConfigurationError: There is no run in the folder, or a finished line is not a record.
    """
    path = folder / RECORDS
    if not path.is_file():
        hint = "Give the folder of a run, such as runs/2026-01-31T12-00-00-rpi4."
        raise ConfigurationError(f"{folder} holds no {RECORDS}.", hint=hint)
    return tuple(_records(path))


def read_environment(folder: Path) -> Mapping[str, Any]:
    """Read environment.json, empty when there is none."""
    path = folder / ENVIRONMENT
    if not path.is_file():
        return {}
    try:
        facts: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}.", hint="Restore it or remove it.") from None
    return facts


def _records(path: Path) -> Iterator[Record]:
    from pydantic import ValidationError

    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            fields = json.loads(line)
            if fields.get("schema") != SCHEMA:
                hint = "It was written by another version of bench; install that one to read it."
                message = f"{path}, line {number}: schema {fields.get('schema')!r}, this bench reads {SCHEMA}."
                raise ConfigurationError(message, hint=hint)
            yield _adapter().validate_python(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(p) for p in first["loc"])
            message = f"{path}, line {number}: {where} = {str(first['input'])[:80]!r}: {first['msg']}."
            raise ConfigurationError(message, hint="Restore the file from a backup.") from None
        except (ValueError, AttributeError) as error:
            message = f"{path}, line {number} is not a record: {error}."
            raise ConfigurationError(message, hint="Restore the file from a backup, or remove the line.") from None


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Record)


def _open_locked(path: Path) -> IO[bytes]:
    import fcntl

    try:
        file = path.open("ab+")
    except OSError as error:
        hint = "Choose a folder that can be written, with --out."
        raise UsageError(f"{path} cannot be written: {error.strerror}.", hint=hint) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(f"{path.parent} is being written by another run.", hint="Wait for it to end.") from None
    return file


def _cut_torn_line(file: IO[bytes]) -> None:
    file.seek(0)
    content = file.read()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        file.truncate(whole)
    file.seek(0, os.SEEK_END)


def _write(path: Path, text: str) -> None:
    scratch = path.with_suffix(path.suffix + ".part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)

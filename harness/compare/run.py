"""A run as a comparison sees it: what its folder says."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigurationError, UsageError
from harness.run_folder import PLAN, read_environment, read_records

if TYPE_CHECKING:
    from pathlib import Path

    from harness.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run.

    Attributes:
        name: Its folder, as the user gave it.
        environment: What environment.json says, empty without one.
        plan: What plan.toml says, empty without one.
    """

    name: str
    records: tuple[Record, ...]
    environment: Mapping[str, Any]
    plan: Mapping[str, Any]


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        HarnessError: There is no run, a file of it cannot be read, or no row of it is finished.
    """
    records = read_records(folder)
    if not records:
        hint = f"Continue the run with: bench run --resume {folder}"
        raise UsageError(f"{folder} holds no finished row.", hint=hint)
    return Run(name=str(folder), records=records, environment=read_environment(folder), plan=_plan(folder / PLAN))


def _plan(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}.", hint="Restore it or remove it.") from None

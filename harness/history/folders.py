"""Finding run folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.run_folder import RECORDS

DEEPEST = 4
"""Levels below a given folder in which runs are looked for."""


def find_runs(places: Sequence[Path]) -> tuple[Path, ...]:
    """Run folders that the places are or hold, each once, in order of their names; none is looked for inside a run.

    Raises:
        UsageError: A place is no folder, or none holds a run.
    """
    for place in places:
        if not place.is_dir():
            hint = "Give the folder that holds your runs, or a run: bench history FOLDER"
            raise UsageError(f"there is no folder {place}.", hint=hint)
    found = {path.resolve(): path for place in places for path in _below(place, DEEPEST)}
    if not found:
        hint = "Make one with: bench run --profile host"
        raise UsageError(f"there is no run in {', '.join(map(str, places))}.", hint=hint)
    return tuple(found.values())


def _below(folder: Path, levels: int) -> Iterator[Path]:
    if (folder / RECORDS).is_file():
        yield folder
        return
    if levels == 0:
        return
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:  # a folder that may not be read holds no run of the user's
        return
    for path in inside:
        if not path.is_symlink():
            yield from _below(path, levels - 1)

"""Where a factory is: told without importing anything of the user's, cheap enough for planning a run."""

from __future__ import annotations

import sys
from importlib import invalidate_caches
from importlib.machinery import PathFinder
from pathlib import Path

from harness import ArtifactError


def check(ref: str) -> None:
    """Raise ArtifactError when there is no such file, or no module or package of that name.

    Args:
        ref: `package.module:factory` or `path/to/file.py:factory`; the current folder is importable.
    """
    place = ref.rsplit(":", 1)[0]
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise ArtifactError(f"no file {place}", hint="Paths are relative to the current folder.")
        return
    here = str(Path.cwd())
    top = place.partition(".")[0]
    invalidate_caches()
    if top not in sys.modules and PathFinder.find_spec(top, [here, *sys.path]) is None:
        raise missing(top, here)


def missing(module: str, here: str) -> ArtifactError:
    """The error for a module that cannot be found."""
    return ArtifactError(
        f"no module {module!r} can be imported from {here}",
        hint="Run bench in the folder that holds it, install it, or give path/to/file.py:factory.",
    )

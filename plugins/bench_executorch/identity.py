"""What a .pte file is, told without ExecuTorch: cheap enough for planning a run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from harness import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

MARK = b"ET12"
"""File identifier of the schema, at bytes 4 to 8 (`file_identifier` of ExecuTorch's program.fbs)."""

HINT = "Export the model again, or check the copy."


def check(path: Path) -> None:
    """Raise ArtifactError when there is no file, nothing in it, or something else."""
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file", hint="Give the path of a .pte file.")
    with path.open("rb") as stream:
        start = stream.read(8)
    if not start:
        raise ArtifactError(f"{path}: the file is empty", hint=HINT)
    if start[4:] != MARK:
        raise ArtifactError(f"{path}: not an ExecuTorch program, its identifier is missing", hint=HINT)


def identity(path: Path) -> str | None:
    """Sha256 of the file's bytes, or None when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None

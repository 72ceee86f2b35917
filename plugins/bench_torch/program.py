"""Exported programs as files."""

from __future__ import annotations

import logging
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from harness import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch.export import ExportedProgram


def load_program(path: Path) -> ExportedProgram:
    """Read a `.pt2` file; raises ArtifactError when it is missing, empty or damaged."""
    hint = "Build the variant again, or delete it from the cache (`bench cache`)."
    if not path.is_file():
        raise ArtifactError(f"no exported program at {path}", hint=hint)
    if not zipfile.is_zipfile(path):
        size_bytes = path.stat().st_size
        raise ArtifactError(f"{path} is not an exported program ({size_bytes} bytes, not a zip archive)", hint=hint)
    try:
        # torch logs the whole traceback before it raises; the exception below says the same in one line.
        with quiet("torch.export", "Ran into the following error"):
            _register_quantised_operators(path)
            return torch.export.load(path)
    except Exception as exc:
        raise ArtifactError(f"{path} cannot be read as an exported program: {one_line(exc)}", hint=hint) from exc


def _register_quantised_operators(path: Path) -> None:
    """Import the operators of quantised programs when the program uses them: torch does not do so by itself."""
    with zipfile.ZipFile(path) as archive:
        graphs = [name for name in archive.namelist() if name.endswith(".json")]
        if any(b"quantized_decomposed" in archive.read(name) for name in graphs):
            import torch.ao.quantization.fx._decomposed  # noqa: F401


@contextmanager
def quiet(logger: str, beginning: str) -> Iterator[None]:
    """Hold back messages of one logger that begin like this, and nothing else."""

    def keep(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(beginning)

    source = logging.getLogger(logger)
    source.addFilter(keep)
    try:
        yield
    finally:
        source.removeFilter(keep)


def one_line(exc: BaseException, limit: int = 240) -> str:
    """An exception as one line: its type and the beginning of its message."""
    text = " ".join(str(exc).split())
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__

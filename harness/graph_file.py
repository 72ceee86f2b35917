"""The graph of a file that a user names: a workload, or any format that a graph reader knows."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

from harness.errors import ArtifactError, HarnessError, UnsupportedError, one_line, place_of
from harness.workload import read_workload

if TYPE_CHECKING:
    from pathlib import Path

    from harness.contributions import GraphReader
    from harness.graph import OpGraph
    from harness.host import Host
    from harness.registry import Registered

WORKLOAD = ".json"
"""How the name of a workload ends: a table of layers, which needs no framework to be read."""


def read_graph_file(path: Path, host: Host) -> OpGraph:
    """Read a file by what its name ends with.

    Raises:
        ArtifactError: There is no such file, or it is broken.
        UnsupportedError: No graph reader knows the format, or what the reader needs is not installed.
    """
    if not path.exists():
        raise ArtifactError(f"{path}: no such file", hint="Give the path of a network, or of a workload in JSON.")
    suffix = path.suffix.lower()
    graph = read_workload(path) if suffix == WORKLOAD else _read(path, _reader(path, suffix, host))
    if not graph.operators:
        raise ArtifactError(f"{path}: the graph has no operator", hint="Export the model again.")
    return graph


def known_suffixes(host: Host) -> tuple[str, ...]:
    """Endings of the files that can be read."""
    found = {suffix for item in host.graph_readers for suffix in item.contribution.suffixes}
    return (*sorted(found), WORKLOAD)


def _reader(path: Path, suffix: str, host: Host) -> Registered[GraphReader]:
    for item in host.graph_readers:
        if suffix in item.contribution.suffixes:
            return host.graph_readers.get(item.name)  # says so when two plugins read this format
    what = "is a folder" if path.is_dir() else f"ends in {suffix}" if suffix else "has no ending"
    known = ", ".join(known_suffixes(host))
    raise UnsupportedError(
        f"{path} {what}: no graph reader knows such files", hint=f"Known: {known}. A plugin can add one: bench plugins"
    )


def _read(path: Path, reader: Registered[GraphReader]) -> OpGraph:
    missing = [name for name in reader.contribution.requires if not _installed(name)]
    if missing:
        names = " ".join(missing)
        raise UnsupportedError(
            f"{path}: reading {reader.name} needs {', '.join(missing)}, not installed here",
            hint=f"Install it with: pip install {names}",
        )
    try:
        return reader.contribution.read(path)
    except HarnessError:
        raise
    except Exception as error:
        hint = f"Export the model again; if it is sound, tell the author of {reader.provider}. {place_of(error)}"
        raise ArtifactError(f"{path}: {reader.name} cannot be read: {one_line(error)}", hint=hint.strip()) from error


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True

"""What is known of the result of a step: its content, its size, and what somebody can count in it."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contributions import LIVE

if TYPE_CHECKING:
    from harness.build.services import Services
    from harness.build_context import Score
    from harness.host import Host


def fingerprint(services: Services, value: Any, fmt: str, folder: Path) -> tuple[str, int | None]:
    """Content hash of a file, or of a live object saved for it, with its size then; empty when nobody can tell."""
    if fmt != LIVE:
        return _content_sha256(services.host, Path(value), fmt), None
    with services.saved(value, folder) as saved:
        if saved is None:
            return "", None
        return _content_sha256(services.host, *saved), size_of(saved[0])


def step_facts(services: Services, value: Any, fmt: str, score: Score | None, size_bytes: int | None) -> dict[str, Any]:
    """What the lineage says of a step beside its notes."""
    parameters, macs = None, None
    readers = services.host.graph_readers
    if fmt == LIVE and services.trainer() is not None:
        parameters, macs = services.count(value)
    elif fmt in readers and fmt != LIVE:
        graph = readers.get(fmt).contribution.read(Path(value))
        parameters, macs = graph.parameters, graph.macs
    facts: dict[str, Any] = {"parameters": parameters, "macs": macs}
    if score is not None:
        facts |= {"accuracy": score.value, "accuracy_n": score.n}
    return facts | ({"size_bytes": size_bytes} if size_bytes is not None else {})


def file_facts(host: Host, path: Path, fmt: str) -> dict[str, Any]:
    """Format, content and sizes of a finished file or folder."""
    return {
        "format": fmt,
        "sha256": _content_sha256(host, path, fmt),
        "size_bytes": size_of(path),
        "download_bytes": _gzip_bytes(path),
    }


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(p.stat().st_size for p in _files(path))


def _content_sha256(host: Host, path: Path, fmt: str) -> str:
    if fmt not in host.graph_readers:
        return ""
    return host.graph_readers.get(fmt).contribution.content_sha256(path)


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _gzip_bytes(path: Path) -> int:
    """Size after deflate at level 6, which is what gzip and most download channels do."""
    total = 0
    for file in _files(path):
        compressor = zlib.compressobj(6)
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                total += len(compressor.compress(chunk))
        total += len(compressor.flush())
    return total

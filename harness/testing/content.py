"""Whether two variants, files or folders are the same: by content where a plugin reads it, else by bytes."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contributions import LIVE

if TYPE_CHECKING:
    from harness.build_context import BuildContext
    from harness.host import Host


def files_in(folder: Path) -> Mapping[str, str]:
    """Hash of every file below a folder, by its path there; a file given instead of a folder is the only entry."""
    if folder.is_file():
        return {folder.name: _sha256(folder)}
    return {str(p.relative_to(folder)): _sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def content(host: Host, value: Any, fmt: str, context: BuildContext) -> str:
    """Hash of what a file or a live object is.

    Args:
        host: Its graph readers read the file; its converters save a live object.
        value: A path, or a live object.
        fmt: The format of it.
        context: A context of the host's own making; its work folder may be written to.
    """
    if fmt == LIVE:
        return _live(host, value, context)
    if fmt in host.graph_readers:
        return host.graph_readers.get(fmt).contribution.content_sha256(Path(value))
    path = Path(value)
    return _sha256(path) if path.is_file() else hashlib.sha256(repr(files_in(path)).encode()).hexdigest()


def _live(host: Host, value: Any, context: BuildContext) -> str:
    from harness.build.services import Services

    services = Services(host, context.workdir, context)
    with services.saved(value, context.workdir) as saved:
        if saved is not None:
            return content(host, saved[0], saved[1], context)
    return hashlib.sha256(pickle.dumps(value)).hexdigest()


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()

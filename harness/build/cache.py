"""The cache: what was built once, by the content that went into it.

    <cache>/models/<key>/      specs, example and data splits of a model
    <cache>/variants/<key>/    one built file, `node.json` and, for files that a backend opens, `graph.json`
    <cache>/scores/<key>.npz   outputs of one variant in one backend on the test split
    <cache>/sources/           for model sources: what they train or unpack

Every entry is made in a scratch folder and appears by one rename, so a killed run leaves nothing half-written.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

ENVIRONMENT = "BENCH_CACHE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """A cache folder; sub-folders appear when they are needed."""

    root: Path

    def entry(self, kind: str, key: str) -> Path:
        """Where an entry is or would be."""
        return self.root / kind / key

    def sources(self) -> Path:
        """Folder for what model sources keep.

        Raises:
            UsageError: The cache cannot be written.
        """
        folder = self.root / "sources"
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def scratch(self) -> Path:
        """A new empty folder on the same file system.

        Raises:
            UsageError: The cache cannot be written.
        """
        folder = self.root / "scratch"
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=folder))

    def check(self) -> None:
        """Raise UsageError when the cache cannot be written."""
        self.scratch().rmdir()

    def commit(self, scratch: Path, kind: str, key: str) -> Path:
        """Move a finished scratch folder or file to its place; an entry that is already there wins."""
        target = self.entry(kind, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            scratch.rename(target)
        except OSError:
            if not target.exists():
                raise
            discard(scratch)
        return target

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = f"Set {ENVIRONMENT} to a folder that can be written."
            raise UsageError(f"the cache {self.root} cannot be written: {error.strerror}.", hint=hint) from None

    def size_bytes(self) -> int:
        """Bytes of all files in the cache."""
        total = 0
        for path in self.root.rglob("*"):
            with suppress(FileNotFoundError):  # another run is working in it
                total += path.stat().st_size if path.is_file() else 0
        return total

    def clear(self) -> None:
        """Remove every entry; the folder itself stays."""
        for child in self.root.glob("*"):
            discard(child)


def open_cache() -> Cache:
    """The cache of this user: $BENCH_CACHE, else the platform's place for caches."""
    given = os.environ.get(ENVIRONMENT)
    if given:
        return Cache(root=Path(given).absolute())
    if sys.platform == "darwin":
        return Cache(root=Path.home() / "Library" / "Caches" / "edge-bench")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Cache(root=Path(base) / "edge-bench")


def discard(path: Path) -> None:
    """Remove a file or folder if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.unlink()

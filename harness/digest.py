"""Digests: what makes two cache keys equal."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_sha256(path: Path) -> str:
    """SHA-256 of a file, or of the names and bytes of every file below a folder."""
    if path.is_file():
        return file_sha256(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return digest_of([(str(p.relative_to(path)), file_sha256(p)) for p in files])


@cache
def source_digest(origin: str) -> str:
    """SHA-256 over the Python source of a plugin: of its package, or of its one file.

    A plugin that is being edited keeps its version, so the version alone would serve stale variants.
    """
    path = Path(origin)
    if not origin or not path.is_file():
        return ""
    if path.name != "__init__.py":
        return file_sha256(path)
    return digest_of([(str(p.relative_to(path.parent)), file_sha256(p)) for p in sorted(path.parent.rglob("*.py"))])


@cache
def installed_version(distribution: str) -> str:
    """Version of an installed distribution, or an empty string."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""

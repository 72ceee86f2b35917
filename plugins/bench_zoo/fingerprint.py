"""Identities: of source files, and of a network's weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn


def source_sha256(files: Iterable[str | Path], *facts: str) -> str:
    """Hash the text of this package's own source files and further facts; loads nothing.

    Args:
        files: Names of modules in this package such as `watch.py`, or full paths of others.
        facts: Pinned hashes and settings that no file holds.
    """
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for file in files:
        path = folder / file
        digest.update(f"{path.name}\0".encode() + path.read_text(encoding="utf-8").encode() + b"\0")
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    return digest.hexdigest()


def network_sha256(module: nn.Module, architecture: str) -> str:
    """Hash an architecture's identity and every tensor of its state, sorted by name, with dtype and shape."""
    digest = hashlib.sha256(architecture.encode())
    for name, tensor in sorted(module.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()

"""Files that are no models: whatever opens them must say so, and in the host's words."""

from __future__ import annotations

import random
from pathlib import Path

NOISE_BYTES = 2048


def garbage_like(path: Path, folder: Path, size: int = NOISE_BYTES) -> Path:
    """Noise under the name of a file; for a folder, noise under the name of each file in it.

    Args:
        path: What it is to be mistaken for.
        folder: Where it is written; made where it is missing.
        size: Bytes of each file, 0 for empty ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"wrong-{path.name}"
    noise = random.Random(0).randbytes(size)
    if not path.is_dir():
        target.write_bytes(noise)
        return target
    for file in (p for p in path.rglob("*") if p.is_file()):
        copy = target / file.relative_to(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(noise)
    return target

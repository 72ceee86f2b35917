"""What an ONNX file is, told without the onnx package: cheap enough for planning a run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from harness import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

EXTERNAL_LOCATION = b"\x0a\x08location"
"""How protobuf writes the key of `TensorProto.external_data` that names the file beside the model: field 1 of
StringStringEntryProto, eight bytes long (onnx.proto3)."""


HINT = "Export the model again, or check the copy: python -m onnx.checker FILE."


def check(path: Path) -> None:
    """Raise ArtifactError when there is no file or nothing in it."""
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file", hint="Give the path of an .onnx file.")
    if path.stat().st_size == 0:
        raise ArtifactError(f"{path}: the file is empty", hint=HINT)


def identity(path: Path) -> str | None:
    """Sha256 of the file's bytes, or None when it cannot be read or keeps its weights in another file."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return None if EXTERNAL_LOCATION in content else hashlib.sha256(content).hexdigest()

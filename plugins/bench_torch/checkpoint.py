"""The saved live module: one `.ckpt.pt` file with the module in eval mode and its example inputs."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bench_torch.content import add_tensor
from bench_torch.program import one_line
from harness import ArtifactError, BuildContext

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".ckpt.pt"

_SIMPLE = (bool, int, float, str, type(None))


class ImportPath:
    """Folders from which the classes of a module are imported.

    It stands before the module in the file, so unpickling it makes the classes importable before they are looked up.
    """

    def __init__(self, folders: tuple[str, ...]) -> None:
        """Keep the folders."""
        self.folders = folders

    def __reduce__(self) -> tuple[Any, ...]:
        """Unpickle by calling `restore_import_path`."""
        return restore_import_path, (self.folders,)


def restore_import_path(folders: tuple[str, ...]) -> ImportPath:
    """Append folders to `sys.path`, behind everything that is there."""
    sys.path.extend(folder for folder in folders if folder not in sys.path)
    return ImportPath(folders)


def convert(module: nn.Module, context: BuildContext) -> Path:
    """Converter `module → checkpoint`; raises ArtifactError when the module cannot be pickled."""
    path = context.workdir / f"model{SUFFIX}"
    save(module, as_tensors(context.example), path)
    return path


def save(module: nn.Module, example: tuple[torch.Tensor, ...], path: Path) -> None:
    """Write module and example; the module's training flags are as before afterwards."""
    hint = "Define its classes at the top level of a module that can be imported, not in a function or a script."
    homeless = sorted({type(part).__qualname__ for part in module.modules() if type(part).__module__ == "__main__"})
    if homeless:
        raise ArtifactError(f"classes of the script itself cannot be saved: {', '.join(homeless)}", hint=hint)
    content = {"import_path": ImportPath(_folders(module)), "module": module, "example": example}
    try:
        with _eval_mode(module):
            torch.save(content, path)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as exc:
        path.unlink(missing_ok=True)
        raise ArtifactError(f"{type(module).__name__} cannot be saved: {one_line(exc)}", hint=hint) from exc


def load(path: Path) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Read a checkpoint; raises ArtifactError when it is missing, damaged or not a checkpoint of ours."""
    hint = "Build the variant again, or delete it from the cache (`bench cache`)."
    try:
        # A live module is code, so the file must be unpickled in full. It is never a file from outside: this plugin
        # wrote it into the host's own cache.
        content = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as exc:
        raise ArtifactError(f"{path} cannot be read as a checkpoint: {one_line(exc)}", hint=hint) from exc
    if not isinstance(content, dict) or not isinstance(content.get("module"), nn.Module):
        raise ArtifactError(f"{path} is not a checkpoint of a live module", hint=hint)
    return content["module"].eval(), tuple(content["example"])


def hash_checkpoint(path: Path) -> str:
    """SHA-256 of architecture and tensors of a checkpoint; the example takes no part."""
    return hash_module(load(path)[0])


def hash_module(module: nn.Module) -> str:
    """SHA-256 of a live module: structure, plain attributes, source of the classes, parameters and buffers."""
    digest = hashlib.sha256()
    for name, part in module.named_modules(remove_duplicate=False):
        plain = sorted((key, value) for key, value in vars(part).items() if _plain(value) and key != "training")
        digest.update(
            f"{name}|{type(part).__module__}.{type(part).__qualname__}|{part.extra_repr()}|{plain}\n".encode()
        )
    for source in sorted({_source(type(part)) for part in module.modules()}):
        digest.update(source.encode())
    tensors = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    for name, tensor in sorted(tensors.items()):
        add_tensor(digest, name, tensor)
    return digest.hexdigest()


def as_tensors(arrays: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    """Arrays as tensors of their own memory, dtype and shape kept."""
    return tuple(torch.from_numpy(np.array(array, order="C")) for array in arrays)


def _plain(value: object) -> bool:
    return isinstance(value, _SIMPLE) or (
        isinstance(value, tuple | list) and all(isinstance(i, _SIMPLE) for i in value)
    )


def _source(kind: type) -> str:
    """Source of a class outside torch: an edited `forward` is another network, with the same weights or not."""
    if kind.__module__.split(".")[0] == "torch":
        return ""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # no source: made at run time, or a compiled extension
        return ""


def _folders(module: nn.Module) -> tuple[str, ...]:
    found = []
    for name in sorted({type(part).__module__.split(".")[0] for part in module.modules()} - {"torch"}):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            place = Path(file).resolve()
            found.append(str(place.parent.parent if place.name == "__init__.py" else place.parent))
    return tuple(dict.fromkeys(found))


@contextmanager
def _eval_mode(module: nn.Module) -> Iterator[None]:
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True

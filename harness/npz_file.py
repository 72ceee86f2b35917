"""Data that the user brings as an `.npz` archive: `x` (or `x0`, `x1`, …) and, where there are labels, `y`."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812 -- the library writes its exception in lower case

from harness.errors import ArtifactError
from harness.model import Data, Split
from harness.splits import divide

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.model import Array, TensorSpec


def load_npz(path: Path, inputs: tuple[TensorSpec, ...], seed: int) -> Data:
    """Check an archive against the model's inputs and divide its rows.

    Raises:
        ArtifactError: The file is not an archive of plain arrays, or does not fit the model.
    """
    keys = ("x",) if len(inputs) == 1 else tuple(f"x{i}" for i in range(len(inputs)))
    arrays = _read(path, keys, inputs)
    notes = []
    for key, array, spec in zip(keys, arrays, inputs, strict=True):
        _check(path, key, array, spec)
        if len(array) != len(arrays[0]):
            raise ArtifactError(
                f"{path}: {keys[0]} has {len(arrays[0])} rows and {key} has {len(array)}.",
                hint="Give every input the same number of rows.",
            )
        if array.dtype.name != spec.dtype:
            notes.append(f"{key} was cast from {array.dtype.name} to {spec.dtype}")
    labels = _labels(path, len(arrays[0]))
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    labelled = labels is not None and bool((labels >= 0).any())
    if not labelled:
        notes.append("there are no labels, so agreement with the baseline is what can be said")
    dtypes = tuple(spec.dtype for spec in inputs)
    return Data(
        name=path.name,
        sha256=sha256,
        metric="top1" if labelled else "agreement",
        splits={
            name: partial(_split, path, keys, dtypes, indices)
            for name, indices in divide(len(arrays[0]), labels, seed).items()
        },
        note="; ".join(notes),
    )


def _split(path: Path, keys: Sequence[str], dtypes: Sequence[str], indices: Array) -> Split:
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        rows = tuple(archive[key][indices].astype(dtype) for key, dtype in zip(keys, dtypes, strict=True))
        labels = archive["y"][indices].astype(np.int64) if "y" in archive else None
    return Split(inputs=rows, labels=labels)


def _read(path: Path, keys: Sequence[str], inputs: tuple[TensorSpec, ...]) -> list[Array]:
    import numpy as np

    shapes = ", ".join(f"{key} {_shape(spec)} {spec.dtype}" for key, spec in zip(keys, inputs, strict=True))
    hint = f"Write it with numpy.savez({path.name!r}, {', '.join(f'{key}=…' for key in keys)}, y=…): {shapes}."
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ArtifactError(f"{path} holds a single array, not an archive.", hint=hint)
            missing = [key for key in keys if key not in archive]
            if missing:
                raise ArtifactError(
                    f"{path} has no {', '.join(missing)}; it holds {', '.join(archive.files) or 'nothing'}.", hint=hint
                )
            return [_array(archive, key) for key in keys]
    except (OSError, ValueError, EOFError, BadZipFile, ZlibError) as error:
        raise ArtifactError(f"{path} cannot be read as an archive of plain arrays: {error}.", hint=hint) from error


def _array(archive: Any, key: str) -> Array:
    """An array of the archive; numpy hands out the bytes of a member that is none."""
    import numpy as np

    found = archive[key]
    if not isinstance(found, np.ndarray):
        raise ValueError(f"{key} is no array")  # noqa: TRY004 - what numpy raises for other damage
    return found


def _labels(path: Path, rows: int) -> Array | None:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            labels: Array | None = _array(archive, "y") if "y" in archive else None
    except (OSError, ValueError, EOFError, BadZipFile, ZlibError) as error:
        raise ArtifactError(f"{path}: y cannot be read: {error}.", hint="Write the file again.") from error
    if labels is None:
        return None
    if labels.shape != (rows,) or labels.dtype.kind not in "iu":
        raise ArtifactError(
            f"{path}: y has shape {labels.shape} and type {labels.dtype.name}; expected ({rows},) integers.",
            hint="Give one class index per row of x, not one-hot rows; -1 marks a row without a label.",
        )
    labels = labels.astype(np.int64)
    if rows and labels.min() < -1:
        raise ArtifactError(
            f"{path}: y holds {int(labels.min())}; labels are class indices from 0, or -1 for none.",
            hint="Number the classes as the model's output does.",
        )
    return labels


def _check(path: Path, key: str, array: Array, spec: TensorSpec) -> None:
    import numpy as np

    wanted = np.dtype(spec.dtype)
    fits = array.ndim == len(spec.shape) and all(
        expected in (None, found) for expected, found in zip(spec.shape[1:], array.shape[1:], strict=True)
    )
    if not fits:
        raise ArtifactError(
            f"{path}: {key} has shape {array.shape}; the model's input {spec.name} expects {_shape(spec)}.",
            hint="The first axis counts rows; bring the others into the model's layout.",
        )
    if len(array) == 0:
        raise ArtifactError(f"{path}: {key} has no rows.", hint="Give at least two rows.")
    if array.dtype.kind != wanted.kind:
        raise ArtifactError(
            f"{path}: {key} is {array.dtype.name}; the model's input {spec.name} expects {spec.dtype}.",
            hint=f"Scale it as the model was trained and save it as {spec.dtype}; a cast would change its meaning.",
        )
    if wanted.kind == "f":
        with np.errstate(over="ignore"):
            finite = bool(np.isfinite(array.astype(wanted)).all())
        if not finite:
            raise ArtifactError(
                f"{path}: {key} holds NaN, infinite values or values too large for {spec.dtype}.",
                hint="Remove or replace those rows.",
            )
    elif wanted.kind in "iu" and not _holds(wanted, array):
        raise ArtifactError(
            f"{path}: {key} holds values from {array.min()} to {array.max()}, too large for {spec.dtype}.",
            hint="Save it in the range of the model's input.",
        )


def _holds(dtype: Any, array: Array) -> bool:
    import numpy as np

    limits = np.iinfo(dtype)
    return int(array.min()) >= limits.min and int(array.max()) <= limits.max


def _shape(spec: TensorSpec) -> str:
    sizes = ["rows", *("any" if size is None else str(size) for size in spec.shape[1:])]
    return f"({', '.join(sizes)})"

"""Data for a model: what the user brings with `--data`, or random inputs when there is nothing."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ArtifactError
from harness.model import Data, Split
from harness.npz_file import load_npz
from harness.picture_folder import load_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model import Array, TensorSpec


def load_data(
    text: str, inputs: tuple[TensorSpec, ...], preprocess: Callable[[Array], Array] | None, seed: int
) -> Data:
    """Load the data that a path names, in four disjoint splits (see `harness.splits`).

    Args:
        text: A folder of pictures with one sub-folder per class, or an `.npz` file with `x` and optionally `y`.
        inputs: What the model takes.
        preprocess: The model's own preparation of a picture, `(h, w, 3)` uint8 RGB to `(c, h', w')` float32.
        seed: Decides the division into splits.

    Raises:
        ArtifactError: There is no such path, or it does not hold data that the model takes.
    """
    path = check_place(text)
    return load_folder(path, inputs, preprocess, seed) if path.is_dir() else load_npz(path, inputs, seed)


def check_place(text: str) -> Path:
    """The path of the data, as far as can be told without reading it.

    Raises:
        ArtifactError: There is nothing, or neither a folder nor an archive.
    """
    path = Path(text).expanduser()
    hint = "Give a folder with one sub-folder of pictures per class, or an .npz file with x and optionally y."
    if not path.exists():
        raise ArtifactError(f"There is no data at {path}.", hint=hint)
    if not path.is_dir() and path.suffix.lower() != ".npz":
        raise ArtifactError(f"{path} is neither a folder nor an .npz file.", hint=hint)
    return path


def random_data(inputs: tuple[TensorSpec, ...], example: tuple[Array, ...] | None, seed: int, rows: int = 32) -> Data:
    """Random inputs, for a model that comes without data: they say whether variants agree, not how good they are.

    Floats are normal with the mean and deviation of the example, or standard normal; integers and booleans are
    0 or 1, which every vocabulary and every index holds. A free dimension takes its size from the example, else 1.
    """
    identity = hashlib.sha256(repr((inputs, seed, rows)).encode())
    for array in example or ():
        identity.update(array.tobytes())
    return Data(
        name=f"{rows} random inputs",
        sha256=identity.hexdigest(),
        metric="agreement",
        splits={
            name: partial(_random_split, inputs, example, rows, (seed, stream))
            for stream, name in enumerate(("test", "calibration"))
        },
        note="Inputs are random: agreement with the baseline on them is no accuracy, and integer ranges calibrated on "
        "them may not suit real data; give --data a folder of pictures or an .npz file.",
    )


def _random_split(
    inputs: tuple[TensorSpec, ...], example: tuple[Array, ...] | None, rows: int, seed: tuple[int, int]
) -> Split:
    import numpy as np

    draw = np.random.default_rng(seed)
    arrays = []
    for position, spec in enumerate(inputs):
        like = example[position] if example else None
        sizes = like.shape[1:] if like is not None else tuple(size or 1 for size in spec.shape[1:])
        shape = (rows, *sizes)
        if np.dtype(spec.dtype).kind != "f":
            arrays.append(draw.integers(0, 2, shape).astype(spec.dtype))
            continue
        mean, deviation = (float(like.mean()), float(like.std())) if like is not None and like.size else (0.0, 0.0)
        values = draw.normal(mean, deviation, shape) if deviation > 0 else draw.standard_normal(shape)
        arrays.append(values.astype(spec.dtype))
    return Split(inputs=tuple(arrays))

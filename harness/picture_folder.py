"""Data that the user brings as a folder of pictures with one sub-folder per class."""

from __future__ import annotations

import hashlib
import io
from functools import partial
from typing import TYPE_CHECKING

from harness.errors import ArtifactError
from harness.model import Data, Split
from harness.splits import divide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.model import Array, TensorSpec

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
ENLARGED = 256 / 224
"""Shorter side before the centre crop, as a multiple of the crop: torchvision's evaluation presets."""
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""ImageNet's, of values from 0 to 1, as in torchvision's presets; single-channel models get their averages."""
SPLIT_BYTES = 2**30
"""A split larger than this when decoded is cut, so that a whole ImageNet does not fill the memory."""
LAYOUT = "Save each picture as <folder>/<class>/<picture>, or give an .npz file with x and y."


def load_folder(
    folder: Path, inputs: tuple[TensorSpec, ...], preprocess: Callable[[Array], Array] | None, seed: int
) -> Data:
    """Check every picture's header, hash its content and divide the pictures; pixels are decoded per split.

    Folders whose names are all whole numbers are those class indices; else classes count from 0 in sorted order.

    Raises:
        ArtifactError: Pillow is missing, the model does not take pictures, the folder has no pictures in
            sub-folders, or a picture is corrupt.
    """
    import numpy as np

    spec = _picture_input(folder, inputs, preprocess)
    classes = _classes(folder)
    files = [(file, index) for index, members in classes for file in members]
    digest = hashlib.sha256()
    for file, _ in files:
        content = _checked(file)
        digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    labels = np.array([index for _, index in files], np.int64)
    prepare = preprocess or partial(prepare_picture, spec=spec)
    notes = [
        "Pictures were prepared by the model's own preprocessing."
        if preprocess
        else f"Pictures were resized to {ENLARGED:.3f} of the input (bilinear), cropped at the centre to "
        f"{spec.shape[2]}×{spec.shape[3]}, {'made grey, ' if spec.shape[1] == 1 else ''}scaled to 0–1 and "
        "normalised with ImageNet's mean and deviation; a model that was trained otherwise scores low."
    ]
    most = _rows_that_fit(files[0][0], prepare)
    splits = {}
    for name, indices in divide(len(files), labels, seed).items():
        if len(indices) > most:
            notes.append(f"{name} takes {most} of its {len(indices)} pictures, which fill {SPLIT_BYTES >> 20} MiB.")
        kept = [files[i] for i in indices[:most]]
        splits[name] = partial(_split, kept, prepare, spec)
    return Data(
        name=f"{folder.name} ({len(files)} pictures, {len(classes)} classes)",
        sha256=digest.hexdigest(),
        metric="top1",
        splits=splits,
        note=" ".join(notes),
        kind="images",
    )


def prepare_picture(pixels: Array, *, spec: TensorSpec) -> Array:
    """Prepare a picture as most ImageNet networks were trained: `(h, w, 3)` uint8 to `(c, height, width)` float32."""
    import numpy as np
    from PIL import Image

    channels, height, width = (int(size or 0) for size in spec.shape[1:])
    image = Image.fromarray(pixels)
    if channels == 1:
        image = image.convert("L")
    factor = ENLARGED * max(width / image.width, height / image.height)
    size = (max(width, round(image.width * factor)), max(height, round(image.height * factor)))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    cropped = image.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + width, top + height))
    scaled = np.asarray(cropped, np.float32).reshape(height, width, channels) / 255
    mean, deviation = np.array(MEAN, np.float32), np.array(DEVIATION, np.float32)
    if channels == 1:
        mean, deviation = mean.mean(keepdims=True), deviation.mean(keepdims=True)
    return np.ascontiguousarray(((scaled - mean) / deviation).transpose(2, 0, 1))


def _picture_input(
    folder: Path, inputs: tuple[TensorSpec, ...], preprocess: Callable[[Array], Array] | None
) -> TensorSpec:
    """The one input that takes pictures, or an error that says what the model takes instead."""
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise ArtifactError(
            f"Reading the pictures in {folder} needs Pillow.", hint="pip install 'edge-bench[zoo]'"
        ) from error
    spec = inputs[0]
    fits = len(inputs) == 1 and spec.dtype == "float32" and len(spec.shape) == 4
    if preprocess is None:
        fits = fits and spec.shape[1] in (1, 3) and None not in spec.shape[1:]
    if not fits:
        takes = "; ".join(f"{i.name} {tuple('any' if s is None else s for s in i.shape)} {i.dtype}" for i in inputs)
        raise ArtifactError(
            f"{folder} holds pictures, which need a model with one float32 input (rows, 1 or 3, height, width); "
            f"this model takes {takes}.",
            hint="Prepare the data yourself and give it as an .npz file with x and y.",
        )
    return spec


def _classes(folder: Path) -> list[tuple[int, list[Path]]]:
    """Class index and sorted pictures of each sub-folder."""
    names = sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    if not names:
        raise ArtifactError(f"{folder} has no sub-folders, so its pictures have no classes.", hint=LAYOUT)
    numbered = all(name.isdecimal() and name.isascii() for name in names)
    found = []
    for position, name in enumerate(names):
        pictures = sorted(
            file
            for file in (folder / name).iterdir()
            if file.is_file() and file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        )
        if not pictures:
            raise ArtifactError(f"{folder / name} has no pictures.", hint=f"Remove the folder or fill it. {LAYOUT}")
        found.append((int(name) if numbered else position, pictures))
    indices = [index for index, _ in found]
    if len(set(indices)) < len(indices):
        raise ArtifactError(f"{folder} has two folders for one class number: {', '.join(names)}.", hint=LAYOUT)
    return found


def _checked(file: Path) -> bytes:
    """Content of a picture whose header is sound."""
    from PIL import Image

    try:
        content = file.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _corrupt(file, error) from error
    return content


def _decoded(file: Path) -> Array:
    """Pixels `(h, w, 3)` uint8 RGB."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _corrupt(file, error) from error


def _corrupt(file: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{file} cannot be read as a picture: {error}.", hint="Replace or remove the file.")


def _rows_that_fit(file: Path, prepare: Callable[[Array], Array]) -> int:
    return max(1, SPLIT_BYTES // int(prepare(_decoded(file)).nbytes))


def _split(files: Sequence[tuple[Path, int]], prepare: Callable[[Array], Array], spec: TensorSpec) -> Split:
    import numpy as np

    rows = []
    for file, _ in files:
        row = np.asarray(prepare(_decoded(file)), np.float32)
        wanted = spec.shape[1:]
        if row.ndim != 3 or any(want not in (None, got) for want, got in zip(wanted, row.shape, strict=True)):
            raise ArtifactError(
                f"The model's preprocessing turned {file} into {row.shape}; its input {spec.name} expects "
                f"{tuple('any' if size is None else size for size in wanted)}.",
                hint="Correct the model's preprocess function, or give an .npz file with x and y.",
            )
        rows.append(row)
    return Split(inputs=(np.stack(rows),), labels=np.array([index for _, index in files], np.int64))

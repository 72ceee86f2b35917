"""Fashion-MNIST: reading the four files of Debian's package, the splits, and how training varies pictures.

70,000 grey pictures of 28×28 pixels in ten classes of clothing, 6,000 of each to train and 1,000 to test. Source: Xiao,
Rasul, Vollgraf, https://arxiv.org/abs/1708.07747; licence MIT. The files are IDX (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import hashlib
import os
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_zoo.fingerprint import source_sha256
from harness import ArtifactError, Data, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = "/usr/share/datasets/fashion-mnist"
ENVIRONMENT = "BENCH_FASHION_MNIST"
"""Environment variable that names another folder with the same four files."""
INSTALL = f"sudo apt-get install dataset-fashion-mnist, or set {ENVIRONMENT} to a folder with the four files."
FILES = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
"""Names and hashes, those of Debian's dataset-fashion-mnist 0.0~git20200523.55506a9, which are upstream's."""

SIDE = 28
CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
MEAN, STD = 0.2860, 0.3530
"""Of the pixels, 0 to 1, of the 60,000 training pictures."""

SEED = 28
SIZES = {"validation": 2_000, "calibration": 300, "train": 20_000}
"""Rows out of the 60,000; the network is first trained on all of them but those that validate and calibrate."""
TEST_ROWS = 2_000
"""Rows out of the 10,000 that test: a run scores every variant on each of them."""


def folder() -> Path:
    """Where the files are looked for."""
    return Path(os.environ.get(ENVIRONMENT) or FOLDER)


def missing() -> str:
    """Why the data cannot be read, or an empty text when all four files are there."""
    absent = [name for name in FILES if not (folder() / name).is_file()]
    return f"{folder()} has no {', '.join(absent)}" if absent else ""


def augment(inputs: tuple[NDArray[Any], ...], draw: Any) -> tuple[NDArray[Any], ...]:
    """Mirror half of the pictures left to right, at random.

    Nothing more: in so few epochs a shift by up to one pixel cost ResNet-8 0.4 points on the validation split.

    Args:
        inputs: One array `(batch, 1, 28, 28)` float32.
        draw: A numpy random generator.
    """
    import numpy as np

    (pictures,) = inputs
    mirrored = draw.random((len(pictures), 1, 1, 1)) < 0.5
    return (np.where(mirrored, pictures[:, :, :, ::-1], pictures),)


def data() -> Data:
    """The splits, prepared for the networks."""
    return Data(
        name=f"Fashion-MNIST (test: {TEST_ROWS:,} of the 10,000 official test pictures)",
        sha256=source_sha256(("fashion.py",), *FILES.values()),
        metric="top1",
        splits={name: partial(split, name) for name in ("train", "validation", "calibration", "test")},
        note=f"The test split is a fixed {TEST_ROWS:,} of the 10,000 test pictures, the same share of each class; the "
        f"train split is {SIZES['train']:,} of the 57,700 pictures that trained the network.",
        kind="images",
        augment=augment,
    )


def split(name: str) -> Split:
    """Rows of one split: `(n, 1, 28, 28)` float32 standardised pictures, `(n,)` int64 classes.

    Args:
        name: One of `partition`.

    Raises:
        ArtifactError: A file is missing or not the pinned one.
    """
    part = "t10k" if name == "test" else "train"
    numbers = partition()[name]
    labels = read(f"{part}-labels")[numbers].astype("int64")
    return Split(inputs=(standardise(read(f"{part}-images")[numbers]),), labels=labels)


def partition() -> dict[str, NDArray[Any]]:
    """Split to sorted numbers of pictures; `test` counts in the test files, the others in the training files.

    `fitting` is what first trained the network: all but the pictures that validate or calibrate, and so the `train`
    split is a part of it. No picture is in two of the others, and each has the same number of every class.
    """
    import numpy as np

    labels = read("train-labels")
    splits = divide(labels, SIZES)
    held_out = np.concatenate([splits["validation"], splits["calibration"]])
    splits["fitting"] = np.setdiff1d(np.arange(len(labels)), held_out)
    return splits | divide(read("t10k-labels"), {"test": TEST_ROWS})


def divide(labels: NDArray[Any], sizes: dict[str, int]) -> dict[str, NDArray[Any]]:
    """Draw disjoint splits of the given sizes, each with the same number of every class.

    Args:
        labels: `(n,)` class of each row.
        sizes: Rows of each split, a multiple of the number of classes.
    """
    import numpy as np

    draw = np.random.default_rng(SEED)
    shuffled = [draw.permutation(np.flatnonzero(labels == each)) for each in np.unique(labels)]
    splits, start = {}, 0
    for name, size in sizes.items():
        end = start + size // len(shuffled)
        splits[name] = np.sort(np.concatenate([rows[start:end] for rows in shuffled]))
        start = end
    return splits


def standardise(pictures: NDArray[Any]) -> NDArray[Any]:
    """`(n, 28, 28)` uint8 pixels to `(n, 1, 28, 28)` float32 of about mean 0 and deviation 1."""
    import numpy as np

    scaled = (pictures.astype(np.float32) / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(scaled[:, None])


@lru_cache(maxsize=4)
def read(name: str) -> NDArray[Any]:
    """Read one IDX file such as `train-images`: `(n, 28, 28)` pictures or `(n,)` labels, uint8.

    Raises:
        ArtifactError: The file is missing or not the pinned one.
    """
    import numpy as np

    file = next(each for each in FILES if each.startswith(name))
    path = folder() / file
    if not path.is_file():
        raise ArtifactError(f"Fashion-MNIST is not there: {path} is missing.", hint=INSTALL)
    packed = path.read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != FILES[file]:
        raise ArtifactError(f"{path} has sha256 {found}, expected {FILES[file]}: it is another file.", hint=INSTALL)
    content = gzip.decompress(packed)
    shape = tuple(int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(content[3]))
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)

"""Smartwatch recordings of seglearn: safe loading, the split by person, and windows.

Ten people did seven shoulder exercises twice, once with the watch on each arm: 140 recordings of 20 repetitions,
six channels (acceleration in g, angular rate in rad/s) at 50 Hz. Source: Burns et al., https://arxiv.org/abs/1802.01489.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

from bench_zoo.packaged import packaged_file
from harness import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

WATCH_SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
PERSONS = 10
EXERCISES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
CHANNELS = 6
ROWS = 100
"""Rows of a window: two seconds at 50 Hz."""
STEP = 50
"""Rows from one window to the next: 50 % overlap."""
CLIP = 4.0
"""Standardised values are clipped here, so that one knock on the watch does not set the int8 scale of the input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One person, one exercise, one arm.

    Attributes:
        person: 1 to 10.
        exercise: Index into `EXERCISES`.
        right: Whether the watch was on the right arm.
        signal: `(rows, 6)` float64, acceleration x y z in g, angular rate x y z in rad/s.
    """

    person: int
    exercise: int
    right: bool
    signal: NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Who is in which split; whoever is not named trains."""

    test: tuple[int, ...]
    validation: tuple[int, ...]

    @property
    def train(self) -> tuple[int, ...]:
        """The persons whose recordings train, less the few that calibrate."""
        return tuple(p for p in range(1, PERSONS + 1) if p not in self.test + self.validation)


def fold(first: int) -> Fold:
    """Three test persons three apart, and the next one for validation; `first` is 1 to 10, numbers wrap round."""
    wrap = [(first - 1 + offset) % PERSONS + 1 for offset in (0, 3, 6, 7)]
    return Fold(test=tuple(sorted(wrap[:3])), validation=(wrap[3],))


FOLD = fold(3)
"""The split of the shipped model, fixed before anything was trained: test 3, 6, 9; validation 10."""


class _WatchUnpickler(pickle.Unpickler):
    """Builds arrays, lists and dicts of plain values, and refuses every other global."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolve the four names that a pickled array needs."""
        import numpy as np
        from numpy._core.multiarray import _reconstruct

        allowed: dict[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _latin1,
        }
        if (module, name) not in allowed:
            raise ArtifactError(f"A pickled data file asks for {module}.{name}, which is not allowed.")
        return allowed[module, name]


def _latin1(text: str, encoding: str) -> bytes:
    """The one use that a pickled array has for `codecs.encode`: bytes written as text."""
    if encoding != "latin1":
        raise ArtifactError(f"A pickled data file asks for the encoding {encoding!r}, which is not allowed.")
    return text.encode("latin1")


def restricted_load(file: BinaryIO) -> Any:
    """Read a `.npy` file that holds one pickled object, allowing nothing but arrays of plain values.

    Raises:
        ArtifactError: The pickle asks for anything else.
    """
    import numpy as np

    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    return _WatchUnpickler(file, encoding="latin1").load().item()


@lru_cache(maxsize=1)
def recordings() -> tuple[Recording, ...]:
    """All 140 recordings, ordered by person, exercise and arm.

    Raises:
        ArtifactError: The package is missing or its file is not the pinned one.
    """
    with packaged_file("seglearn", "data/watch_dataset.npy", WATCH_SHA256).open("rb") as file:
        raw = restricted_load(file)
    found = [
        Recording(person=int(person), exercise=int(exercise), right=bool(side), signal=signal)
        for person, exercise, side, signal in zip(raw["subject"], raw["y"], raw["side"], raw["X"], strict=True)
    ]
    return tuple(sorted(found, key=lambda r: (r.person, r.exercise, r.right)))


def partition(of: Fold) -> dict[str, tuple[Recording, ...]]:
    """Divide the recordings into four disjoint splits; no recording is in two.

    Calibration takes one recording of each exercise from the training persons, going round persons and arms.
    """
    calibrating = {
        (of.train[exercise % len(of.train)], exercise, exercise % 2 == 0) for exercise in range(len(EXERCISES))
    }
    splits: dict[str, list[Recording]] = {"train": [], "validation": [], "calibration": [], "test": []}
    for recording in recordings():
        if recording.person in of.test:
            splits["test"].append(recording)
        elif recording.person in of.validation:
            splits["validation"].append(recording)
        elif (recording.person, recording.exercise, recording.right) in calibrating:
            splits["calibration"].append(recording)
        else:
            splits["train"].append(recording)
    return {name: tuple(members) for name, members in splits.items()}


def scale_of(train: Iterable[Recording]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation of each channel, `(6,)` float64 each, over every row of the training recordings."""
    import numpy as np

    rows = np.concatenate([recording.signal for recording in train])
    return rows.mean(axis=0), rows.std(axis=0)


def standardise(signal: NDArray[Any], mean: NDArray[Any], std: NDArray[Any]) -> NDArray[Any]:
    """Scale each channel to mean 0 and deviation 1 and clip at ±`CLIP`; any shape whose last axis is the channels."""
    import numpy as np

    scaled: NDArray[Any] = np.clip((signal - mean) / std, -CLIP, CLIP).astype(np.float32)
    return scaled


def windows(
    members: Iterable[Recording], mean: NDArray[Any], std: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Cut recordings into windows.

    Returns:
        `(n, 6, 1, 100)` float32 standardised rows, `(n,)` int64 exercise, `(n,)` int64 person.
    """
    import numpy as np

    rows, exercises, persons = [], [], []
    for recording in members:
        signal = standardise(recording.signal, mean, std)
        cut = np.lib.stride_tricks.sliding_window_view(signal, ROWS, axis=0)[::STEP]
        rows.append(cut)
        exercises.append(np.full(len(cut), recording.exercise, np.int64))
        persons.append(np.full(len(cut), recording.person, np.int64))
    x = np.ascontiguousarray(np.concatenate(rows)[:, :, None, :])
    return x, np.concatenate(exercises), np.concatenate(persons)

"""What a model source hands to the host: a network, its example input and its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:
    Array = Any  # importing numpy costs more than the rest of the command line together

SPLITS = ("train", "validation", "calibration", "test")

DataKind = Literal["", "images", "sensors", "text"]
"""`images` are `(n, channels, height, width)`, `sensors` `(n, channels, …, time)`, both prepared for the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, shape and numpy dtype name of one input or output; `None` is a free dimension."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows of data, ready to be fed to the model.

    Attributes:
        inputs: One array per model input, each `(n, …)` in the input's dtype.
        labels: `(n,)` int64 class indices; -1 marks a row without a label; `None` when no row has one.
        groups: `(n,)` int64, rows that are not independent of each other (one person, one picture) share a number.
    """

    inputs: tuple[Array, ...]
    labels: Array | None = None
    groups: Array | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A task's data: disjoint splits, loaded on demand.

    Attributes:
        name: Shown in reports, for example `watch (test: persons 3, 6, 9)`.
        sha256: Identity of the content, part of every cache key.
        metric: What quality means for this task; `top1` is accuracy of the arg-max class.
        splits: Name (one of `SPLITS`) to loader; a split that does not exist is left out.
        note: What a reader must know about the data, one sentence.
        kind: What a row is: decides which corruptions its robustness is tried with; "" when nobody knows.
        augment: `(inputs of a batch, random generator) -> inputs` varies training rows as the task allows, or None;
            arrays `(batch, …)` in and out, the given ones untouched. Its source takes part in the model's identity.
    """

    name: str
    sha256: str
    metric: str
    splits: Mapping[str, Callable[[], Split]]
    note: str = ""
    kind: DataKind = ""
    augment: Callable[[tuple[Array, ...], Any], tuple[Array, ...]] | None = None

    def split(self, name: str) -> Split | None:
        """Load one split, or return None when the data has no such split."""
        loader = self.splits.get(name)
        return loader() if loader else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A trained network as its source loads it, inside a build process.

    Attributes:
        name: Short name for reports.
        format: `module` for a live torch module, else a file format such as `onnx`.
        payload: The live module, or the `Path` of the file.
        inputs: Specs of the inputs, first dimension the batch (`None` where it is free).
        outputs: Names of the outputs, in order.
        example: One array per input, batch 1.
        data: The task's data, or None when the model brings none.
        preprocess: `(h, w, 3) uint8 RGB -> (c, h', w') float32`, for pictures that the user brings.
        sha256: Identity of architecture and weights, part of every cache key.
        note: Where it comes from and under which licence, one sentence.
    """

    name: str
    format: str
    payload: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    example: tuple[Array, ...]
    data: Data | None
    sha256: str
    preprocess: Callable[[Array], Array] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A line of `bench models`, made without loading anything heavy."""

    ref: str
    summary: str
    task: str
    licence: str
    available: bool = True
    reason: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

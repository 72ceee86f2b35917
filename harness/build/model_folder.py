"""The model folder: what later steps need of a model without loading it again.

`model.json` holds specs and facts; `example.<i>.npy` one input row; `<split>.x<i>.npy`, `<split>.y.npy` and
`<split>.groups.npy` the rows of validation, calibration and test. Training rows are read from the source by whoever
trains. Arrays are opened memory-mapped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.model import Data, Split, TensorSpec

if TYPE_CHECKING:
    from harness.model import Array, DataKind, Model

KEPT = ("validation", "calibration", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A model folder that was read.

    Attributes:
        rows: Rows of each split that was kept.
        has: What techniques may ask for: names of splits, and `labels`.
    """

    path: Path
    name: str
    sha256: str
    note: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    data_name: str
    data_note: str
    metric: str
    kind: DataKind
    rows: dict[str, int]
    has: tuple[str, ...]

    def example(self) -> tuple[Array, ...]:
        """One array per input, batch 1."""
        import numpy as np

        return tuple(np.load(self.path / f"example.{i}.npy") for i in range(len(self.inputs)))

    def data(self) -> Data:
        """The data that was kept; rows are memory-mapped."""
        splits = {name: partial(_load_split, self.path, name, len(self.inputs)) for name in self.rows}
        return Data(
            name=self.data_name,
            sha256=self.sha256,
            metric=self.metric,
            splits=splits,
            note=self.data_note,
            kind=self.kind,
        )


def write_model_folder(folder: Path, model: Model, data: Data) -> None:
    """Write a model's specs, example and data splits into an empty folder."""
    import numpy as np

    for i, array in enumerate(model.example):
        np.save(folder / f"example.{i}.npy", array)
    rows: dict[str, int] = {}
    has = sorted(data.splits)
    for name in KEPT:
        split = data.split(name)
        if split is None:
            continue
        rows[name] = len(split)
        if split.labels is not None and "labels" not in has:
            has.append("labels")
        for i, array in enumerate(split.inputs):
            np.save(folder / f"{name}.x{i}.npy", array)
        for suffix, column in (("y", split.labels), ("groups", split.groups)):
            if column is not None:
                np.save(folder / f"{name}.{suffix}.npy", column)
    facts = {
        "name": model.name,
        "sha256": model.sha256,
        "note": model.note,
        "inputs": [asdict(spec) for spec in model.inputs],
        "outputs": list(model.outputs),
        "data_name": data.name,
        "data_note": data.note,
        "metric": data.metric,
        "kind": data.kind,
        "rows": rows,
        "has": has,
    }
    (folder / "model.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def read_model_folder(folder: Path) -> ModelFolder:
    """Read what `write_model_folder` wrote."""
    facts: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    facts["inputs"] = tuple(TensorSpec(**{**s, "shape": tuple(s["shape"])}) for s in facts["inputs"])
    facts["outputs"] = tuple(facts["outputs"])
    facts["has"] = tuple(facts["has"])
    return ModelFolder(path=folder, **facts)


def _load_split(folder: Path, name: str, inputs: int) -> Split:
    import numpy as np

    def column(suffix: str) -> Array | None:
        path = folder / f"{name}.{suffix}.npy"
        return np.load(path) if path.is_file() else None

    rows = tuple(np.load(folder / f"{name}.x{i}.npy", mmap_mode="r") for i in range(inputs))
    return Split(inputs=rows, labels=column("y"), groups=column("groups"))

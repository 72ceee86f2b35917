"""Loads a user's .pte file as a `Model`: its inputs from the method, with a random example, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench_executorch.content import content_sha256
from bench_executorch.delegation import delegation
from bench_executorch.identity import HINT
from bench_executorch.network import network_of
from bench_executorch.program_file import blaming
from bench_executorch.program_file import load as load_program
from harness import ArtifactError, Model, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

    from bench_executorch.network import Value

EXAMPLE_SEED = 0
"""The example is part of the model, so it does not follow the seed of a run."""

DTYPES = {"fp32": "float32", "fp16": "float16", "fp64": "float64", "int8": "int8", "uint8": "uint8", "int16": "int16",
          "int32": "int32", "int64": "int64", "bool": "bool"}  # fmt: skip


def load(path: Path) -> Model:
    """Load and check a file.

    Raises:
        ArtifactError: The file is missing, empty or damaged; an input has no batch dimension or a batch of another
            number than 1.
    """
    program = load_program(path)
    with blaming(path):
        network = network_of(program)
    values = [network.values[index] for index in network.inputs]
    if not values or len(values) != len(program.plan["inputs"]):
        raise ArtifactError(f"{path}: the model has no inputs, or some that are no tensors", hint=HINT)
    inputs = tuple(_spec(value, path) for value in values)
    return Model(
        name=path.stem,
        format="pte",
        payload=path,
        inputs=inputs,
        outputs=tuple(network.values[index].name for index in network.outputs),
        example=_example(inputs),
        data=None,
        sha256=content_sha256(path),
        note=f"from {path.name}; its example input is random; {delegation(path)}",
    )


def _spec(value: Value, path: Path) -> TensorSpec:
    name = f"{path}: {value.name}"
    if not value.shape:
        raise ArtifactError(f"{name} is a scalar", hint="Export the model with the batch as first dimension.")
    if value.shape[0] != 1:
        raise ArtifactError(f"{name} has its batch fixed to {value.shape[0]}", hint="Export the model with batch 1.")
    if value.precision not in DTYPES:
        raise ArtifactError(f"{name} holds {value.precision}", hint="Export the model with float32 inputs.")
    return TensorSpec(name=value.name, shape=value.shape, dtype=DTYPES[value.precision])


def _example(inputs: tuple[TensorSpec, ...]) -> tuple[Any, ...]:
    """Standard normal numbers and small integers."""
    random = np.random.default_rng(EXAMPLE_SEED)
    arrays = []
    for spec in inputs:
        shape = tuple(dim or 1 for dim in spec.shape)
        if np.dtype(spec.dtype).kind == "f":
            arrays.append(random.standard_normal(shape).astype(spec.dtype))
        else:
            arrays.append(random.integers(0, 2, shape).astype(spec.dtype))
    return tuple(arrays)

"""Loads a user's .tflite file as a `Model`: opened once, with a random example, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench_litert.content import content_sha256
from bench_litert.delegation import delegation
from bench_litert.identity import HINT
from bench_litert.network import network_of
from bench_litert.schema_file import as_text, blaming
from bench_litert.schema_file import load as load_schema
from harness import ArtifactError, Model, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE_SEED = 0
"""The example is part of the model, so it does not follow the seed of a run."""

DTYPES = {"fp32": "float32", "fp16": "float16", "fp64": "float64", "int8": "int8", "uint8": "uint8", "int16": "int16",
          "int32": "int32", "int64": "int64", "bool": "bool"}  # fmt: skip


def load(path: Path) -> Model:
    """Load and check a file; an input that it takes in integers with a scale is a float here.

    Raises:
        ArtifactError: The file is missing, empty, damaged or does not open; an input has no batch dimension, a batch
            fixed to another number than 1, a free dimension after the batch, or holds text.
    """
    model = load_schema(path)
    with blaming(path):
        network = network_of(model)
    tensors = [network.values[index].tensor for index in network.inputs]
    if not tensors:
        raise ArtifactError(f"{path}: the model has no inputs", hint=HINT)
    inputs = tuple(_spec(network.values[index], path) for index in network.inputs)
    return Model(
        name=path.stem,
        format="tflite",
        payload=path,
        inputs=inputs,
        outputs=tuple(network.values[index].name for index in network.outputs),
        example=_example(inputs, tensors),
        data=None,
        sha256=content_sha256(path),
        note=f"from {path.name}; its example input is random; {delegation(path)}",
    )


def _spec(value: Any, path: Path) -> TensorSpec:
    name = f"{path}: input {as_text(value.tensor.name)!r}"
    free = value.tensor.shapeSignature
    shape = tuple(
        None if free is not None and len(free) == len(value.shape) and free[axis] < 0 else size
        for axis, size in enumerate(value.shape)
    )
    if not shape:
        raise ArtifactError(f"{name} is a scalar", hint="Convert the model with the batch as first dimension.")
    if shape[0] not in {None, 1}:
        raise ArtifactError(f"{name} has its batch fixed to {shape[0]}", hint="Convert the model with batch 1.")
    if None in shape[1:]:
        raise ArtifactError(
            f"{name} has free dimensions after the batch: {shape}", hint="Convert the model with fixed dimensions."
        )
    if value.precision not in DTYPES:
        raise ArtifactError(f"{name} holds {value.precision}, not numbers", hint=HINT)
    return TensorSpec(name=value.name, shape=shape, dtype="float32" if value.quantised else DTYPES[value.precision])


def _example(inputs: tuple[TensorSpec, ...], tensors: list[Any]) -> tuple[Any, ...]:
    """Standard normal numbers, small integers, and for quantised inputs numbers from the range that they hold."""
    random = np.random.default_rng(EXAMPLE_SEED)
    arrays = []
    for spec, tensor in zip(inputs, tensors, strict=True):
        shape = tuple(dim or 1 for dim in spec.shape)
        scales = None if tensor.quantization is None else tensor.quantization.scale
        if scales is not None and len(scales):
            steps = random.integers(-128, 128, shape)  # around the middle of eight bits, whatever their sign
            arrays.append((steps * float(scales[0])).astype(spec.dtype))
        elif np.dtype(spec.dtype).kind == "f":
            arrays.append(random.standard_normal(shape).astype(spec.dtype))
        else:
            arrays.append(random.integers(0, 2, shape).astype(spec.dtype))
    return tuple(arrays)

"""Loads a user's ONNX file as a `Model`: checked, with a random example, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_onnx.content import content_sha256
from bench_onnx.identity import HINT
from bench_onnx.model_file import feeds, load_model
from harness import ArtifactError, Model, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import onnx
    from numpy.typing import NDArray

EXAMPLE_SEED = 0
"""The example is part of the model, so it does not follow the seed of a run."""


def load(path: Path) -> Model:
    """Load and check a file.

    Raises:
        ArtifactError: The file is missing, empty or not valid ONNX; an input has an unknown rank, no batch dimension,
            a batch fixed to another number than 1, a free dimension after the batch, or elements that are no numbers.
    """
    proto = load_model(path)
    inputs = tuple(_spec(value, path) for value in feeds(proto.graph))
    _check(path)  # after the inputs, of which it says less
    if not inputs:
        raise ArtifactError(f"{path}: the model has no inputs", hint=HINT)
    return Model(
        name=path.stem,
        format="onnx",
        payload=path,
        inputs=inputs,
        outputs=tuple(value.name for value in proto.graph.output),
        example=_example(inputs),
        data=None,
        sha256=content_sha256(path),
        note=f"from {path.name}; its example input is random (standard normal numbers, small integers)",
    )


def _check(path: Path) -> None:
    import onnx

    try:
        onnx.checker.check_model(path)
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"{path}: not a valid ONNX model ({' '.join(str(error).split())})", hint=HINT) from error


def _spec(value: onnx.ValueInfoProto, path: Path) -> TensorSpec:
    import numpy as np
    from onnx.helper import tensor_dtype_to_np_dtype

    tensor = value.type.tensor_type
    name = f"{path}: input {value.name!r}"
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        raise ArtifactError(f"{name} has an unknown rank", hint="Export the model with the shapes of its inputs.")
    shape = tuple(d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim)
    if not shape:
        raise ArtifactError(f"{name} is a scalar", hint="Export the model with the batch as first dimension.")
    if shape[0] not in {None, 1}:
        raise ArtifactError(
            f"{name} has its batch fixed to {shape[0]}", hint="Export with a dynamic batch or with batch 1."
        )
    if None in shape[1:]:
        free = [d.dim_param or "?" for d in tensor.shape.dim][1:]
        fixed = " ".join(f"--dim_param {d} --dim_value N" for d in free if d != "?")
        raise ArtifactError(
            f"{name} has free dimensions after the batch: {value_shape(tensor)}",
            hint=f"Fix them: python -m onnxruntime.tools.make_dynamic_shape_fixed {fixed} {path} fixed.onnx",
        )
    dtype = np.dtype(tensor_dtype_to_np_dtype(tensor.elem_type))
    if dtype.kind not in "fiub":
        raise ArtifactError(f"{name} holds {dtype}, not numbers", hint="Export the model without its text processing.")
    return TensorSpec(name=value.name, shape=shape, dtype=dtype.name)


def value_shape(tensor: onnx.TypeProto.Tensor) -> str:
    """A shape as text, free dimensions by name."""
    return "×".join(str(d.dim_value) if d.dim_value > 0 else d.dim_param or "?" for d in tensor.shape.dim)


def _example(inputs: tuple[TensorSpec, ...]) -> tuple[NDArray[np.generic], ...]:
    import numpy as np

    random = np.random.default_rng(EXAMPLE_SEED)
    arrays = []
    for spec in inputs:
        shape = tuple(dim or 1 for dim in spec.shape)
        whole = np.dtype(spec.dtype).kind != "f"
        values = random.integers(0, 2, shape) if whole else random.standard_normal(shape)
        arrays.append(values.astype(spec.dtype))
    return tuple(arrays)

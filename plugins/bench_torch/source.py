"""Loads a user's .pt2 or TorchScript file as a `Model`: with a random example, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench_torch.archive import check
from bench_torch.content import hash_program
from bench_torch.export import run
from bench_torch.program import load_program, one_line
from bench_torch.script_content import hash_script
from bench_torch.script_file import HOW, inputs_of, load_script
from harness import ArtifactError, HarnessError, Model, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE_SEED = 0
"""The example is part of the model, so it does not follow the seed of a run."""

NOTE = "its example input is random (standard normal numbers, small integers)"


def load_pt2(path: Path) -> Model:
    """Load and check an exported program.

    Raises:
        ArtifactError: The file is missing, damaged or something else, an input is no tensor of numbers, has no batch
            dimension, a batch fixed to another number than 1 or a free dimension after it, or the program does not run.
    """
    check(path, "pt2")
    program = load_program(path)
    names = tuple(program.graph_signature.user_inputs)
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    specs = tuple(_program_spec(name, values.get(str(name)), path) for name in names)
    return _model(path, "pt2", specs, program.module(check_guards=False), hash_program(program))


def load_torchscript(path: Path) -> Model:
    """Load and check a TorchScript file, whose inputs must be said in it or recorded when it was traced.

    Raises:
        ArtifactError: As for `load_pt2`, or the file does not say the shapes of its inputs.
    """
    loaded = load_script(path)
    return _model(path, "torchscript", inputs_of(path), loaded.module, hash_script(path))


def _model(path: Path, fmt: str, specs: tuple[TensorSpec, ...], network: Any, sha256: str) -> Model:
    for spec in specs:
        _check(spec, path)
    if not specs:
        raise ArtifactError(f"{path}: the network has no inputs", hint="Save one whose forward takes tensors.")
    example = _example(specs)
    try:
        outputs = run(network, tuple(torch.from_numpy(array) for array in example))
    except HarnessError:
        raise
    except Exception as exc:
        shapes = ", ".join(f"{array.dtype} {array.shape}" for array in example)
        raise ArtifactError(
            f"{path}: the network does not run on {shapes}: {one_line(exc)}",
            hint=HOW if fmt == "torchscript" else "Export it with batch 1 or a free batch.",
        ) from exc
    return Model(
        name=path.stem,
        format=fmt,
        payload=path,
        inputs=specs,
        outputs=("output",) if len(outputs) == 1 else tuple(f"output_{place}" for place in range(len(outputs))),
        example=example,
        data=None,
        sha256=sha256,
        note=f"from {path.name}; {NOTE}",
    )


def _program_spec(name: object, value: Any, path: Path) -> TensorSpec:
    if not isinstance(value, torch.Tensor):
        raise ArtifactError(
            f"{path}: input {name!r} is no tensor", hint="Export a module whose forward takes tensors alone."
        )
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return TensorSpec(name=str(name), shape=shape, dtype=str(value.dtype).removeprefix("torch."))


def _check(spec: TensorSpec, path: Path) -> None:
    name = f"{path}: input {spec.name!r}"
    if not spec.shape:
        raise ArtifactError(f"{name} is a scalar", hint="Save the network with the batch as first dimension.")
    if spec.shape[0] not in {None, 1}:
        raise ArtifactError(
            f"{name} has its batch fixed to {spec.shape[0]}", hint="Save it with batch 1, or export with a free batch."
        )
    if None in spec.shape[1:]:
        raise ArtifactError(
            f"{name} has free dimensions after the batch: {spec.shape}", hint="Save it with fixed dimensions."
        )
    if not _is_numpy(spec.dtype):
        raise ArtifactError(f"{name} holds {spec.dtype}", hint="Take inputs in float32 or whole numbers.")


def _is_numpy(name: str) -> bool:
    try:
        return np.dtype(name).kind in "fiub"
    except TypeError:
        return False


def _example(specs: tuple[TensorSpec, ...]) -> tuple[Any, ...]:
    random = np.random.default_rng(EXAMPLE_SEED)
    arrays = []
    for spec in specs:
        shape = tuple(dim or 1 for dim in spec.shape)
        whole = np.dtype(spec.dtype).kind != "f"
        values = random.integers(0, 2, shape) if whole else random.standard_normal(shape)
        arrays.append(values.astype(spec.dtype))
    return tuple(arrays)

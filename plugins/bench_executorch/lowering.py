"""From a program in memory to a .pte file for XNNPACK, checked against the program, batch 1."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_executorch.one_line import one_line
from bench_executorch.session import ExecuTorchSession
from harness import ArtifactError, BuildContext, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TOLERANCE = 1e-3
"""Largest error in float32, relative to how far the output moves with the input: another order of additions stays
below 1e-5 of it, a layer that is wrong or missing above 1e-2."""

HALF = 5e-2
"""The same in half precision, whose every rounding costs up to 2^-11 and whose layers add up."""

FLIPPED = 0.25
"""The same of a quantised program. Another order of additions sends values that lie between two steps of 8 bits to the
other one, and every layer adds to that; the last layer's result is rounded to 8 bits too. Wrong is above 0.5."""

ROUNDING = {TOLERANCE: 2.0**-18, HALF: 2.0**-8, FLIPPED: 2.0**-6}
"""Relative to the output itself: 64 roundings of float32 (2^-24 each), 8 of float16 (2^-11), 4 of 256 steps."""


def load_program(path: Path) -> Any:
    """Read an exported program.

    Raises:
        ArtifactError: It is missing or damaged.
    """
    import torch
    import torch.ao.quantization.fx._decomposed  # operators of quantised programs, which torch does not load itself

    hint = "Build the variant again, or delete it from the cache (`bench cache`)."
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise ArtifactError(f"{path} is not an exported program", hint=hint)
    try:
        return torch.export.load(path)
    except Exception as exc:
        raise ArtifactError(f"{path} cannot be read as an exported program: {one_line(exc)}", hint=hint) from exc


def tensors_of(arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Arrays as tensors of their own."""
    import torch

    return tuple(torch.from_numpy(np.array(array, order="C")) for array in arrays)


def with_batch_1(program: Any, example: tuple[Any, ...]) -> Any:
    """The program's graph as a module, its batch bound to that of the example and its means as XNNPACK takes them.

    Raises:
        ArtifactError: It does not take the example.
    """
    import torch

    from bench_executorch.pooling import keep_axes

    try:
        module = torch.export.export(program.module(check_guards=False), example).module(check_guards=False)
    except Exception as exc:
        raise ArtifactError(f"the program does not take its own example: {one_line(exc)}") from exc
    keep_axes(module)
    return module


def lower(module: Any, example: tuple[Any, ...], target: Path) -> None:
    """Write a module as a program of which XNNPACK has what it can take.

    Its inputs have no memory of their own: the caller's is read, and stays as it is.

    Raises:
        ArtifactError: ExecuTorch's exporter fails.
    """
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import (  # type: ignore[import-untyped]
        XnnpackPartitioner,
    )
    from executorch.exir import (  # type: ignore[import-untyped]
        ExecutorchBackendConfig,
        to_edge_transform_and_lower,
    )
    from executorch.exir.passes import MemoryPlanningPass  # type: ignore[import-untyped]

    try:
        with torch.no_grad():
            edge = to_edge_transform_and_lower(torch.export.export(module, example), partitioner=[XnnpackPartitioner()])
            planning = MemoryPlanningPass(alloc_graph_input=False)
            program = edge.to_executorch(ExecutorchBackendConfig(memory_planning_pass=planning))
    except Exception as exc:
        raise ArtifactError(
            f"ExecuTorch's exporter fails: {one_line(exc)}",
            hint="Run this variant on another backend; not every operator of torch can be lowered.",
        ) from exc
    target.write_bytes(program.buffer)


def run(module: Any, example: tuple[Any, ...]) -> tuple[Any, ...]:
    """Outputs of a module as arrays of float64.

    Raises:
        UnsupportedError: They are no tensors.
    """
    import torch

    with torch.no_grad():
        result = module(*example)
    outputs = (result,) if isinstance(result, torch.Tensor) else result
    if not isinstance(outputs, tuple | list) or not all(isinstance(each, torch.Tensor) for each in outputs):
        raise UnsupportedError(
            f"the program returns {type(result).__name__}, not a tensor or a tuple of tensors",
            hint="Wrap it in a module whose forward returns tensors.",
        )
    return tuple(each.double().numpy() for each in outputs)


def compare(path: Path, module: Any, context: BuildContext, tolerance: float = TOLERANCE) -> str:
    """Say how far the file's outputs on the example are from the module's; raise ArtifactError when that is too far.

    The error is held against the output's movement when every input is turned back to front: held against the output
    itself, a last layer with a large bias would hide any error before it.
    """
    example = tensors_of(context.example)
    expected = run(module, example)
    got = _outputs(path, context)
    if [each.shape for each in got] != [each.shape for each in expected]:
        shapes = f"{[each.shape for each in got]} instead of {[each.shape for each in expected]}"
        raise ArtifactError(f"the ExecuTorch program gives outputs of shape {shapes}")
    error, size, moved = _distance(got, expected), _norm(expected), _movement(module, example, expected)
    line = f"ExecuTorch: relative error {error / (moved or size or 1.0):.2g} against the program"
    if not error <= tolerance * (moved or size) + ROUNDING[tolerance] * size:  # so that NaN fails too
        raise ArtifactError(
            f"{line}; at most {tolerance:g} is allowed", hint="The exporter changed the network; it is not used."
        )
    return line


def _outputs(path: Path, context: BuildContext) -> tuple[Any, ...]:
    session = ExecuTorchSession(path, context.threads)
    try:
        session.bind(context.example)()
        return session.outputs()
    finally:
        session.close()


def _movement(module: Any, example: tuple[Any, ...], expected: tuple[Any, ...]) -> float:
    """How far the output moves when every input is turned back to front; 0 when the program does not take that."""
    try:
        turned = run(module, tuple(each.flatten().flip(0).reshape(each.shape) for each in example))
    except (RuntimeError, IndexError, ValueError):
        return 0.0
    return _distance(turned, expected)


def _distance(left: Sequence[Any], right: Sequence[Any]) -> float:
    return _norm([a - b for a, b in zip(left, right, strict=True)])


def _norm(arrays: Sequence[Any]) -> float:
    return float(np.linalg.norm(np.concatenate([np.asarray(each, np.float64).ravel() for each in arrays])))

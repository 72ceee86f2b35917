"""From a checkpoint to an exported program whose batch is free, checked against the module."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from bench_torch.checkpoint import as_tensors, load
from bench_torch.program import one_line
from harness import ArtifactError, BuildContext, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

Tensors = tuple[torch.Tensor, ...]

TOLERANCE = 1e-3
"""Largest error in float32, relative to how far the output moves with the input: another order of additions stays
below 1e-5 of it, a layer that is wrong or missing above 1e-2."""

HALF_TOLERANCE = 2e-2
"""The same where weights have 16 bits: one rounding costs up to 2^-11 (float16) or 2^-8 (bfloat16), and runtimes
differ in where they round."""

ROUNDING = 2.0**-18
"""Relative to the output itself: 64 roundings of float32 (2^-24 each), never an error."""

HALF_ROUNDING = 2.0**-8
"""The same for 16 bits: 8 roundings of float16."""

ASLEEP = 1e-2
"""Below this share of the output moving with the input, an agreement of outputs says little about the layers before
the last bias. Networks with untrained weights are like that."""

Note = Callable[[str], None]


def convert(path: Path, context: BuildContext) -> Path:
    """Converter `checkpoint → pt2`; raises ArtifactError when the module cannot be exported or gives other numbers."""
    module, _ = load(path)
    program = export_program(module, as_tensors(context.example), context.inputs, context.note)
    target = context.workdir / "model.pt2"
    torch.export.save(program, target)
    return target


def export_program(module: nn.Module, example: Tensors, inputs: tuple[TensorSpec, ...], note: Note) -> ExportedProgram:
    """Export a module with a free batch where its inputs have one, else (with a note) with batch 1.

    A free batch is traced at 2, since torch specialises on 0 and 1, and is named `batch` for all inputs together.
    """
    if any(spec.shape[0] is None for spec in inputs):
        batch = Dim("batch")
        free = tuple({0: batch} if spec.shape[0] is None else None for spec in inputs)
        # By parameter name, so that a forward of `*args` gets its shapes as one tuple.
        shapes = dict(inspect.signature(module.forward).bind(*free).arguments)
        doubled = tuple(torch.cat([t, t]) if s.shape[0] is None else t for t, s in zip(example, inputs, strict=True))
        try:
            program = torch.export.export(module, doubled, dynamic_shapes=shapes)
            note(compare("torch.export", run(program.module(), example), module, example))
        except Exception as exc:  # noqa: BLE001  torch.export raises whatever the module's own code raises
            note(f"exported with batch 1 only, a free batch fails: {one_line(exc)}")
        else:
            return program
    try:
        program = torch.export.export(module, example)
    except Exception as exc:
        raise ArtifactError(
            f"torch.export cannot export {type(module).__name__}: {one_line(exc)}",
            hint="Its forward must not branch on values of tensors; see docs.pytorch.org/docs/stable/export.html.",
        ) from exc
    note(compare("torch.export", run(program.module(), example), module, example))
    return program


def run(module: nn.Module, example: Tensors) -> Tensors:
    """Run a module without gradients; its outputs as a flat tuple, raises ArtifactError when they are no tensors."""
    with torch.no_grad():
        result = module(*example)
    outputs = (result,) if isinstance(result, torch.Tensor) else result
    if not isinstance(outputs, tuple | list) or not all(isinstance(item, torch.Tensor) for item in outputs):
        raise ArtifactError(
            f"{type(module).__name__} returns {type(result).__name__}, not a tensor or a tuple of tensors",
            hint="Wrap it in a module whose forward returns tensors.",
        )
    return tuple(outputs)


def compare(
    what: str, got: Tensors, module: nn.Module, example: Tensors, limits: tuple[float, float] | None = None
) -> str:
    """Say how far outputs on the example are from the module's; raises ArtifactError when that is too far.

    Limits are the largest error relative to the output's movement and, added to it, relative to the output; by default
    as far as another order of additions in the type of the module's weights may lead.

    The error is the L2 norm of the difference. It is held against the L2 norm of the output's movement: the output on
    the example minus that on the example back to front. Held against the output itself, a last layer with a large
    bias would hide any error before it.
    """
    expected = run(module, example)
    if [tuple(t.shape) for t in got] != [tuple(t.shape) for t in expected]:
        shapes = f"{[tuple(t.shape) for t in got]} instead of {[tuple(t.shape) for t in expected]}"
        raise ArtifactError(f"{what} gives outputs of shape {shapes}")
    half = any(p.dtype in {torch.float16, torch.bfloat16} for p in module.parameters())
    tolerance, rounding = limits or ((HALF_TOLERANCE, HALF_ROUNDING) if half else (TOLERANCE, ROUNDING))
    error, size, moved = _distance(got, expected), _norm(expected), _movement(module, example, expected)
    largest = max((float((a.double() - b.double()).abs().max()) for a, b in zip(got, expected, strict=True)), default=0)
    line = f"{what}: max abs error {largest:.2g}, relative {error / (moved or size or 1.0):.2g}, against the module"
    if not error <= tolerance * moved + rounding * size:  # so that NaN fails too
        raise ArtifactError(
            f"{line}; at most {tolerance:.0e} is allowed", hint="The export changed the network; it is not used."
        )
    if moved < ASLEEP * size:
        return f"{line} (weak evidence: only {moved / size:.1g} of the output depends on the input)"
    return line


def _movement(module: nn.Module, example: Tensors, expected: Tensors) -> float:
    """How far the output moves when every input is turned back to front; 0 when the module does not take that."""
    try:
        turned = run(module, tuple(t.flatten().flip(0).reshape(t.shape) for t in example))
        return _distance(turned, expected)
    except (RuntimeError, IndexError, ValueError, ArtifactError):  # lengths, masks: not every input can be turned
        return 0.0


def _distance(left: Tensors, right: Tensors) -> float:
    return _norm(tuple(a.double() - b.double() for a, b in zip(left, right, strict=True)))


def _norm(tensors: Tensors) -> float:
    return float(torch.linalg.vector_norm(torch.cat([t.double().flatten() for t in tensors])))

"""From an exported program to ONNX: the way of what comes out of a module as a program, such as a quantised one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_torch.checkpoint import as_tensors
from bench_torch.export import compare
from bench_torch.onnx_export import export, run_onnx, save
from bench_torch.onnx_quantised import finish, is_quantised
from bench_torch.program import load_program

if TYPE_CHECKING:
    from pathlib import Path

    from harness import BuildContext

FLIPPED = (0.25, 2.0**-8)
"""Largest error of a quantised file, relative to the output's movement and, added to it, to the output.

Another order of additions sends values that lie between two steps of 8 bits to the other one, and every layer adds to
that: up to 0.06 on small networks with random weights, 0.002 on a trained one. A layer that is wrong or missing is
above 0.5.
"""


def convert(path: Path, context: BuildContext) -> Path:
    """Converter `pt2 → onnx`; raises ArtifactError when the exporter fails or the file gives other numbers."""
    program = load_program(path)
    model = export(program, context)
    quantised = is_quantised(model)
    if quantised:
        finish(model, context.note)
    target = save(model, context)
    module, example = program.module(), as_tensors(context.example)
    if quantised:
        # Without fusion: what integer kernels make of it depends on the processor, and is judged by accuracy.
        outputs = run_onnx(target, context.example, optimised=False)
        context.note(compare("QDQ ONNX", outputs, module, example, FLIPPED))
    else:
        context.note(compare("ONNX", run_onnx(target, context.example), module, example))
    return target

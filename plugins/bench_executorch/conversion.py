"""`pt2 → pte`: an exported program for XNNPACK, batch 1, inputs in the program's order and layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench_executorch.calibration import rows_of
from bench_executorch.delegation import delegation
from bench_executorch.lowering import (
    FLIPPED,
    TOLERANCE,
    compare,
    load_program,
    lower,
    run,
    tensors_of,
    with_batch_1,
)
from harness import BuildContext, silenced

if TYPE_CHECKING:
    from pathlib import Path

RANGE_ROWS = 128
"""Rows that give the range of a last layer, as many as int8-static takes."""


def convert(path: Path, context: BuildContext) -> Path:
    """Convert an exported program; one of simulated int8 becomes one in integers, its last layer included.

    Raises:
        ArtifactError: The program cannot be read, the exporter fails, or the file gives other numbers.
        UnsupportedError: The program takes or gives something that is no tensor.
    """
    target = context.workdir / "model.pte"
    with silenced():  # torchao and ExecuTorch warn when they are imported
        from bench_executorch.padding import pad_in_integers
        from bench_executorch.simulated_int8 import is_simulated, prepare

        program = load_program(path)
        example = tensors_of(context.example)
        run(program.module(check_guards=False), example)
        module = with_batch_1(program, example)
        notes: tuple[str, ...] = ()
        tolerance = TOLERANCE
        if is_simulated(module):
            notes, tolerance = prepare(module, _calibration(context)), FLIPPED
            pad_in_integers(module)
        lower(module, example, target)
        line = compare(target, program.module(check_guards=False), context, tolerance)
    for note in (*notes, line, f"batch 1 only; {delegation(target)}"):
        context.note(note)
    return target


def _calibration(context: BuildContext) -> list[tuple[Any, ...]]:
    """Rows of batch 1 for what a program leaves without a range; none where the data has none."""
    split = context.data.split("calibration") if context.data is not None else None
    return [] if split is None or len(split) == 0 else rows_of(split, RANGE_ROWS, context.example)

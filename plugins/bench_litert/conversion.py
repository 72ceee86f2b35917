"""`pt2 → tflite`: an exported program by LiteRT's own converter, batch 1, inputs in the program's order and layout."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_litert.delegation import delegation
from bench_litert.session import LiteRtSession
from harness import ArtifactError, BuildContext, NoOptions, SessionOptions, UnsupportedError, silenced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TOLERANCE = 1e-3
"""Largest error in float32, relative to how far the output moves with the input: another order of additions stays
below 1e-5 of it, a layer that is wrong or missing above 1e-2."""

FLIPPED = 0.25
"""The same of a quantised program. Another order of additions sends values that lie between two steps of 8 bits to the
other one, and every layer adds to that; the last layer's result is rounded to 8 bits too. Wrong is above 0.5."""

ROUNDING = 2.0**-18
"""Relative to the output itself: 64 roundings of float32 (2^-24 each)."""

COARSE = 2.0**-6
"""The same of a result in 8 bits: up to four of its 256 steps."""


def convert(path: Path, context: BuildContext) -> Path:
    """Convert an exported program; one of simulated int8 becomes a file in integers, its last layer included.

    Raises:
        ArtifactError: The program cannot be read, the converter fails, or the file gives other numbers.
        UnsupportedError: The program takes or gives something that is no tensor.
    """
    with silenced():  # torchao and jax warn when they are imported
        import torch

        from bench_litert.simulated_int8 import is_simulated, prepare

        program = _load(path)
        module = program.module(check_guards=False)
        example = tuple(torch.from_numpy(np.array(array, order="C")) for array in context.example)
        expected = _run(module, example)
        moved = _movement(module, example, expected)
        simulated = is_simulated(module)
        notes = prepare(module, _calibration(context)) if simulated else ()
        target = context.workdir / "model.tflite"
        try:
            _export(module, example, target, simulated=simulated)
        except Exception as exc:
            raise ArtifactError(
                f"LiteRT's converter fails: {_one_line(exc)}",
                hint="Run this variant on another backend; not every operator of torch can be converted.",
            ) from exc
    for line in notes:
        context.note(line)
    context.note(_compare(target, context, expected, moved, simulated=simulated))
    context.note(f"batch 1 only; {delegation(target)}")
    return target


def _load(path: Path) -> Any:
    import torch
    import torch.ao.quantization.fx._decomposed  # operators of quantised programs, which torch does not load itself

    hint = "Build the variant again, or delete it from the cache (`bench cache`)."
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise ArtifactError(f"{path} is not an exported program", hint=hint)
    try:
        return torch.export.load(path)
    except Exception as exc:
        raise ArtifactError(f"{path} cannot be read as an exported program: {_one_line(exc)}", hint=hint) from exc


def _export(module: Any, example: tuple[Any, ...], target: Path, *, simulated: bool) -> None:
    import litert_torch  # type: ignore[import-untyped]

    config = None
    if simulated:
        from litert_torch.quantize.pt2e_quantizer import (  # type: ignore[import-untyped]
            PT2EQuantizer,
            get_symmetric_quantization_config,
        )
        from litert_torch.quantize.quant_config import QuantConfig  # type: ignore[import-untyped]

        # Only says that the program is quantised statically; which operators are, it says itself.
        static = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
        config = QuantConfig(pt2e_quantizer=PT2EQuantizer().set_global(static))
    litert_torch.convert(module, example, quant_config=config).export(str(target))


def _calibration(context: BuildContext) -> Sequence[tuple[Any, ...]]:
    """Rows of batch 1 for what a program leaves without a range; none where the data has none."""
    import torch

    from bench_litert.calibration import rows_of

    split = context.data.split("calibration") if context.data is not None else None
    if split is None or len(split) == 0:
        return ()
    return [
        tuple(torch.from_numpy(np.array(array[row : row + 1])) for array in split.inputs)
        for row in rows_of(split, RANGE_ROWS)
    ]


RANGE_ROWS = 128
"""Rows that give the range of a last layer, as many as int8-static takes."""


def _run(module: Any, example: tuple[Any, ...]) -> tuple[Any, ...]:
    """Outputs of a program as arrays of float64."""
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


def _movement(module: Any, example: tuple[Any, ...], expected: tuple[Any, ...]) -> float:
    """How far the output moves when every input is turned back to front; 0 when the program does not take that."""
    try:
        turned = _run(module, tuple(each.flatten().flip(0).reshape(each.shape) for each in example))
    except (RuntimeError, IndexError, ValueError):
        return 0.0
    return _distance(turned, expected)


def _compare(path: Path, context: BuildContext, expected: tuple[Any, ...], moved: float, *, simulated: bool) -> str:
    """Say how far the file's outputs on the example are from the program's; raise ArtifactError when that is too far.

    The error is held against the output's movement: held against the output itself, a last layer with a large bias
    would hide any error before it.
    """
    session = LiteRtSession(path, SessionOptions(threads=context.threads, options=NoOptions(), inputs=context.inputs))
    try:
        session.bind(context.example)()
        got = session.outputs()
    finally:
        session.close()
    if [each.shape for each in got] != [each.shape for each in expected]:
        shapes = f"{[each.shape for each in got]} instead of {[each.shape for each in expected]}"
        raise ArtifactError(f"the LiteRT file gives outputs of shape {shapes}")
    error, size = _distance(got, expected), _norm(expected)
    tolerance, rounding = (FLIPPED, COARSE) if simulated else (TOLERANCE, ROUNDING)
    line = f"LiteRT: relative error {error / (moved or size or 1.0):.2g} against the exported program"
    if not error <= tolerance * (moved or size) + rounding * size:  # so that NaN fails too
        raise ArtifactError(
            f"{line}; at most {tolerance:g} is allowed", hint="The converter changed the network; it is not used."
        )
    return line


def _distance(left: Sequence[Any], right: Sequence[Any]) -> float:
    return _norm([a - b for a, b in zip(left, right, strict=True)])


def _norm(arrays: Sequence[Any]) -> float:
    return float(np.linalg.norm(np.concatenate([np.asarray(each, np.float64).ravel() for each in arrays])))


def _one_line(exc: BaseException, limit: int = 240) -> str:
    text = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {text[:limit]}" if text else type(exc).__name__

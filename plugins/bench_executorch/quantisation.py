"""`int8-static` and `int8-dynamic` on exported programs, by torchao's PT2E and ExecuTorch's `XNNPACKQuantizer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench_executorch.calibration import rows_of, split_of
from bench_executorch.delegation import delegation
from bench_executorch.lowering import FLIPPED, compare, load_program, lower, run, tensors_of, with_batch_1
from bench_executorch.one_line import one_line
from bench_executorch.reader import read
from harness import ArtifactError, BuildContext, UnsupportedError, silenced

if TYPE_CHECKING:
    from pathlib import Path


def quantise_static(path: Path, options: Any, context: BuildContext) -> Path:
    """Quantise a float program with ranges from the calibration rows; inputs and outputs stay float.

    Raises:
        ArtifactError: No calibration rows, rows that do not fit the model, or a program that cannot be read or lowered.
        UnsupportedError: An option out of its range, or a program that is quantised already.
    """
    if options.samples < 1:
        raise UnsupportedError(f"samples={options.samples}: at least one row is needed", hint="Take 100 or more.")
    split = split_of(context)
    rows = rows_of(split, options.samples, context.example)
    target = context.workdir / "int8-static.pte"
    corrected = 0
    with silenced():
        from bench_executorch.bias_correction import correct_biases, layer_means
        from bench_executorch.padding import pad_in_integers
        from bench_executorch.quantizer import Int8Quantizer, has_attention

        module, example, _ = load_float(path, context)
        attention = has_attention(module)
        quantizer = Int8Quantizer(
            per_channel=options.per_channel,
            symmetric_activations=options.symmetric_activations,
            products_only=attention,
        )
        prepared = _prepared(module, quantizer)
        means = layer_means(prepared, rows)
        converted = _converted(prepared)
        if options.correct_biases:
            corrected = correct_biases(converted, means)
        pad_in_integers(converted)
        lower(converted, example, target)
        line = compare(target, converted, context, FLIPPED)
    context.note(f"calibrated on {len(rows)} of {len(split)} rows, method minmax")
    context.note(coverage(target))
    if attention:
        context.note("quantised as a transformer: products alone, all between them in float")
    if options.correct_biases:
        context.note(f"biases corrected: {corrected}")
    context.note(line)
    context.note(f"batch 1 only; {delegation(target)}")
    return target


def quantise_dynamic(path: Path, options: Any, context: BuildContext) -> Path:
    """Quantise the weights of a float program's layers, and their data at every inference by its own range.

    Raises:
        ArtifactError: The program cannot be read or lowered.
        UnsupportedError: It is quantised already, or holds no layer of the chosen kind.
    """
    target = context.workdir / "int8-dynamic.pte"
    with silenced():
        import torch
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (  # type: ignore[import-untyped]
            XNNPACKQuantizer,
            get_symmetric_quantization_config,
        )

        module, example, _ = load_float(path, context)
        config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
        quantizer = XNNPACKQuantizer()
        if options.operators == "linear":
            quantizer.set_operator_type(torch.ops.aten.linear.default, config)
        else:
            quantizer.set_global(config)
        prepared = _prepared(module, quantizer)
        with torch.no_grad():
            prepared(*example)
        converted = _converted(prepared)
        lower(converted, example, target)
        line = compare(target, converted, context, FLIPPED)
    if not read(target).int8_macs_share:
        advice = 'Take int8-dynamic(operators="all") or int8-static.' if options.operators == "linear" else ""
        raise UnsupportedError(f"int8-dynamic({options.operators}) found nothing that XNNPACK quantises", hint=advice)
    for note in (coverage(target), line, f"batch 1 only; {delegation(target)}"):
        context.note(note)
    return target


def load_float(path: Path, context: BuildContext) -> tuple[Any, tuple[Any, ...], Any]:
    """A float program bound to batch 1, the example as tensors, and the program as it was.

    Raises:
        ArtifactError: It cannot be read.
        UnsupportedError: It is quantised already.
    """
    from bench_executorch.simulated_int8 import is_simulated

    program = load_program(path)
    example = tensors_of(context.example)
    original = program.module(check_guards=False)
    run(original, example)
    module = with_batch_1(program, example)
    if is_simulated(module):
        raise UnsupportedError(
            "the program is quantised already", hint="Leave one of the two techniques out of the recipe."
        )
    return module, example, original


def coverage(path: Path) -> str:
    """How many of the layers are int8, as a line of a lineage."""
    graph = read(path)
    layers = [op for op in graph.operators if op.macs]
    int8 = sum(op.precision == "int8" for op in layers)
    line = f"int8: {int8} of {len(layers)} layers, {graph.int8_macs_share:.1%} of the multiply-accumulates"
    left = [op.name for op in layers if op.precision != "int8"]
    return f"{line}; in float: {', '.join(left)}" if left else line


def _prepared(module: Any, quantizer: Any) -> Any:
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

    try:
        return prepare_pt2e(module, quantizer)
    except Exception as exc:
        raise ArtifactError(
            f"torchao cannot prepare the network: {one_line(exc)}", hint="Take another technique for such networks."
        ) from exc


def _converted(prepared: Any) -> Any:
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    try:
        return convert_pt2e(prepared)
    except Exception as exc:
        raise ArtifactError(
            f"torchao cannot convert the calibrated network: {one_line(exc)}",
            hint="Take another technique for such networks.",
        ) from exc

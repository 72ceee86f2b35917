"""`int8-static`: weights and activations in int8, written as QuantizeLinear/DequantizeLinear pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench_quantize.bias_correction import correct_biases, input_means
from bench_quantize.calibration import CHUNK, RowReader, calibration_split, rows_of
from bench_quantize.coverage import coverage, sentence
from bench_quantize.pooling import use_global_pools
from bench_quantize.preparation import prepare, workplace
from bench_quantize.stored_weights import store_in_eight_bits, weights_of
from harness import ArtifactError, BuildContext, Split, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from bench_quantize.options import Int8Static

PRODUCTS = ["Conv", "ConvTranspose", "Gemm", "MatMul"]
"""What is quantised of a network with attention: masks of minus infinity and sums before a normalisation have ranges
that eight bits do not span. For a sentence encoder of six layers it made the difference of 77 to 95 % agreement."""


def quantise_static(path: Path, options: Int8Static, context: BuildContext) -> Path:
    """Quantise a float ONNX file; inputs and outputs stay float, the batch stays as free as it was.

    Raises:
        ArtifactError: No calibration rows, rows that do not fit the model, or a file that cannot be read.
        UnsupportedError: An option out of its range, or a file that is quantised already.
    """
    import onnx
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    _check(options)
    split = calibration_split(context)
    histogram = options.method != "minmax"
    rows = rows_of(split, options.samples, chunked=histogram)
    result = context.workdir / "int8-static.onnx"
    with workplace(context.workdir) as place:
        prepared = prepare(path, place)
        model = onnx.load(prepared)
        reader = RowReader(split, rows, _input_names(model, split))
        if use_global_pools(model):
            onnx.save(model, prepared)
        products_only = has_attention(model)
        quantize_static(
            prepared,
            result,
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=PRODUCTS if products_only else None,
            per_channel=options.per_channel,
            reduce_range=options.reduce_range,
            activation_type=QuantType.QInt8 if options.symmetric_activations else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method={
                "minmax": CalibrationMethod.MinMax,
                "entropy": CalibrationMethod.Entropy,
                "percentile": CalibrationMethod.Percentile,
            }[options.method],
            extra_options=_extra_options(options, min(CHUNK, len(rows)) if histogram else 0),
        )
        made = onnx.load(result)
        if products_only:
            embeddings = [weight for weight in weights_of(made) if weight.operator == "Gather" and weight.worthwhile]
            store_in_eight_bits(made, embeddings, symmetric=True)
            onnx.save(made, result)
        if options.correct_biases:
            reader.set_range(0, len(rows))
            corrected = correct_biases(made, model, input_means(model, reader, context.threads))
            onnx.save(made, result)
    context.note(f"calibrated on {len(rows)} of {len(split)} rows, method {options.method}")
    context.note(sentence(coverage(made)))
    if products_only:
        stored = f"; {len(embeddings)} embeddings stored in int8" if embeddings else ""
        context.note(f"quantised as a transformer: products alone, all between them in float{stored}")
    if options.correct_biases:
        context.note(f"biases corrected: {corrected}")
    return result


def has_attention(model: onnx.ModelProto) -> bool:
    """Whether tensors that are both computed are multiplied around a softmax."""
    constants = {tensor.name for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    free = [node for node in products if not constants & set(node.input)]
    return len(free) > 1 and any(node.op_type == "Softmax" for node in model.graph.node)


def _check(options: Int8Static) -> None:
    if options.samples < 1:
        raise UnsupportedError(f"samples={options.samples}: at least one row is needed", hint="Take 100 or more.")
    if not 50.0 < options.percentile <= 100.0:
        raise UnsupportedError(
            f"percentile={options.percentile}: must be above 50 and at most 100", hint="99.9 to 99.999 is usual."
        )


def _input_names(model: Any, split: Split) -> tuple[str, ...]:
    filled = {tensor.name for tensor in model.graph.initializer}
    feeds = [value for value in model.graph.input if value.name not in filled]
    if len(feeds) != len(split.inputs):
        raise ArtifactError(
            f"the model has {len(feeds)} inputs, but a calibration row has {len(split.inputs)}",
            hint="Give data made for this model.",
        )
    for value, array in zip(feeds, split.inputs, strict=True):
        wanted = [dim.dim_value or None for dim in value.type.tensor_type.shape.dim][1:]
        given = list(array.shape[1:])
        if len(wanted) != len(given) or any(w not in {None, g} for w, g in zip(wanted, given, strict=True)):
            raise ArtifactError(
                f"input {value.name!r} takes rows of shape {wanted}, but calibration rows have {given}",
                hint="Give data made for this model.",
            )
    return tuple(value.name for value in feeds)


def _extra_options(options: Int8Static, chunk: int) -> dict[str, Any]:
    extra: dict[str, Any] = {
        "ActivationSymmetric": options.symmetric_activations,
        "CalibTensorRangeSymmetric": options.symmetric_activations,
        # Pools, reshapes and the like are quantised even where nothing before them is, so that no float
        # operator is left between two int8 ones.
        "ForceQuantizeNoInputCheck": True,
    }
    if options.method == "percentile":
        extra["CalibPercentile"] = options.percentile
    if chunk:
        extra["CalibStridedMinMax"] = chunk
    return extra

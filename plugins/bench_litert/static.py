"""`int8-static` on .tflite files: weights, activations, inputs and outputs in int8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench_litert.bias_correction import correct_biases
from bench_litert.calibration import feeds, rows_of, split_of
from bench_litert.delegation import delegation
from bench_litert.quantisation import apply, coverage, load_float, sentence
from harness import ArtifactError, BuildContext, UnsupportedError, silenced

if TYPE_CHECKING:
    from pathlib import Path

    from bench_litert.network import Network

PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "FULLY_CONNECTED")
"""What is quantised of a network with attention: masks of minus infinity and sums before a normalisation have ranges
that eight bits do not span."""


def quantise_static(path: Path, options: Any, context: BuildContext) -> Path:
    """Quantise a float file with ranges from the calibration rows.

    Raises:
        ArtifactError: No calibration rows, rows that do not fit the model, or a file that cannot be read.
        UnsupportedError: An option out of its range, or a file that is quantised already.
    """
    if options.samples < 1:
        raise UnsupportedError(f"samples={options.samples}: at least one row is needed", hint="Take 100 or more.")
    network = load_float(path)
    attention = has_attention(network)
    signature, inputs = _signature(path)
    split = split_of(context, [shape for _, shape, _ in inputs])
    rows = rows_of(split, options.samples)
    recipe = _recipe(options, products_only=attention)
    data = feeds(split, rows, [(name, dtype) for name, _, dtype in inputs])
    with silenced():
        from ai_edge_quantizer.calibrator import Calibrator  # type: ignore[import-untyped]
        from ai_edge_quantizer.utils.qsv_utils import min_max_update  # type: ignore[import-untyped]

        try:
            # Of itself it would take a moving average, in which the last rows count most.
            calibrator = Calibrator(str(path), num_threads=context.threads, qsv_update_func=min_max_update)
            calibrator.calibrate({signature: data}, recipe)
            ranges = calibrator.get_model_qsvs()
        except Exception as exc:
            raise ArtifactError(
                f"AI Edge Quantizer cannot calibrate {path.name}: {' '.join(str(exc).split())[:300]}",
                hint="Give data made for this model.",
            ) from exc
    result = context.workdir / "int8-static.tflite"
    apply(path, recipe, result, ranges)
    context.note(f"calibrated on {len(rows)} of {len(split)} rows, method minmax")
    context.note(sentence(coverage(result)))
    if attention:
        context.note("quantised as a transformer: products alone, all between them in float")
    else:
        context.note("inputs and outputs in int8 too; what converts them to and from float is not timed")
    if options.correct_biases:
        corrected = correct_biases(result, path, data, context.threads)
        context.note(f"biases corrected: {corrected}")
    context.note(str(delegation(result)))
    return result


def has_attention(network: Network) -> bool:
    """Whether tensors that are both computed are multiplied around a softmax."""
    free = [n for n in network.nodes if n.kind == "matmul" and not any(map(network.constant, n.inputs[:2]))]
    return len(free) > 1 and any(node.kind == "softmax" for node in network.nodes)


def _recipe(options: Any, *, products_only: bool) -> Any:
    with silenced():
        from ai_edge_quantizer import qtyping  # type: ignore[import-untyped]
        from ai_edge_quantizer.recipe_manager import RecipeManager  # type: ignore[import-untyped]

    grains = qtyping.QuantGranularity
    config = qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=options.symmetric_activations, granularity=grains.TENSORWISE
        ),
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=True, granularity=grains.CHANNELWISE if options.per_channel else grains.TENSORWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        explicit_dequantize=False,
    )
    recipe = RecipeManager()
    for name in PRODUCTS if products_only else ("ALL_SUPPORTED",):
        recipe.add_quantization_config(".*", qtyping.TFLOperationName[name], config)
    return recipe


def _signature(path: Path) -> tuple[str, list[tuple[str, tuple[int, ...], Any]]]:
    """Name of the file's signature, and name, shape and type of its inputs in the model's order.

    Raises:
        UnsupportedError: The file has none or several, and the quantizer calibrates by them.
    """
    with silenced():
        from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

        interpreter = Interpreter(model_path=str(path))
        names = list(interpreter.get_signature_list())
        if len(names) != 1:
            raise UnsupportedError(
                f"{path.name} has {len(names)} signatures, calibration needs one",
                hint="Convert the model with a single signature, or take int8-dynamic.",
            )
        details = interpreter.get_signature_runner().get_input_details()
    numbered = all(name.startswith("args_") for name in details)
    order = sorted(details, key=lambda name: int(name.removeprefix("args_"))) if numbered else _by_index(details)
    return names[0], [(name, tuple(details[name]["shape"].tolist()), details[name]["dtype"]) for name in order]


def _by_index(details: dict[str, Any]) -> list[str]:
    return sorted(details, key=lambda name: details[name]["index"])

"""`fp16`, `int8-dynamic` and `weight-only-int8` on .tflite files, by AI Edge Quantizer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_litert.delegation import delegation
from bench_litert.kinds import NARROW, PRODUCTS
from bench_litert.network import Network, array_of, network_of
from bench_litert.schema_file import load
from harness import ArtifactError, BuildContext, UnsupportedError, silenced

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FP16 = 65504.0
"""Largest finite number of IEEE 754 binary16."""

LINEAR = ("FULLY_CONNECTED", "BATCH_MATMUL")
"""What `operators="linear"` names: matrix products, and not convolutions and embeddings."""


def to_fp16(path: Path, context: BuildContext) -> Path:
    """Store the float weights of layers in half precision; inputs and outputs keep their types.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: It is quantised already, or holds no weight in single precision.
    """
    network = load_float(path)
    large = sum(
        int(np.count_nonzero(np.abs(array_of(value)) > LARGEST_FP16))
        for value in network.values
        if value.constant and value.precision == "fp32"
    )
    if large:
        raise UnsupportedError(
            f"{large} weights are beyond ±{LARGEST_FP16:.0f}, which half precision does not hold",
            hint="Take weight-only-int8.",
        )
    result = context.workdir / "fp16.tflite"
    with silenced():
        from ai_edge_quantizer import qtyping  # type: ignore[import-untyped]
        from ai_edge_quantizer.recipe_manager import AlgorithmName, RecipeManager  # type: ignore[import-untyped]

        recipe = RecipeManager()
        half = qtyping.TensorQuantizationConfig(
            num_bits=16,
            symmetric=True,
            granularity=qtyping.QuantGranularity.TENSORWISE,
            dtype=qtyping.TensorDataType.FLOAT,
        )
        recipe.add_quantization_config(
            ".*",
            qtyping.TFLOperationName.ALL_SUPPORTED,
            qtyping.OpQuantizationConfig(
                weight_tensor_config=half,
                compute_precision=qtyping.ComputePrecision.FLOAT,
                explicit_dequantize=True,
            ),
            AlgorithmName.FLOAT_CASTING,
        )
    apply(path, recipe, result)
    stored = {value.precision for value in network_of(load(result)).values if value.constant}
    if "fp16" not in stored:
        raise UnsupportedError("fp16 found no weight in single precision", hint="Leave it out for this model.")
    context.note(f"weights stored in half precision, {_sizes(path, result)}; LiteRT computes in float32 on a processor")
    context.note(str(delegation(result)))
    return result


def quantise_dynamic(path: Path, options: Any, context: BuildContext) -> Path:
    """Weights in int8, a scale for each output channel; kernels quantise activations at every inference.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: It is quantised already, or holds no operator of the chosen kind.
    """
    load_float(path)
    result = context.workdir / "int8-dynamic.tflite"
    with silenced():
        from ai_edge_quantizer import qtyping
        from ai_edge_quantizer.recipe_manager import RecipeManager

        recipe = RecipeManager()
        names = ("ALL_SUPPORTED",) if options.operators == "all" else LINEAR
        for name in names:
            recipe.add_dynamic_config(regex=".*", operation_name=qtyping.TFLOperationName[name], num_bits=8)
    apply(path, recipe, result)
    found = coverage(result)
    if not any(narrow for narrow, _ in found.values()):
        advice = 'Take int8-dynamic(operators="all") or int8-static.' if options.operators == "linear" else ""
        raise UnsupportedError(f"int8-dynamic({options.operators}) found nothing to quantise", hint=advice)
    context.note(f"{sentence(found)}; scales of weights are one a channel")
    context.note(str(delegation(result)))
    return result


def store_int8(path: Path, context: BuildContext) -> Path:
    """Weights stored in int8, a scale for each output channel, expanded to floats before they are used.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: It is quantised already, or holds no weight.
    """
    load_float(path)
    result = context.workdir / "weight-only-int8.tflite"
    with silenced():
        from ai_edge_quantizer import qtyping
        from ai_edge_quantizer.recipe_manager import RecipeManager

        recipe = RecipeManager()
        recipe.add_weight_only_config(regex=".*", operation_name=qtyping.TFLOperationName.ALL_SUPPORTED, num_bits=8)
    apply(path, recipe, result)
    found = coverage(result)
    if not any(narrow for narrow, _ in found.values()):
        raise UnsupportedError("weight-only-int8 found no weight to compress", hint="Leave it out for this model.")
    context.note(f"{sentence(found)}; {_sizes(path, result)}")
    context.note(f"weights are expanded to float when the file is opened; {delegation(result)}")
    return result


def load_float(path: Path) -> Network:
    """The network of a file whose layers are all in float.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: It is quantised already.
    """
    network = network_of(load(path))
    small = [
        node.source
        for node in network.nodes
        if node.kind in PRODUCTS and any(network.values[i].precision in NARROW for i in node.inputs[:2] if i >= 0)
    ]
    if small:
        raise UnsupportedError(f"{path.name} is quantised already", hint="Quantise the float model instead.")
    return network


def apply(path: Path, recipe: Any, result: Path, ranges: Any = None) -> None:
    """Quantise a file by a recipe; raise ArtifactError when AI Edge Quantizer fails."""
    with silenced():
        from ai_edge_quantizer.quantizer import Quantizer  # type: ignore[import-untyped]

        try:
            quantizer = Quantizer(str(path), recipe.get_quantization_recipe())
            made = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        except Exception as exc:
            raise ArtifactError(
                f"AI Edge Quantizer fails: {' '.join(f'{type(exc).__name__}: {exc}'.split())[:300]}",
                hint="Take another technique for this model, or quantise it as ONNX.",
            ) from exc
        result.write_bytes(bytes(made.quantized_model))


def coverage(path: Path) -> dict[str, tuple[int, int]]:
    """Operators that multiply and accumulate, by name: how many have integer weights, and how many there are."""
    network = network_of(load(path))
    every: Counter[str] = Counter()
    narrow: Counter[str] = Counter()
    for node in network.nodes:
        if node.kind in PRODUCTS:
            every[node.source] += 1
            narrow[node.source] += network.values[node.inputs[1]].precision in NARROW
    return {name: (narrow[name], every[name]) for name in sorted(every)}


def sentence(found: dict[str, tuple[int, int]]) -> str:
    """Coverage as a line of a lineage, such as `int8: 10 of 10 CONV_2D, 1 of 1 FULLY_CONNECTED`."""
    return "int8: " + ", ".join(f"{part} of {whole} {name}" for name, (part, whole) in found.items())


def _sizes(before: Path, after: Path) -> str:
    return f"file {before.stat().st_size / 1000:,.0f} kB before, {after.stat().st_size / 1000:,.0f} kB after"

"""`weight-only-int8` and `weight-only-int4`: small weights, activations in float."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench_quantize.preparation import drop_types_of_weights, prepare, workplace
from bench_quantize.stored_weights import Weight, share, store_in_eight_bits, weights_of
from harness import BuildContext, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import onnx

    from bench_quantize.options import WeightOnlyInt4, WeightOnlyInt8

BLOCKS = (16, 32, 64, 128, 256)
"""Block lengths of ONNX Runtime's MatMulNBits."""

ACCURACY_LEVEL = {"float": 1, "int8": 4}
"""What MatMulNBits may round its activations to. Source: `docs/ContribOperators.md` of ONNX Runtime."""

EXPANDED = (
    "ONNX Runtime expands weights in int8 to float when it opens the file: less to store and to send, as fast and as "
    "large in memory as float"
)


def store_int8(path: Path, options: WeightOnlyInt8, context: BuildContext) -> Path:
    """Store the weights of convolutions, matrix products and embeddings in eight bits, a scale a channel.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: It is quantised already, or holds no weight.
    """
    import onnx

    result = context.workdir / "weight-only-int8.onnx"
    with workplace(context.workdir) as place:
        model = onnx.load(prepare(path, place))
    weights = weights_of(model)
    stored = [weight for weight in weights if weight.worthwhile]
    if not stored:
        raise _nothing("weight-only-int8")
    store_in_eight_bits(model, stored, symmetric=options.symmetric)
    drop_types_of_weights(model)
    onnx.save(model, result)
    context.note(f"int8: {share(stored, weights):.1%} of the weights, {_operators(stored)}; {_sizes(path, result)}")
    _note_left([weight for weight in weights if not weight.worthwhile], weights, context)
    context.note(EXPANDED)
    return result


def store_int4(path: Path, options: WeightOnlyInt4, context: BuildContext) -> Path:
    """Store the weights of linear layers in four bits, a scale a block, by ONNX Runtime's own quantiser.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: An option out of its range, or a file that is quantised already or holds no linear layer.
    """
    import onnx

    if options.block not in BLOCKS:
        known = ", ".join(map(str, BLOCKS))
        raise UnsupportedError(f"block={options.block}: no such block length", hint=f"Take one of {known}.")
    result = context.workdir / "weight-only-int4.onnx"
    with workplace(context.workdir) as place:
        model, weights = _in_blocks(onnx.load(prepare(path, place)), options)
    left = weights_of(model)
    names = {weight.name for weight in left}
    packed = [weight for weight in weights if weight.name not in names]
    if not packed:
        raise _nothing("weight-only-int4")
    stored = [weight for weight in left if weight.worthwhile and options.rest == "int8"]
    store_in_eight_bits(model, stored, symmetric=options.symmetric)
    drop_types_of_weights(model)
    onnx.save(model, result)
    parts = f"int4: {share(packed, weights):.1%} of the weights in blocks of {options.block}, {_operators(packed)}"
    parts += f"; int8: {share(stored, weights):.1%}, {_operators(stored)}" if stored else ""
    context.note(f"{parts}; {_sizes(path, result)}")
    _note_left([weight for weight in left if weight not in stored], weights, context)
    if stored:
        context.note(EXPANDED)
    if options.activations == "int8":
        context.note("activations of layers in int4 are rounded to int8 at every inference, in blocks")
    return result


def _in_blocks(model: onnx.ModelProto, options: WeightOnlyInt4) -> tuple[onnx.ModelProto, tuple[Weight, ...]]:
    """The model with MatMulNBits for every product with a constant matrix, and the weights that it had before."""
    from onnxruntime.quantization.matmul_nbits_quantizer import (  # type: ignore[import-untyped]
        DefaultWeightOnlyQuantConfig,
        MatMulNBitsQuantizer,
    )
    from onnxruntime.quantization.onnx_model import ONNXModel  # type: ignore[import-untyped]

    products = ONNXModel(model)
    products.replace_gemm_with_matmul()  # the quantiser passes over Gemm in silence
    drop_types_of_weights(products.model)
    weights = weights_of(products.model)
    config = DefaultWeightOnlyQuantConfig(
        block_size=options.block,
        is_symmetric=options.symmetric,
        accuracy_level=ACCURACY_LEVEL[options.activations],
        op_types_to_quantize=("MatMul",),
    )
    quantiser = MatMulNBitsQuantizer(products.model, algo_config=config)
    quantiser.process()
    return quantiser.model.model, weights


def _nothing(technique: str) -> UnsupportedError:
    what = "linear layer" if technique == "weight-only-int4" else "weight"
    return UnsupportedError(f"{technique} found no {what} to compress", hint="Leave it out for this model.")


def _note_left(left: Sequence[Weight], weights: Sequence[Weight], context: BuildContext) -> None:
    if left:
        context.note(f"left in float: {share(left, weights):.1%} of the weights, {_operators(left)}")


def _operators(weights: Sequence[Weight]) -> str:
    counts = Counter(weight.operator for weight in weights)
    return ", ".join(f"{count} {operator}" for operator, count in sorted(counts.items()))


def _sizes(before: Path, after: Path) -> str:
    return f"file {before.stat().st_size / 1000:,.0f} kB before, {after.stat().st_size / 1000:,.0f} kB after"

"""`int8-dynamic`: int8 weights; activations are quantised at every inference, by the range they have there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_quantize.coverage import coverage, sentence
from bench_quantize.preparation import prepare, workplace
from harness import BuildContext, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from bench_quantize.options import Int8Dynamic

LINEAR = ["MatMul", "Attention", "LSTM"]
"""Matrix products in ONNX Runtime's registry; its quantiser turns each Gemm into MatMul and Add first."""

INTEGER = frozenset({"ConvInteger", "DynamicQuantizeLSTM", "MatMulInteger", "QAttention"})
"""What the quantiser makes of them, and of convolutions."""


def quantise_dynamic(path: Path, options: Int8Dynamic, context: BuildContext) -> Path:
    """Quantise a float ONNX file; inputs and outputs stay float, no data is needed.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: It is quantised already, or holds no operator of the chosen kind.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

    result = context.workdir / "int8-dynamic.onnx"
    with workplace(context.workdir) as place:
        quantize_dynamic(
            prepare(path, place),
            result,
            op_types_to_quantize=LINEAR if options.operators == "linear" else None,
            per_channel=options.per_channel,
            weight_type=QuantType.QInt8,
        )
    model = onnx.load(result)
    if not any(node.op_type in INTEGER for node in model.graph.node):
        advice = 'Take int8-dynamic(operators="all") or int8-static.' if options.operators == "linear" else ""
        raise UnsupportedError(f"int8-dynamic({options.operators}) found nothing to quantise", hint=advice)
    context.note(sentence(coverage(model)))
    return result

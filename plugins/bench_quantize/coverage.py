"""How many of the operators that carry multiply-accumulates a quantiser really made int8."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

FLOAT = {"Conv": "Conv", "ConvTranspose": "ConvTranspose", "Gemm": "Gemm/MatMul", "MatMul": "Gemm/MatMul"}
INTEGER = {"ConvInteger": "Conv", "QLinearConv": "Conv", "MatMulInteger": "Gemm/MatMul", "QLinearMatMul": "Gemm/MatMul"}


def coverage(model: onnx.ModelProto) -> Mapping[str, tuple[int, int]]:
    """Operator family to (int8 operators, all operators); in QDQ form both operands must come dequantised."""
    dequantised = {o for node in model.graph.node if node.op_type == "DequantizeLinear" for o in node.output}
    whole: Counter[str] = Counter()
    all_: Counter[str] = Counter()
    for node in model.graph.node:
        if node.op_type in INTEGER:
            whole[INTEGER[node.op_type]] += 1
            all_[INTEGER[node.op_type]] += 1
        elif node.op_type in FLOAT:
            whole[FLOAT[node.op_type]] += all(name in dequantised for name in node.input[:2])
            all_[FLOAT[node.op_type]] += 1
    return {family: (whole[family], all_[family]) for family in sorted(all_)}


def sentence(found: Mapping[str, tuple[int, int]]) -> str:
    """Coverage as a line of a lineage, such as `int8: 10 of 10 Conv, 1 of 1 Gemm/MatMul`."""
    return "int8: " + ", ".join(f"{part} of {whole} {family}" for family, (part, whole) in found.items())

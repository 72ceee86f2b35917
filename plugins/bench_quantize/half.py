"""`fp16`: weights and arithmetic in half precision, with casts behind the inputs and before the outputs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench_quantize.preparation import load, workplace

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from harness import BuildContext

LARGEST_FP16 = 65504.0
SMALLEST_FP16 = 5.96e-08
"""Largest finite and smallest positive number of IEEE 754 binary16, where weights beyond them end up."""


def to_fp16(path: Path, context: BuildContext) -> Path:
    """Convert a float ONNX file; inputs and outputs keep their types.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: It is quantised already.
    """
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16  # type: ignore[import-untyped]
    from onnxruntime.transformers.onnx_model import OnnxModel  # type: ignore[import-untyped]

    model = load(path)
    blocked = Counter(node.op_type for node in model.graph.node if node.op_type in DEFAULT_OP_BLOCK_LIST)
    cut = _too_large(model)
    with workplace(context.workdir):
        half = convert_float_to_float16(
            model, keep_io_types=True, min_positive_val=SMALLEST_FP16, max_finite_val=LARGEST_FP16
        )
        sorted_ = OnnxModel(half)
        sorted_.topological_sort()  # the converter appends the casts of inputs behind everything else
    result = context.workdir / "fp16.onnx"
    onnx.save(sorted_.model, result)
    if blocked:
        context.note("kept in float: " + ", ".join(f"{count} {name}" for name, count in sorted(blocked.items())))
    if cut:
        context.note(f"{cut} weights were too large for fp16 and were cut to ±{LARGEST_FP16:.0f}")
    return result


def _too_large(model: onnx.ModelProto) -> int:
    """How many weights fp16 cannot hold; those too small for it only lose what no sum would notice."""
    import numpy as np
    from onnx import TensorProto
    from onnx.numpy_helper import to_array

    floats = [to_array(tensor) for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    return sum(int(np.count_nonzero(np.abs(values) > LARGEST_FP16)) for values in floats)

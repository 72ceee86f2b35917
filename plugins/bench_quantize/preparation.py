"""What every quantisation does first: a private, quiet place to work in, and a graph that quantises well."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from harness import ArtifactError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

PER_CHANNEL_OPSET = 13
"""First operator set whose DequantizeLinear takes one scale per channel."""

TARGET_OPSET = 17
"""Operator set that older models are raised to; ReduceMean still has its axes as an attribute there."""

QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul",
                       "MatMulInteger", "ConvInteger", "MatMulNBits"})  # fmt: skip


@contextmanager
def workplace(workdir: Path) -> Iterator[Path]:
    """A folder below `workdir` that is gone afterwards; the quantiser's own temporary files go there too.

    ONNX Runtime's quantiser prints, logs to the root logger and warns; all of it is held back, failures are raised.
    """
    import onnxruntime  # type: ignore[import-untyped]

    onnxruntime.set_default_logger_severity(3)  # errors only; the process is this build's own
    outer, disabled = tempfile.tempdir, logging.root.manager.disable
    with tempfile.TemporaryDirectory(dir=workdir) as name, warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        tempfile.tempdir = name
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = outer
            logging.disable(disabled)


def load(path: Path) -> onnx.ModelProto:
    """Load a float model.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: It is quantised already.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path)
    except (DecodeError, OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read as ONNX ({error})", hint="Export the model again.") from error
    found = sorted({node.op_type for node in model.graph.node} & QUANTISED)
    narrow = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT4, onnx.TensorProto.UINT4}
    if any(tensor.data_type in narrow and len(tensor.dims) > 1 for tensor in model.graph.initializer):
        found.append("weights in integers")
    if found:
        raise UnsupportedError(f"{path.name} is quantised already: it holds {', '.join(found)}", hint="Quantise once.")
    return model


def prepare(path: Path, place: Path) -> Path:
    """Write a copy with batch normalisation folded and shapes inferred.

    Raises:
        ArtifactError, UnsupportedError: As `load`.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

    model = load(path)
    opset = next((o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}), TARGET_OPSET)
    if opset < PER_CHANNEL_OPSET:
        model = onnx.version_converter.convert_version(model, TARGET_OPSET)
    drop_types_of_weights(model)
    source, prepared = place / "float.onnx", place / "prepared.onnx"
    onnx.save(model, source)
    # Symbolic shape inference needs sympy, and adds nothing where only the batch is free.
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    return prepared


def drop_types_of_weights(model: onnx.ModelProto) -> None:
    """Drop declared types of initialisers: the quantiser gives them other types, and inference then sees a clash."""
    weights = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.value_info if value.name not in weights]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)

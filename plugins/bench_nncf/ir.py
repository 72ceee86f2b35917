"""IR files: opened for quantisation, saved, and what of them is quantised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bench_nncf.quiet  # noqa: F401 - keeps telemetry out before OpenVINO is imported
from harness import ArtifactError, UnsupportedError

import openvino as ov  # type: ignore[import-untyped]  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NARROW = frozenset({"i8", "u8", "i4", "u4"})
"""Element types of quantised constants."""

CONVOLUTIONS = frozenset({
    "Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData"
})  # fmt: skip

READERS = {"Gather": 0, "MatMul": 1} | dict.fromkeys(CONVOLUTIONS, 1)
"""Operators with weights, and which input these are."""

MOVERS = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "MaxPool", "Concat", "Split", "VariadicSplit",
                    "StridedSlice", "Slice", "Pad", "Gather"})  # fmt: skip
"""Operators behind which quantised values are still quantised."""

SCALES = frozenset({"Convert", "Multiply", "Subtract", "Reshape", "Transpose", "FakeQuantize"})
"""Operators between a stored weight and the product that reads it."""


def load(path: Path) -> ov.Model:
    """Open a float IR.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: It is quantised already.
    """
    file = path / "model.xml" if path.is_dir() else path
    try:
        model = ov.Core().read_model(file)
    except Exception as error:
        cause = " ".join(str(error).split())[:300]
        raise ArtifactError(f"OpenVINO cannot read {file}: {cause}", hint="Convert the model again.") from error
    found = {node.get_type_name() for node in model.get_ops() if node.get_type_name() == "FakeQuantize"}
    found |= {f"weights in {dtype}" for dtype, elements in stored(model).items() if dtype in NARROW and elements}
    if found:
        raise UnsupportedError(
            f"{file.name} is quantised already: it holds {', '.join(sorted(found))}", hint="Quantise once."
        )
    return model


def save(model: ov.Model, folder: Path, *, half: bool = False) -> Path:
    """Save a model as a new folder with model.xml and model.bin."""
    folder.mkdir()
    ov.save_model(model, folder / "model.xml", compress_to_fp16=half)
    return folder


def size_kb(path: Path) -> float:
    """Size of an IR: its .xml and its .bin."""
    file = path / "model.xml" if path.is_dir() else path
    return (file.stat().st_size + file.with_suffix(".bin").stat().st_size) / 1000


def stored(model: ov.Model) -> Mapping[str, int]:
    """Elements of the weights that products and embeddings read, each counted once, by the type they are stored in."""
    found: dict[str, tuple[str, int]] = {}
    for node in model.get_ordered_ops():
        constant = weight_of(node)
        if constant is not None:
            dtype, elements = constant.output(0).get_element_type().get_type_name(), constant.output(0).get_shape()
            found[constant.get_friendly_name()] = (dtype, _product(elements))
    counted: dict[str, int] = {}
    for dtype, elements in found.values():
        counted[dtype] = counted.get(dtype, 0) + elements
    return counted


def weight_of(node: ov.Node) -> ov.Node | None:
    """The constant of two or more dimensions that a product or an embedding reads as its weight."""
    position = READERS.get(node.get_type_name())
    if position is None or position >= node.get_input_size():
        return None
    made = node.input_value(position).get_node()
    while made.get_type_name() in SCALES:
        made = made.input_value(0).get_node()
    constant = made.get_type_name() == "Constant" and len(made.output(0).get_shape()) > 1
    return made if constant else None


def is_quantised(node: ov.Node) -> bool:
    """Whether the data that a product reads is quantised, if need be before something moved it."""
    made = node.input_value(0).get_node()
    while made.get_type_name() in MOVERS:
        made = made.input_value(0).get_node()
    return made.get_type_name() == "FakeQuantize"


def products(model: ov.Model) -> list[ov.Node]:
    """Convolutions and matrix products, in the order of execution."""
    return [node for node in model.get_ordered_ops() if node.get_type_name() in CONVOLUTIONS | {"MatMul"}]


def has_attention(model: ov.Model) -> bool:
    """Whether two tensors that are both computed are multiplied after or before a softmax."""
    types = [node.get_type_name() for node in model.get_ops()]
    if "ScaledDotProductAttention" in types:
        return True
    free = [node for node in products(model) if node.get_type_name() == "MatMul" and weight_of(node) is None]
    return "Softmax" in types and len(free) > 1


def _product(shape: ov.Shape) -> int:
    found = 1
    for dim in shape:
        found *= int(dim)
    return found

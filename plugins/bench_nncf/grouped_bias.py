"""Bias correction of grouped convolutions, which NNCF's fast bias correction passes over.

Depthwise convolutions have so few weights to a channel that rounding does not average out: on EfficientNet-Lite0 they
cause more of the error than all other layers. A channel's mean moves by (quantised weight - weight) · mean of its
inputs. Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019,
arXiv:1906.04721, section 4.2, equation 16, with means over calibration rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench_nncf.ir import ov, weight_of

from openvino import opset13 as ops  # type: ignore[import-untyped]  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GROUPED = "GroupConvolution"


def correct_grouped(quantised: ov.Model, model: ov.Model, rows: Iterable[Any], threads: int) -> int:
    """Correct the biases of grouped convolutions in place; returns how many.

    Args:
        model: The float model that it was made of.
        rows: Calibration rows as a compiled model takes them.
    """
    originals = {n.get_friendly_name(): n for n in model.get_ordered_ops() if _grouped(n)}
    found = [n for n in quantised.get_ordered_ops() if _grouped(n) and n.get_friendly_name() in originals]
    found = [node for node in found if _bias(node) is not None]
    if not found:
        return 0
    floats = [originals[node.get_friendly_name()] for node in found]
    means = _input_means(model, floats, rows, threads)
    for after, before, given in zip(_weights(found), _weights(floats), zip(found, means, strict=True), strict=True):
        node, mean = given
        error = (after - before).reshape(*after.shape[:3], -1).sum(axis=-1)
        shift = np.einsum("goi,gi->go", error, mean.reshape(error.shape[0], -1)).reshape(1, -1)
        addition = _bias(node)
        constant = addition.input_value(1)
        values = constant.get_node().data.astype(np.float32)
        corrected = values - shift.reshape(1, -1, *[1] * (values.ndim - 2)).astype(np.float32)
        addition.input(1).replace_source_output(ops.constant(corrected).output(0))
    return len(found)


def _grouped(node: ov.Node) -> bool:
    return node.get_type_name() == GROUPED and weight_of(node) is not None


def _bias(node: ov.Node) -> Any:
    """The addition of one constant a channel that alone reads a convolution, or None."""
    readers = list(node.output(0).get_target_inputs())
    addition = readers[0].get_node() if len(readers) == 1 else None
    if addition is None or addition.get_type_name() != "Add":
        return None
    constant = addition.input_value(1).get_node()
    rank = len(node.output(0).get_partial_shape())
    shape = list(constant.output(0).get_shape()) if constant.get_type_name() == "Constant" else []
    return addition if len(shape) == rank and sum(dim > 1 for dim in shape) <= 1 and shape[0] == 1 else None


def _weights(nodes: Sequence[ov.Node]) -> list[Any]:
    """Weights `(groups, outputs, inputs, …)` as they are computed with."""
    made = ov.Model([node.input_value(1) for node in nodes], [])
    compiled = ov.Core().compile_model(made, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled({})
    return [np.array(results[index], np.float32) for index in range(len(nodes))]


def _input_means(model: ov.Model, nodes: Sequence[ov.Node], rows: Iterable[Any], threads: int) -> list[Any]:
    """Mean of each input channel, `(channels,)`, over rows and positions."""
    outputs = []
    for node in nodes:
        read = node.input_value(0)
        axes = np.array([axis for axis in range(len(read.get_partial_shape())) if axis != 1])
        outputs.append(ops.reduce_mean(read, ops.constant(axes), keep_dims=False))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled = ov.Core().compile_model(ov.Model(outputs, model.get_parameters()), "CPU", settings)
    sums: list[Any] = [0.0] * len(nodes)
    count = 0
    for row in rows:
        results = compiled(row)
        sums = [total + np.array(results[index]) for index, total in enumerate(sums)]
        count += 1
    return [total / count for total in sums]

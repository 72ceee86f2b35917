"""Bias correction: what rounding of weights does to the mean of each output channel, taken back in the bias.

A channel's mean moves by (quantised weight - weight) · mean of its inputs. Source: Nagel et al., Data-Free Quantization
Through Weight Equalization and Bias Correction, ICCV 2019, arXiv:1906.04721, section 4.2, equation 16; the means of
inputs are taken over calibration rows, as in its appendix D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from bench_quantize.calibration import RowReader

CORRECTED = frozenset({"Conv", "Gemm"})
"""Operators with a bias of their own."""

AXES_AS_INPUT = 18
"""First operator set whose ReduceMean has its axes as an input."""


def input_means(model: onnx.ModelProto, reader: RowReader, threads: int) -> Mapping[str, Any]:
    """Mean of each input channel, `(channels,)`, over rows and positions, by the name of the tensor that is read."""
    import numpy as np
    import onnx
    import onnxruntime  # type: ignore[import-untyped]
    from onnx.helper import make_node, make_tensor_value_info
    from onnx.numpy_helper import from_array

    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    read = {node.input[0]: _rank(node, model) for node in model.graph.node if node.op_type in CORRECTED}
    if not read:
        return {}
    as_input = any(o.domain in {"", "ai.onnx"} and o.version >= AXES_AS_INPUT for o in model.opset_import)
    del probed.graph.output[:]
    for name, rank in read.items():
        axes, mean = [axis for axis in range(rank) if axis != 1], f"{name}/mean"
        if as_input:
            probed.graph.initializer.append(from_array(np.array(axes, np.int64), f"{name}/axes"))
            probed.graph.node.append(make_node("ReduceMean", [name, f"{name}/axes"], [mean], keepdims=0))
        else:
            probed.graph.node.append(make_node("ReduceMean", [name], [mean], keepdims=0, axes=axes))
        probed.graph.output.append(make_tensor_value_info(mean, onnx.TensorProto.FLOAT, [None]))
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(probed.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    sums: dict[str, Any] = dict.fromkeys(read, 0.0)
    while (row := reader.get_next()) is not None:
        for name, mean in zip(read, session.run(None, row), strict=True):
            sums[name] = sums[name] + mean
    return {name: total / len(reader) for name, total in sums.items()}


def correct_biases(quantised: onnx.ModelProto, model: onnx.ModelProto, means: Mapping[str, Any]) -> int:
    """Correct the int32 biases of a model in QDQ form in place; returns how many.

    Args:
        model: The float model that it was made of.
        means: Of the inputs of its operators, from `input_means`.
    """
    import numpy as np
    from onnx.numpy_helper import from_array, to_array
    from onnxruntime.quantization.quant_utils import TENSOR_NAME_QUANT_SUFFIX  # type: ignore[import-untyped]

    floats = {tensor.name: tensor for tensor in model.graph.initializer}
    made_of = {f"{name}{TENSOR_NAME_QUANT_SUFFIX}": name for name in floats}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        if node.op_type in CORRECTED:
            users.setdefault(node.input[1], []).append(node)
    held = {tensor.name: tensor for tensor in quantised.graph.initializer}
    back = {node.output[0]: node for node in quantised.graph.node if node.op_type == "DequantizeLinear"}
    corrected = 0
    for node in quantised.graph.node:
        if node.op_type not in CORRECTED or len(node.input) < 3 or not set(node.input[1:3]) <= back.keys():
            continue
        weight, bias = back[node.input[1]], back[node.input[2]]
        of = users.get(made_of.get(weight.input[0], ""), [])
        if len(of) != 1 or not {*weight.input[:2], *bias.input[:2]} <= held.keys():
            continue  # a weight that several operators read belongs to no one mean
        error = _dequantised(weight, held) - to_array(floats[of[0].input[1]])
        levels, scale = to_array(held[bias.input[0]]), to_array(held[bias.input[1]])
        shift = np.rint(_shift(error, means[of[0].input[0]], of[0]) / scale).astype(levels.dtype)
        held[bias.input[0]].CopyFrom(from_array(levels - shift, bias.input[0]))
        corrected += 1
    return corrected


def _shift(error: Any, means: Any, node: onnx.NodeProto) -> Any:
    """How far the mean of each output channel has moved, `(channels,)`."""
    import numpy as np

    given = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Gemm":
        return (error if given.get("transB", 0) else error.T) @ means
    groups = max(1, given.get("group", 1))
    by_input = error.reshape(*error.shape[:2], -1).sum(axis=2).reshape(groups, -1, error.shape[1])
    return np.einsum("goi,gi->go", by_input, means.reshape(groups, -1)).reshape(-1)


def _dequantised(node: onnx.NodeProto, held: Mapping[str, onnx.TensorProto]) -> Any:
    """Values of a constant behind a DequantizeLinear around zero, one scale or one along its axis."""
    import numpy as np
    from onnx.numpy_helper import to_array

    levels, scale = (to_array(held[name]) for name in node.input[:2])
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    shape = [1] * levels.ndim
    if scale.ndim:
        shape[axis] = -1
    return levels.astype(np.float32) * scale.reshape(shape)


def _rank(node: onnx.NodeProto, model: onnx.ModelProto) -> int:
    """Rank of what a node reads, which is that of its weight."""
    return next((len(t.dims) for t in model.graph.initializer if t.name == node.input[1]), 2)

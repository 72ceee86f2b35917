"""Bias correction: what rounding of the weights does to the mean of each output channel is taken back in its bias.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, arXiv:1906.04721, section
4.2, with the means of the inputs from the calibration rows. Padding counts as if the means reached beyond the border.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_litert.network import Network, Node, array_of, network_of
from bench_litert.schema_file import load, parse
from harness import silenced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CORRECTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})

BIAS = 2
"""Place of the bias among the inputs."""


def correct_biases(path: Path, original: Path, rows: Sequence[Mapping[str, Any]], threads: int) -> int:
    """Correct the int32 biases of a quantised file in place; returns how many.

    Args:
        path: The quantised file; its tensors are called as in the float file.
        original: The float file that it was made of.
        rows: Inputs of the float file by the names of its signature, batch 1.
    """
    content = bytearray(path.read_bytes())
    quantised, floats = network_of(parse(content)), network_of(load(original))
    by_result = {floats.values[node.outputs[0]].name: node for node in floats.nodes if node.source in CORRECTED}
    means = _input_means(original, floats, list(by_result.values()), rows, threads)
    readers = Counter(
        quantised.values[node.inputs[BIAS]].tensor.buffer for node in quantised.nodes if _has_levels(node, quantised)
    )
    corrected = 0
    for node in quantised.nodes:
        before = by_result.get(quantised.values[node.outputs[0]].name) if _has_levels(node, quantised) else None
        if before is None:
            continue
        weight, bias = (quantised.values[node.inputs[at]] for at in (1, BIAS))
        if readers[bias.tensor.buffer] > 1:  # a bias that several operators read belongs to no one mean
            continue
        error = _real(weight) - array_of(floats.values[before.inputs[1]]).astype(np.float64)
        shift = _shift(error, means[before.inputs[0]], node.source)
        levels = array_of(bias)  # a view of the content
        levels -= np.rint(shift / np.asarray(bias.tensor.quantization.scale)).astype(np.int32)
        corrected += 1
    path.write_bytes(bytes(content))
    return corrected


def _has_levels(node: Node, network: Network) -> bool:
    """Whether a layer has weights in integers and a bias in the scale of its sums."""
    if node.source not in CORRECTED or len(node.inputs) <= BIAS or node.inputs[BIAS] < 0:
        return False
    weight, bias = (network.values[node.inputs[at]] for at in (1, BIAS))
    return weight.constant and bias.constant and weight.precision == "int8" and bias.precision == "int32"


def _input_means(
    path: Path, network: Network, nodes: Sequence[Node], rows: Sequence[Mapping[str, Any]], threads: int
) -> dict[int, NDArray[np.float64]]:
    """Mean of each input channel of the layers over rows and places, `(channels,)`, by position of the tensor."""
    wanted = sorted({node.inputs[0] for node in nodes if not network.constant(node.inputs[0])})
    sums: dict[int, Any] = dict.fromkeys(wanted, 0.0)
    with silenced():
        from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

        interpreter = Interpreter(model_path=str(path), num_threads=threads, experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
        where = {name: each["index"] for name, each in interpreter.get_signature_runner().get_input_details().items()}
        for row in rows:
            for name, array in row.items():
                interpreter.set_tensor(where[name], array)
            interpreter.invoke()
            for tensor in wanted:
                values = interpreter.get_tensor(tensor)
                sums[tensor] = sums[tensor] + values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
    return {tensor: total / len(rows) for tensor, total in sums.items()}


def _shift(error: NDArray[np.float64], means: NDArray[np.float64], source: str) -> NDArray[np.float64]:
    """How far the mean of each output channel has moved, `(channels,)`."""
    if source == "DEPTHWISE_CONV_2D":
        moved: NDArray[np.float64] = error.sum(axis=(0, 1, 2)) * np.repeat(means, error.shape[3] // len(means))
        return moved
    by_input = error.reshape(error.shape[0], -1, error.shape[-1]).sum(axis=1)
    groups = len(means) // by_input.shape[1]
    split = by_input.reshape(groups, -1, by_input.shape[1])
    by_output: NDArray[np.float64] = np.einsum("goi,gi->go", split, means.reshape(groups, -1)).reshape(-1)
    return by_output


def _real(weight: Any) -> NDArray[np.float64]:
    """Values of a weight around zero, one scale or one along its axis."""
    levels = array_of(weight)
    scale = np.asarray(weight.tensor.quantization.scale, np.float64)
    shape = [1] * levels.ndim
    if scale.size > 1:
        shape[weight.tensor.quantization.quantizedDimension] = scale.size
    return levels.astype(np.float64) * scale.reshape(shape)

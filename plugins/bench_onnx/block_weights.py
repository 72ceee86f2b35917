"""Weights quantised in blocks and packed several to a byte: ONNX Runtime's MatMulNBits as a plain product."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench_onnx.quantised_constant import share_of_zeros

if TYPE_CHECKING:
    from bench_onnx.network import Constant, Node


ROUNDS_ACTIVATIONS = 4
"""Accuracy level at which the kernel quantises its activations to int8."""


def rewrite_block_weights(node: Node, constants: dict[str, Constant], zeros: dict[str, float]) -> Node:
    """Unpack the weights of a MatMulNBits and make it a MatMul; widths other than 4 and 8 bits stay as they are.

    MatMulNBits(A, B, scales, zero_points, g_idx, bias): B is (N, blocks, bytes of a block), lowest bits first.
    Source: `docs/ContribOperators.md` of ONNX Runtime.
    """
    import ml_dtypes

    bits = int(node.attributes.get("bits", 4))
    if bits not in {4, 8} or node.inputs[1] not in constants:
        return node
    rows, columns = int(node.attributes["K"]), int(node.attributes["N"])
    levels = _unpacked(constants[node.inputs[1]], columns, bits)[:, :rows].T
    name = f"{node.inputs[1]}/levels"
    constants[name] = levels.astype(ml_dtypes.uint4) if bits == 4 else levels
    zeros[name] = share_of_zeros(levels, _zero_points(node, levels, constants, bits), 0)
    bias = node.inputs[5] if len(node.inputs) > 5 else ""
    inputs = tuple(n for n in (node.inputs[0], name, bias) if n)
    made = replace(node, op="MatMul", domain="", inputs=inputs, attributes={})
    rounds = int(node.attributes.get("accuracy_level", 0)) == ROUNDS_ACTIVATIONS
    return replace(made, precision="int8", scheme="dynamic") if rounds else made


def _unpacked(packed: Constant, columns: int, bits: int) -> Constant:
    """Integers of one row per column of the product, as uint8."""
    import numpy as np

    bytes_ = packed.view(np.uint8).reshape(columns, -1)
    parts = [(bytes_ >> shift) & (2**bits - 1) for shift in range(0, 8, bits)]
    return np.stack(parts, axis=-1).reshape(columns, -1)


def _zero_points(node: Node, levels: Constant, constants: dict[str, Constant], bits: int) -> Constant:
    """Zero point of each weight; without stored ones the middle of the range stands for zero."""
    import numpy as np

    stored = constants.get(node.inputs[3]) if len(node.inputs) > 3 else None
    if stored is None:
        return np.asarray(2 ** (bits - 1))
    rows, columns = levels.shape
    block = int(node.attributes["block_size"])
    blocks = -(-rows // block)
    whole = _unpacked(stored, columns, bits) if stored.dtype == np.uint8 else stored.reshape(columns, -1)
    return np.repeat(whole[:, :blocks].T, block, axis=0)[:rows]

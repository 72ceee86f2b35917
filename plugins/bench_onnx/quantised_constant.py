"""Quantised constants: which element stands for zero, and what share of a tensor equals it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench_onnx.network import Constant


def share_of_zeros(values: Constant, zero_point: Constant | None = None, axis: int = 1) -> float:
    """Share of elements that mean exactly zero, 0 to 1.

    Args:
        values: Any shape; float, or integers when `zero_point` is given.
        zero_point: A scalar, one for each index along `axis`, or (blocked) of the same rank with a shorter `axis`.
        axis: As in DequantizeLinear.
    """
    import numpy as np

    if values.size == 0:
        return 0.0
    if zero_point is None or zero_point.size == 0:
        return float(np.mean(np.asarray(values) == 0))
    plain, zero = values.astype(np.float32), zero_point.astype(np.float32)
    if zero.size == 1:
        return float(np.mean(plain == zero.reshape(())))
    if zero.ndim == 1 and values.shape[axis] == zero.size:
        shape = [1] * values.ndim
        shape[axis] = zero.size
        return float(np.mean(plain == zero.reshape(shape)))
    if zero.ndim == values.ndim:
        block = -(-values.shape[axis] // zero.shape[axis])
        spread = np.repeat(zero, block, axis=axis).take(range(values.shape[axis]), axis=axis)
        return float(np.mean(plain == spread))
    return float(np.mean(plain == np.broadcast_to(zero, values.shape)))

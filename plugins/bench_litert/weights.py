"""Stored weights: how many are exactly zero, and whether their zero lies in the middle of the range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_litert.network import array_of

if TYPE_CHECKING:
    from bench_litert.network import Value

MIDDLE = {"uint8": 128}
"""Zero point of weights whose range is around zero; 0 for signed integers."""


def share_of_zeros(value: Value) -> float | None:
    """Share of elements that mean exactly zero, 0 to 1; None where the content is packed or sparse."""
    import numpy as np

    found = array_of(value)
    if found.shape != value.shape or found.size == 0:
        return None
    if not value.quantised or found.dtype.kind == "f":
        return float(np.mean(found == 0))
    zero = np.asarray(value.tensor.quantization.zeroPoint, np.int64)
    if zero.size > 1:
        shape = [1] * found.ndim
        shape[value.tensor.quantization.quantizedDimension] = zero.size
        zero = zero.reshape(shape)
    return float(np.mean(found == zero)) if zero.size else float(np.mean(found == 0))


def weights_around_zero(value: Value) -> bool:
    """Whether every zero point is in the middle of the type's range."""
    zero = value.tensor.quantization.zeroPoint
    return zero is None or all(int(each) == MIDDLE.get(value.precision, 0) for each in zero)

"""Values of tensors that a file holds in integers with a scale.

Source: LiteRT 8-bit quantization specification: real = (integer - zero point) · scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def quantised(array: Any, detail: Any) -> Any:
    """Floats as the integers of a tensor, beyond its range the nearest.

    Args:
        array: Any shape, float.
        detail: The tensor as `Interpreter.get_input_details` describes it, with one scale.
    """
    scale, zero = _parameters(detail)
    dtype = np.dtype(detail["dtype"])
    limits = np.iinfo(dtype)
    return np.clip(np.rint(np.asarray(array, np.float64) / scale) + zero, limits.min, limits.max).astype(dtype)


def dequantised(array: Any, detail: Any) -> Any:
    """Integers with a scale and floats of any width as float32; integers without a scale as they are."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and detail["quantization_parameters"]["scales"].size:
        scale, zero = _parameters(detail)
        return ((array.astype(np.float64) - zero) * scale).astype(np.float32)
    return array


def _parameters(detail: Any) -> tuple[float, int]:
    found = detail["quantization_parameters"]
    return float(found["scales"][0]), int(found["zero_points"][0])

"""Options of the quantisation techniques."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Dynamic:
    """Options of `int8-dynamic`.

    Attributes:
        operators: `linear` quantises matrix products (Gemm, MatMul, Attention, LSTM); `all` convolutions and
            embeddings too. ONNX Runtime advises static quantisation for convolutions: theirs are slow when dynamic.
        per_channel: One scale for each output channel of a weight, not one for the whole weight.
    """

    operators: Literal["linear", "all"] = "linear"
    per_channel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Static:
    """Options of `int8-static`.

    Attributes:
        per_channel: One scale for each output channel of a weight, not one for the whole weight.
        symmetric_activations: Activations in int8 around zero, not in uint8 with a zero point. Half of the range of
            a Relu is then unused, and ONNX Runtime runs Relu and Clip as operators of their own.
        method: How a range follows from calibration: its ends (`minmax`), least information lost (`entropy`, Migacz,
            8-bit Inference with TensorRT, GTC 2017), or all but a share of extreme values (`percentile`).
        samples: Rows of the calibration split to use at most, spread evenly over it.
        percentile: Share of values inside the range, in percent, for `percentile`.
        reduce_range: Weights in 7 bits. On x86 processors without VNNI sums of uint8 × int8 products saturate at 16
            bits, and 7 bits avoid that (ONNX Runtime, Quantize ONNX models, section on instruction sets).
    """

    per_channel: bool = True
    symmetric_activations: bool = False
    method: Literal["minmax", "entropy", "percentile"] = "minmax"
    samples: int = 128
    percentile: float = 99.99
    reduce_range: bool = False

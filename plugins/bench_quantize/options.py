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
            OpenVINO has no dynamic convolution at all: there `all` merely stores the other weights in int8.
        per_channel: One scale for each output channel of a weight, not one for the whole weight. On OpenVINO IR it
            is always so.
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
        correct_biases: Take what rounding of the weights does to the mean of each output channel back in its bias, by
            the means of the inputs over the calibration rows (Nagel et al., arXiv:1906.04721, section 4.2).
        max_drop: Points of accuracy on the validation split that may be lost; layers go back to float, the most
            harmful first, until no more is. 0 leaves every layer quantised. On OpenVINO IR only.
    """

    per_channel: bool = True
    symmetric_activations: bool = False
    method: Literal["minmax", "entropy", "percentile"] = "minmax"
    samples: int = 128
    percentile: float = 99.99
    reduce_range: bool = False
    correct_biases: bool = True
    max_drop: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightOnlyInt8:
    """Options of `weight-only-int8`.

    Attributes:
        symmetric: Each output channel in int8 around zero, not in uint8 with a zero point.
    """

    symmetric: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightOnlyInt4:
    """Options of `weight-only-int4`.

    Attributes:
        block: Neighbours along the input axis of a linear layer that share a scale, a power of two from 16 to 256.
        symmetric: Each block around zero, not with a zero point of its own.
        rest: How weights that have no four-bit kernel are stored, those of convolutions first of all: `int8` for each
            output channel, or `float`.
        activations: `float` computes in floats; `int8` lets the runtime round activations to int8 in blocks at every
            inference, which is faster where the processor has integer dot products.
    """

    block: int = 32
    symmetric: bool = True
    rest: Literal["int8", "float"] = "int8"
    activations: Literal["float", "int8"] = "float"

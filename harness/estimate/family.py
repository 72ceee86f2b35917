"""Kernel families: what a runtime's kernels do that a cost depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFamily:
    """Habits of one kernel library.

    Attributes:
        winograd: 3×3 convolutions of stride 1 in float are done by Winograd's method.
        silent_fp16: Float networks compute and are stored in float16 wherever the core has its arithmetic.
        packed_bytes: Bytes of neighbouring channels that the kernels keep together; channels that do not fill them
            take a slower path. 0 where tails are handled inside the kernels.
        vector_weight_bytes: Bytes of a float weight of a fully connected layer, or 0 for the arithmetic's own.
        window_price: Price of convolutions with a window over the prior's, which is that of unrolling every window
            into a matrix; less where windows are read in place.
        winograd_int8: Winograd's method is used in int8 too.
    """

    winograd: bool = False
    silent_fp16: bool = False
    packed_bytes: int = 0
    vector_weight_bytes: int = 0
    window_price: float = 1.0
    winograd_int8: bool = False


FAMILIES: Mapping[str, KernelFamily] = MappingProxyType({
    "ncnn": KernelFamily(
        winograd=True, silent_fp16=True, packed_bytes=16, vector_weight_bytes=2, winograd_int8=True),
    "tflite-ruy": KernelFamily(window_price=0.6),
    "tflite-xnnpack": KernelFamily(window_price=0.5),
    "armnn": KernelFamily(winograd=True, window_price=0.6),
    "mlas": KernelFamily(window_price=0.6),
    "openvino": KernelFamily(window_price=0.5),
    "torch": KernelFamily(window_price=0.5),
    "x-cube-ai": KernelFamily(),
})  # fmt: skip
"""Sources: Tencent/ncnn at commit a4d2ea1, `src/layer/arm/convolution_arm.cpp` (Winograd, `elempack` of 4 float32 or 8
float16 channels, float16 storage and arithmetic with `asimdhp`) and `innerproduct_arm.cpp` (float16 storage on any
vfpv4 core); ARM-software/ComputeLibrary `NEConvolutionLayer` (Winograd for 3×3 of stride 1 with fast math or float).
XNNPACK, ruy, MLAS and oneDNN on Arm have no Winograd by default."""

UNKNOWN_FAMILY = KernelFamily()


def family_of(name: str) -> KernelFamily:
    """Habits of a kernel family; none for one that nobody has described."""
    return FAMILIES.get(name, UNKNOWN_FAMILY)

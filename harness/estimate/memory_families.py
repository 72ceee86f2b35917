"""What the runtimes themselves take: low, median and high for each kernel family, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Span = tuple[float, float, float]
"""Low, median and high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyMemory:
    """Memory habits of a kernel family.

    Attributes:
        base_mib: A process that has loaded the runtime and no model.
        copies: Times that the weights are resident at the peak: as mapped or read, and packed again for the kernels.
        arena: Memory of the run-time tensors over what a packed arena needs.
        workspace: Whether convolutions unroll (im2col) nothing, one row for each thread, or the whole image.
        detection: Memory of detection post-processing with its inputs, in multiples of these inputs as float.
        in_place: Whether pointwise kernels write over their input.
        source: Where the figures come from.
    """

    base_mib: Span
    copies: Span
    arena: Span
    workspace: Literal["none", "row", "whole"]
    detection: Span
    in_place: bool
    source: str


_LOGS = (
    "benchmark logs of EfficientDet-Lite0 to 4 on Raspberry Pi 4 and 5 (rows of nobuo-effdet-logs): growth since the "
    "start of the tool is twice the weights, the arena, 3.2 times the detection inputs and 3 MB; what a program "
    "holds that has just started is an assumption, 5 MiB"
)

FAMILIES: Mapping[str, FamilyMemory] = MappingProxyType({
    "tflite-xnnpack": FamilyMemory(
        base_mib=(4, 8, 25), copies=(1.7, 2.0, 2.2), arena=(0.95, 1.05, 1.25), workspace="none",
        detection=(2.6, 3.2, 3.6), in_place=True, source=f"{_LOGS}; in place: google/XNNPACK src/memory-planner.c",
    ),
    "tflite-ruy": FamilyMemory(
        base_mib=(4, 8, 25), copies=(1.0, 1.1, 2.0), arena=(0.95, 1.05, 1.25), workspace="whole",
        detection=(1.6, 2.1, 3.3), in_place=True,
        source=f"{_LOGS}; weights stay mapped and detection takes 2.1, as in the int8 logs on RISC-V (nobuo-vf2-logs)",
    ),
    "xnnpack": FamilyMemory(
        base_mib=(7, 11, 25), copies=(0.95, 1.0, 2.0), arena=(1.0, 1.0, 1.3), workspace="none", detection=(1, 2, 4),
        in_place=True,
        source="Arm's ExecuTorch model cards, Raspberry Pi 5: GoogLeNet, SqueezeNet and ResNet-18 peak 11 to 17 MB "
               "above their weights, in float and int8: the file is freed after packing",
    ),
    "mlas": FamilyMemory(
        base_mib=(30, 52, 110), copies=(1.0, 1.7, 3.3), arena=(1.0, 1.3, 2.6), workspace="row", detection=(1, 2, 4),
        in_place=True,
        source="Arm's ONNX Runtime cards: 63 to 66 MB for a network of 1 MB; own measurement on x86-64 with version "
               "1.31: 60 MiB for a tiny network in Python, peak 1.5 (matrices) to 3.2 (3x3 convolutions) times the "
               "weights, 2.6 times the live tensors; 1.2 to 1.3: microsoft/onnxruntime pull request 2835",
    ),
    "openvino": FamilyMemory(
        base_mib=(50, 95, 160), copies=(1.0, 1.65, 2.3), arena=(1.0, 1.3, 2.1), workspace="row", detection=(1, 2, 4),
        in_place=True,
        source="own measurement on x86-64 with version 2026.4: 96 MiB for a tiny network in Python, peak 1.6 to 1.7 "
               "times the weights, 2.0 times the live tensors",
    ),
    "torch": FamilyMemory(
        base_mib=(150, 290, 500), copies=(1.0, 1.15, 2.0), arena=(1.0, 1.2, 2.1), workspace="row", detection=(1, 2, 4),
        in_place=False,
        source="own measurement on x86-64 with version 2.13: 221 MiB after the import, 300 with a tiny exported "
               "program, peak 1.0 to 1.2 times the weights, 2.1 times the live tensors",
    ),
    "ncnn": FamilyMemory(
        base_mib=(3, 8, 40), copies=(1.0, 1.5, 4.0), arena=(1.0, 1.2, 1.6), workspace="whole", detection=(1, 2, 4),
        in_place=True,
        source="an assumption: no published peak was found; weights of 3x3 convolutions grow 4 to 7 times by Winograd "
               "(Tencent/ncnn src/layer/arm/convolution_3x3_winograd.h), others are packed once",
    ),
    "armnn": FamilyMemory(
        base_mib=(10, 30, 120), copies=(1.0, 2.0, 3.0), arena=(1.0, 1.1, 1.6), workspace="whole", detection=(1, 2, 4),
        in_place=False, source="an assumption: no published peak was found",
    ),
    "edgetpu": FamilyMemory(
        base_mib=(6, 20, 80), copies=(1.0, 1.1, 2.0), arena=(0.9, 1.1, 2.0), workspace="none",
        detection=(2.6, 3.2, 3.6), in_place=True,
        source="an assumption: the host maps the compiled file and holds inputs and outputs",
    ),
})  # fmt: skip

UNKNOWN = FamilyMemory(
    base_mib=(5, 60, 300), copies=(1.0, 1.5, 3.0), arena=(1.0, 1.2, 2.0), workspace="row", detection=(1, 2, 4),
    in_place=False, source="an assumption for every other family, and wide",
)  # fmt: skip


def memory_of(family: str) -> FamilyMemory:
    """Memory habits of a kernel family, the wide assumption when it is not listed."""
    return FAMILIES.get(family, UNKNOWN)

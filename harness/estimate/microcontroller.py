"""Memory of a network on a microcontroller: RAM for what changes, flash for weights and code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.estimate.arena import arena_bytes, buffers, live_bytes
from harness.estimate.interval import Interval
from harness.estimate.memory import Fits, fits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.estimate.fusion import Kernel
    from harness.estimate.memory_families import Span
    from harness.graph import OpGraph
    from harness.profile import DeviceProfile

KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """What a microcontroller's runtime adds to a network.

    Attributes:
        live: RAM of the run-time tensors over the largest sum that lives at once.
        fixed_ram_kib: RAM of the runtime itself.
        tensor_ram: Bytes of RAM for each tensor, constants among them.
        kernel_ram: Bytes of RAM for each kernel.
        channel_ram: Bytes of RAM for each output channel of a convolution or matrix product.
        code_kib: Flash of the code before any kernel.
        kernel_flash: Bytes of flash for each kernel: code, tables and the graph.
        channel_flash: Bytes of flash for the bias and scale of each output channel.
        source: Where the figures come from.
    """

    live: Span
    fixed_ram_kib: Span
    tensor_ram: Span
    kernel_ram: Span
    channel_ram: Span
    code_kib: Span
    kernel_flash: Span
    channel_flash: Span
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrocontrollerMemory:
    """RAM and flash in bytes."""

    ram_bytes: Interval
    flash_bytes: Interval


NOTHING = (0.0, 0.0, 0.0)

FIRMWARE: Mapping[str, Firmware] = MappingProxyType({
    "x-cube-ai": Firmware(
        live=(0.72, 1.06, 1.25), fixed_ram_kib=(14, 16.4, 20), tensor_ram=NOTHING, kernel_ram=NOTHING,
        channel_ram=NOTHING, code_kib=(25, 38, 60), kernel_flash=(300, 470, 800), channel_flash=(6, 8, 10),
        source="STMicroelectronics/stm32ai-modelzoo image_classification/mobilenetv1/README.md and mobilenetv2: "
               "activation RAM 0.73 to 1.24 of the live tensors (input and output overlap, or scratch is added), "
               "runtime RAM 16.4 KiB, flash beyond the weights 8 bytes a channel, 38 KiB, 0.46 KiB a kernel",
    ),
    "": Firmware(
        live=(1.0, 1.05, 1.3), fixed_ram_kib=(1, 4, 12), tensor_ram=(12, 16, 24), kernel_ram=(32, 64, 128),
        channel_ram=(8, 8, 12), code_kib=(20, 60, 150), kernel_flash=(200, 600, 1500), channel_flash=(8, 16, 24),
        source="tensorflow/tflite-micro tensorflow/lite/micro/docs/memory_management.md: 12 bytes a tensor on 32 "
               "bits, up to 64 a node; multiplier and shift of each channel; 16 KB of core code, kernels assumed",
    ),
})  # fmt: skip
"""By kernel family; "" is an interpreter that plans an arena, as TensorFlow Lite Micro does."""


def microcontroller_memory(graph: OpGraph, kernels: Sequence[Kernel], family: str) -> MicrocontrollerMemory:
    """RAM (arena, structures and runtime) and flash (weights and code) of a network, weights read from flash.

    Inputs that are only quantised and outputs that are only dequantised are int8 there: the caller does the rest.
    """
    habits = FIRMWARE.get(family, FIRMWARE[""])
    graph, kernels = _without_borders(graph, kernels)
    found = buffers(graph, kernels, family)
    live, arena = live_bytes(found), arena_bytes(found)
    tensors = {t.name for kernel in kernels for t in (*kernel.inputs, *kernel.weights, *kernel.outputs)}
    weights = {t.name: t for kernel in kernels for t in kernel.weights}
    channels = sum(_channels(kernel) for kernel in kernels)
    known = sum(t.size_bytes for t in weights.values() if len(t.shape) < 2)  # biases that the graph holds itself
    matrices = sum(t.size_bytes for t in weights.values()) - known
    structures = [
        habits.fixed_ram_kib[i] * KIB
        + habits.tensor_ram[i] * len(tensors)
        + habits.kernel_ram[i] * len(kernels)
        + habits.channel_ram[i] * channels
        for i in range(3)
    ]
    code = [
        habits.code_kib[i] * KIB
        + habits.kernel_flash[i] * len(kernels)
        + max(known, habits.channel_flash[i] * channels)
        for i in range(3)
    ]
    ram = [habits.live[i] * size + structures[i] for i, size in enumerate((live, live, max(live, arena)))]
    return MicrocontrollerMemory(
        ram_bytes=Interval(p50=ram[1], lo90=ram[0], hi90=ram[2]),
        flash_bytes=Interval(p50=matrices + code[1], lo90=matrices + code[0], hi90=matrices + code[2]),
    )


def fits_on(needed: MicrocontrollerMemory, profile: DeviceProfile) -> Fits:
    """Whether RAM and flash both suffice; without a stated flash at best uncertain."""
    ram = fits(needed.ram_bytes, profile.available_bytes)
    flash = profile.memory.flash
    room: Fits = "uncertain" if flash is None else fits(needed.flash_bytes, int(flash.value * KIB))
    if "does not fit" in (ram, room):
        return "does not fit"
    return "fits" if ram == room == "fits" else "uncertain"


def _without_borders(graph: OpGraph, kernels: Sequence[Kernel]) -> tuple[OpGraph, list[Kernel]]:
    inputs, outputs, kept = list(graph.inputs), list(graph.outputs), []
    for kernel in kernels:
        read = [tensor.name for tensor in kernel.inputs]
        made = [tensor.name for tensor in kernel.outputs]
        if kernel.operator.kind == "quantize" and len(read) == 1 and read[0] in graph.inputs:
            inputs = [*(name for name in inputs if name != read[0]), *made]
        elif kernel.operator.kind == "dequantize" and len(made) == 1 and made[0] in graph.outputs:
            outputs = [*(name for name in outputs if name != made[0]), *read]
        else:
            kept.append(kernel)
    return replace(graph, inputs=tuple(dict.fromkeys(inputs)), outputs=tuple(dict.fromkeys(outputs))), kept


def _channels(kernel: Kernel) -> int:
    if not kernel.operator.macs or not kernel.weights or not kernel.outputs:
        return 0
    shape = kernel.outputs[0].shape
    return max(1, shape[1] if len(shape) > 1 else shape[0] if shape else 1)

"""Libraries of 8-bit kernels in torch, which it calls engines; one is chosen when weights are packed for it.

Left to itself, torch takes `x86` on x86 processors, which gives a convolution to FBGEMM or oneDNN by rules of its own.
By these a depthwise convolution with uneven pads goes to FBGEMM's loop without vectors: efficientnet-lite0 in int8 took
42 ms with `x86` and 6 ms with `onednn` on a processor with AVX-512 VNNI, 19 ms in float; no network of the zoo was
slower with `onednn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bench_torch.script_file import ScriptFile, load_script
from harness import ArtifactError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

OWN: str = torch.backends.quantized.engine
"""What torch takes of itself."""


def load_with_engine(path: Path, choice: str) -> tuple[ScriptFile, str]:
    """Load a TorchScript file with its weights packed for an engine, and say which.

    With `auto`, weights that oneDNN does not take (those with a zero point) are packed for torch's own choice.

    Raises:
        ArtifactError: The file is damaged, or the engine does not take its weights.
        UnsupportedError: This build of torch has no such engine.
    """
    engines = _engines(choice)
    for engine in engines[:-1]:
        torch.backends.quantized.engine = engine
        try:
            return load_script(path), engine
        except ArtifactError:
            continue
    torch.backends.quantized.engine = engines[-1]
    return load_script(path), engines[-1]


def sums_saturate() -> bool:
    """Whether sums of products of full 8-bit numbers may saturate at 16 bits: on x86 processors without VNNI."""
    return OWN in {"x86", "fbgemm"} and not has_vnni()


def has_vnni() -> bool:
    """Whether the processor multiplies and accumulates 8-bit numbers in 32 bits at once."""
    found: bool = torch.cpu._is_vnni_supported()  # noqa: SLF001 - nothing public tells
    return found


def _engines(choice: str) -> tuple[str, ...]:
    known = [engine for engine in torch.backends.quantized.supported_engines if engine != "none"]
    if choice == "auto":
        return ("onednn", OWN) if OWN == "x86" and "onednn" in known and has_vnni() else (OWN,)
    if choice not in known:
        raise UnsupportedError(
            f"engine={choice}: this build of torch has no such 8-bit kernels", hint=f"It has: {', '.join(known)}."
        )
    return (choice,)

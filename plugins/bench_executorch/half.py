"""`fp16` on exported programs: weights and values in half precision, inputs and outputs in float."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from bench_executorch.delegation import delegation
from bench_executorch.lowering import HALF, compare, lower
from bench_executorch.quantisation import load_float
from bench_executorch.reader import read
from harness import BuildContext, OpGraph, UnsupportedError, silenced

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FP16 = 65504.0
"""Largest finite number of IEEE 754 binary16."""


def to_fp16(path: Path, context: BuildContext) -> Path:
    """Lower a float program in half precision.

    Raises:
        ArtifactError: It cannot be read or lowered, or gives other numbers in half precision.
        UnsupportedError: It is quantised already, or has weights that half precision does not hold.
    """
    target = context.workdir / "fp16.pte"
    with silenced():
        import torch
        from torch import nn

        class Half(nn.Module):
            """The program between conversions."""

            def __init__(self, inner: Any) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, *inputs: Any) -> Any:
                """Convert, run, convert back."""
                result = self.inner(*(each.half() if each.is_floating_point() else each for each in inputs))
                if isinstance(result, torch.Tensor):
                    return _float(result)
                return tuple(_float(each) for each in result)

        module, example, original = load_float(path, context)
        module = deepcopy(module)  # whose weights are those of the original
        large = sum(int((each.detach().abs() > LARGEST_FP16).sum()) for each in module.parameters())
        if large:
            raise UnsupportedError(
                f"{large} weights are beyond ±{LARGEST_FP16:.0f}, which half precision does not hold",
                hint="Take int8-static.",
            )
        lower(Half(module.half()), example, target)
        line = compare(target, original, context, HALF)
    context.note(line)
    context.note(_storage(read(target)))
    context.note(
        "XNNPACK's kernels read and write halves; without instructions for arithmetic in them, as on most x86 "
        "processors, they compute in float"
    )
    context.note(f"batch 1 only; {delegation(target)}")
    return target


def _storage(graph: OpGraph) -> str:
    """How many layers have their weight in half precision in the file: ExecuTorch's exporter writes those of
    convolutions as floats, which XNNPACK turns into halves when it opens the file."""
    layers = [op for op in graph.operators if op.macs]
    small = sum(any(weight.precision == "fp16" for weight in graph.weights_of(op)) for op in layers)
    return f"weights of {small} of {len(layers)} layers stored in half precision; the others become halves when opened"


def _float(tensor: Any) -> Any:
    return tensor.float() if tensor.is_floating_point() else tensor

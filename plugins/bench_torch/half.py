"""fp16 of a saved module: weights stored in half precision and cast back at each run.

Torch's half-precision kernels on a processor without float16 arithmetic are an order of magnitude slower than its
float32 ones, so arithmetic stays in float32: half the file, the same speed at best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bench_torch.checkpoint import SUFFIX, as_tensors, load, save
from bench_torch.export import run
from harness import BuildContext, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path


class KeptInHalf(nn.Module):
    """A module whose weights (parameters of two or more dimensions) are kept in float16 and used in float32."""

    def __init__(self, module: nn.Module) -> None:
        """Take a module over; its weights are rounded in place."""
        super().__init__()
        self.module = module
        for parameter in module.parameters():
            if parameter.ndim >= 2 and parameter.is_floating_point():
                parameter.data = parameter.data.half()

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Cast the weights and run."""
        weights = {name: p.float() for name, p in self.module.named_parameters() if p.dtype == torch.float16}
        return torch.func.functional_call(self.module, weights, inputs)


def apply(path: Path, options: Any, context: BuildContext) -> Path:  # noqa: ARG001  the technique has no options
    """Technique `fp16` on a checkpoint; raises UnsupportedError where a weight leaves the range of float16."""
    module, stored = load(path)
    example = as_tensors(context.example)
    expected = run(module, example)
    half = KeptInHalf(module).eval()
    if not all(bool(torch.isfinite(p).all()) for p in half.parameters()):
        raise UnsupportedError(
            f"a weight of {type(module).__name__} leaves the range of half precision (65504)",
            hint="Keep it in float32, or quantise it with int8-static.",
        )
    got = run(half, example)
    largest = max((float((a - b).abs().max()) for a, b in zip(got, expected, strict=True) if a.numel()), default=0.0)
    context.note("weights are stored in float16 and computed in float32: a smaller file, not a faster network")
    context.note(f"fp16: max abs error {largest:.2g} against float32 on the example")
    target = context.workdir / f"model{SUFFIX}"
    save(half, stored, target)
    return target

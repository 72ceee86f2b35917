"""`checkpoint → torchscript`: a module traced and frozen at batch 1, checked against the module.

`torch.utils.mobile_optimizer.optimize_for_mobile` takes no part: what it does beyond freezing is to put XNNPACK's
operators into the file, and the builds of torch 2.13 for processors of servers have none ("Mobile optimization only
available with XNNPACK at the moment"), so that they could neither write nor time such a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bench_torch.checkpoint import as_tensors, load
from bench_torch.deprecation import held_back, of_torchscript
from bench_torch.export import Tensors, compare, run
from bench_torch.program import one_line
from bench_torch.script_file import save_script
from harness import ArtifactError, BuildContext

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def convert(path: Path, context: BuildContext) -> Path:
    """Converter; raises ArtifactError when the module can be neither traced nor scripted or gives other numbers."""
    module, _ = load(path)
    return write(module, context, "model.pt")


def write(module: nn.Module, context: BuildContext, name: str) -> Path:
    """Make TorchScript of a module, check it against the module and save it in the work folder."""
    made, said = to_script(module, as_tensors(context.example), context)
    target = context.workdir / name
    save_script(made, target, context.inputs)
    context.note(of_torchscript(said))
    return target


def to_script(module: nn.Module, example: Tensors, context: BuildContext) -> tuple[Any, list[str]]:
    """A frozen network with the module's numbers, and what torch said while it was made.

    Tracing keeps what one run did, branches on values and all; where that fails, or shows on another input, the
    module's source is compiled instead, and a note says so.
    """
    with torch.no_grad(), held_back() as said:
        try:
            made = torch.jit.freeze(torch.jit.trace(module, example, check_trace=False))
            line = _checked(made, module, example, "traced")
        except Exception as exc:  # noqa: BLE001  tracing raises whatever the module's own code raises
            context.note(f"tracing fails, so the module's source was compiled (torch.jit.script): {one_line(exc)}")
            made, line = _compiled(module, example)
    context.note(line)
    fixed = [text for text in said if text.startswith(("Converting a tensor to a Python", "Iterating over a tensor"))]
    # A network of torch.fx has no branches; its scales are numbers that stand in buffers.
    if fixed and line.startswith("traced") and not isinstance(module, torch.fx.GraphModule):
        context.note(f"the trace keeps {len(fixed)} values as they were for the example, such as: {fixed[0][:160]}")
    return made, said


def _compiled(module: nn.Module, example: Tensors) -> tuple[Any, str]:
    try:
        made = torch.jit.freeze(torch.jit.script(module))
    except Exception as exc:
        raise ArtifactError(
            f"TorchScript takes {type(module).__name__} neither traced nor compiled: {one_line(exc)}",
            hint="Take a backend that reads pt2 or onnx; TorchScript is no longer developed.",
        ) from exc
    return made, _checked(made, module, example, "compiled by torch.jit.script")


def _checked(made: Any, module: nn.Module, example: Tensors, how: str) -> str:
    """Compare on the example and on the example back to front, which takes other branches if there are any."""
    line = compare(f"{how} and frozen", run(made, example), module, example)
    turned = tuple(t.flatten().flip(0).reshape(t.shape) for t in example)
    try:
        run(module, turned)
    except (RuntimeError, IndexError, ValueError):  # lengths, masks: not every input can be turned
        return line
    compare(f"{how} and frozen, on another input", run(made, turned), module, turned)
    return line

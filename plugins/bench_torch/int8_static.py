"""`int8-static` from a checkpoint to TorchScript: layers in int8 by torch's own kernels, ranges from calibration rows.

The module is quantised in FX graph mode (`torch.ao.quantization.quantize_fx`) and traced. Where torch.fx cannot follow
its code, or it has attention, each layer is quantised by itself, with float between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bench_torch.bias_shift import Shifts
from bench_torch.checkpoint import as_tensors, load
from bench_torch.deprecation import held_back, of_quantisation
from bench_torch.engine import sums_saturate
from bench_torch.int8_coverage import coverage, sentence
from bench_torch.layers import close_pads, has_attention, open_sixes, traced_layers
from bench_torch.script_export import write
from harness import ArtifactError, BuildContext, Split, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch.fx import GraphModule

LAYERS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)

LARGEST = 127
"""Weights lie around zero in -127 to 127; with `reduce_range` in 7 bits."""

LARGEST_REDUCED = 63


def quantise_static(path: Path, options: Any, context: BuildContext) -> Path:
    """Quantise the module of a checkpoint; inputs and outputs stay float.

    Raises:
        ArtifactError: No calibration rows, rows that do not fit the model, or TorchScript does not take the module.
        UnsupportedError: An option out of its range, or a module without a layer that has 8-bit kernels.
    """
    if options.samples < 1:
        raise UnsupportedError(f"samples={options.samples}: at least one row is needed", hint="Take 100 or more.")
    split = _split(context)
    rows = [int(row) for row in np.linspace(0, len(split) - 1, min(options.samples, len(split))).round()]
    module, example = load(path)
    with held_back(), torch.no_grad():
        traced = traced_layers(module)
        alone = "torch.fx cannot follow the module's code" if traced is None else ""
        alone = "as a transformer" if traced is not None and has_attention(traced) else alone
        if alone or traced is None:
            prepared, finish = _each_layer(module, options)
        else:
            prepared, finish = _whole(traced, example, options)
        shifts = Shifts(prepared)
        for row in rows:
            prepared(*as_tensors(tuple(x[row : row + 1] for x in split.inputs)))
        shifts.stop()
        corrected = shifts.correct() if options.correct_biases else 0
        made = finish(prepared)
    found = coverage(made)
    if not any(small for small, _ in found.values()):
        raise UnsupportedError("int8-static found no layer to quantise", hint="Leave it out for this model.")
    result = write(made, context, "int8-static.pt")
    context.note(f"calibrated on {len(rows)} of {len(split)} rows, method minmax")
    context.note(sentence(found))
    if alone:
        context.note(f"quantised {alone}: each layer by itself, all between them in float")
    if options.correct_biases:
        context.note(f"biases corrected: {corrected}")
    if not options.reduce_range and sums_saturate():
        context.note("this processor has no VNNI, where sums of 8-bit products may saturate: take reduce_range=true")
    context.note(of_quantisation())
    return result


def _whole(traced: GraphModule, example: tuple[torch.Tensor, ...], options: Any) -> tuple[Any, Callable[..., Any]]:
    """Observers everywhere that torch has 8-bit kernels, and what turns the calibrated network into one in int8."""
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    close_pads(traced)
    open_sixes(traced)
    mapping = get_default_qconfig_mapping(torch.backends.quantized.engine).set_global(_rule(options))

    return prepare_fx(traced, mapping, example), convert_fx


def _each_layer(module: nn.Module, options: Any) -> tuple[Any, Callable[..., Any]]:
    """The same with a quantise and a dequantise around each layer alone."""
    from torch.ao.quantization import QuantWrapper, convert, prepare

    rule = _rule(options)
    for name, part in list(module.named_modules()):
        if type(part) in LAYERS:
            wrapped = QuantWrapper(part)
            wrapped.qconfig = rule
            owner, _, last = name.rpartition(".")
            setattr(module.get_submodule(owner), last, wrapped)
    return prepare(module), convert


def _rule(options: Any) -> Any:
    from torch.ao.quantization import MinMaxObserver, PerChannelMinMaxObserver, QConfig

    largest = LARGEST_REDUCED if options.reduce_range else LARGEST
    kind = PerChannelMinMaxObserver if options.per_channel else MinMaxObserver
    scheme = torch.per_channel_symmetric if options.per_channel else torch.per_tensor_symmetric
    return QConfig(
        activation=MinMaxObserver.with_args(dtype=torch.quint8, qscheme=torch.per_tensor_affine),
        weight=kind.with_args(dtype=torch.qint8, qscheme=scheme, quant_min=-largest, quant_max=largest),
    )


def _split(context: BuildContext) -> Split:
    """The calibration split; raises ArtifactError when there is none, or its rows have another shape."""
    split = context.data.split("calibration") if context.data is not None else None
    if split is None or len(split) == 0:
        name = (
            "the model has no data" if context.data is None else f"data {context.data.name!r} has no calibration rows"
        )
        raise ArtifactError(
            f"int8-static needs rows to calibrate with, but {name}",
            hint="Give data with --data, or take int8-dynamic, which needs none.",
        )
    given = [array.shape[1:] for array in split.inputs]
    wanted = [array.shape[1:] for array in context.example]
    if given != wanted:
        raise ArtifactError(
            f"the model takes rows of shapes {wanted}, but calibration rows have {given}",
            hint="Give data made for this model.",
        )
    return split

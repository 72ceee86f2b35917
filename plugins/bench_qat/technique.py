"""`qat-int8`: training that sees the quantisation, then a program of int8 weights and quantised activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.fx import GraphModule
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_qat_pt2e

from bench_qat.capture import capture, one_line, save
from bench_qat.coverage import coverage, layers, sentence
from bench_qat.folding import LoneNorm, fold, set_folded
from bench_qat.network import SimulatedInt8, without_dropout
from bench_qat.quantizer import Int8Quantizer, quantised_layer
from harness import ArtifactError, BuildContext, Split, Training, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench_qat.capture import Tensors
    from bench_qat.options import QatInt8

CALIBRATION_BATCH = 32

TOLERANCE = 1e-3
"""Largest relative error of the captured network with quantisation switched off: another order of additions stays
below 1e-5 of the output, an operator that was captured wrongly above 1e-2."""


def quantise(module: nn.Module, options: QatInt8, context: BuildContext) -> Path:
    """Train a copy of a module with simulated int8 and write the quantised program, `.pt2`.

    Raises:
        UnsupportedError: An option out of its range, no rows to calibrate or train with, or a network that
            torch.export does not take with a free batch.
        ArtifactError: Nothing in the network can be int8, or torchao fails on it.
    """
    _check(options)
    example = tuple(torch.from_numpy(np.array(array, order="C")) for array in context.example)
    graph = capture(module, example)
    before = layers(graph)
    folded = fold(graph)
    if not any(quantised_layer(node) for node in graph.graph.nodes):
        raise ArtifactError(
            f"{type(module).__name__} has no convolution or linear layer in float32 that can be int8",
            hint="Leave qat-int8 out, or take a technique for such networks.",
        )
    _note_norms(graph, len(folded), context)
    prepared = _prepare(graph, options)
    network = SimulatedInt8(prepared, folded)
    _compare(network, module, example)
    network.calibrate(_calibration(options, context))
    _train(network, options, context)
    network.settle(example)
    set_folded(prepared, folded)
    without_dropout(prepared)
    converted = _convert(prepared)
    context.note(sentence(coverage(converted, before)))
    context.note("torch runs this program as simulated int8, in float; converted to ONNX it runs in integers")
    result = context.workdir / "qat-int8.pt2"
    save(converted, example, context.inputs, result)
    return result


def _check(options: QatInt8) -> None:
    if options.calibration_samples < 1:
        raise UnsupportedError(
            f"calibration_samples={options.calibration_samples}: at least one row is needed", hint="Take 100 or more."
        )
    if not 0.0 <= options.freeze_after <= 1.0:
        raise UnsupportedError(
            f"freeze_after={options.freeze_after}: must be from 0 to 1", hint="1 never freezes, 0.7 is usual."
        )
    if not 0.0 <= options.epochs < float("inf"):
        raise UnsupportedError(f"epochs={options.epochs}: must be 0 or more", hint="5 to 20 is usual.")
    if not 0.0 < options.learning_rate < float("inf"):
        raise UnsupportedError(
            f"learning_rate={options.learning_rate}: must be above 0", hint="A tenth of the network's own is usual."
        )


def _note_norms(graph: GraphModule, folded: int, context: BuildContext) -> None:
    lone = sum(isinstance(module, LoneNorm) for module in graph.modules())
    if lone:
        context.note(
            f"batch normalisation: {folded} folded into the layer before, {lone} with no such layer left in float"
        )


def _prepare(graph: GraphModule, options: QatInt8) -> GraphModule:
    try:
        prepared: GraphModule = prepare_qat_pt2e(graph, Int8Quantizer(per_channel=options.per_channel))
    except Exception as exc:
        raise ArtifactError(
            f"torchao cannot prepare the network for training: {one_line(exc)}",
            hint="int8-static quantises without training.",
        ) from exc
    return prepared


def _convert(prepared: GraphModule) -> GraphModule:
    try:
        converted = convert_pt2e(prepared)
    except Exception as exc:
        raise ArtifactError(
            f"torchao cannot convert the trained network: {one_line(exc)}",
            hint="int8-static quantises without training.",
        ) from exc
    return GraphModule(converted, converted.graph)  # which holds no parameter that the graph does not read


def _compare(network: SimulatedInt8, module: nn.Module, example: Tensors) -> None:
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            expected, got = _flat(module(*example)), _flat(network.run_in_float(example))
    finally:
        for part, training in modes:
            part.training = training
    error = float(torch.linalg.vector_norm(got - expected))
    size = float(torch.linalg.vector_norm(expected))
    if not error <= TOLERANCE * size:  # so that NaN fails too
        raise ArtifactError(
            f"the captured network gives other numbers than the module: relative error {error / (size or 1.0):.2g}, "
            f"at most {TOLERANCE:.0e} is allowed",
            hint="An operator that writes to a view of its input? Write it without.",
        )


def _flat(result: Any) -> torch.Tensor:
    outputs = (result,) if isinstance(result, torch.Tensor) else result
    if not isinstance(outputs, tuple | list) or not all(isinstance(item, torch.Tensor) for item in outputs):
        raise ArtifactError(
            f"the module returns {type(result).__name__}, not a tensor or a tuple of tensors",
            hint="Wrap it in a module whose forward returns tensors.",
        )
    return torch.cat([item.double().flatten() for item in outputs])


def _calibration(options: QatInt8, context: BuildContext) -> Iterator[Tensors]:
    name, split = _calibration_split(context)
    rows = np.linspace(0, len(split) - 1, min(options.calibration_samples, len(split))).round().astype(np.int64)
    context.note(f"first ranges of activations from {len(rows)} of {len(split)} {name} rows")
    for start in range(0, len(rows), CALIBRATION_BATCH):
        chosen = rows[start : start + CALIBRATION_BATCH]
        yield tuple(torch.from_numpy(np.ascontiguousarray(array[chosen])) for array in split.inputs)


def _calibration_split(context: BuildContext) -> tuple[str, Split]:
    for name in ("calibration", "train"):
        split = context.data.split(name) if context.data is not None else None
        if split is not None and len(split):
            return name, split
    raise UnsupportedError(
        "qat-int8 needs rows to train with, and there are none", hint="Give labelled data with --data."
    )


def _train(network: SimulatedInt8, options: QatInt8, context: BuildContext) -> None:
    def before_step(step: int, steps: int) -> None:
        if not network.frozen and step >= options.freeze_after * steps:
            network.freeze()

    if options.epochs == 0:
        context.note("epochs=0: not trained, static quantisation of the network as it was")
        return
    trained = context.train(
        network,
        Training(epochs=options.epochs, learning_rate=options.learning_rate, before_step=before_step, keep_zeros=True),
    )
    context.note(f"trained with simulated int8: {trained}")

"""From a checkpoint to a clean ONNX file."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import torch

from bench_torch.checkpoint import as_tensors, load
from bench_torch.export import compare, export_program
from bench_torch.program import one_line, quiet
from harness import ArtifactError, BuildContext

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

OPSET = 18
"""What the exporter is written against; other opsets go through a converter that may fail without a word."""


def convert(path: Path, context: BuildContext) -> Path:
    """Converter `checkpoint → onnx`; raises ArtifactError when the exporter fails or the file gives other numbers."""
    module, _ = load(path)
    example = as_tensors(context.example)
    model = export(export_program(module, example, context.inputs, context.note), context)
    target = save(model, context)
    context.note(compare("ONNX", run_onnx(target, context.example), module, example))
    return target


def clean(model: onnx.ModelProto) -> None:
    """Drop what the exporter adds and nobody needs, in place.

    Shapes of initialisers repeat what the initialisers say, and ONNX Runtime's `quantize_dynamic` refuses the file
    over them. Metadata is a Python traceback per node.
    """
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    kept = [value for value in graph.value_info if value.name not in constants]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]


def export(program: torch.export.ExportedProgram, context: BuildContext) -> onnx.ModelProto:
    """Write a program as ONNX, cleaned, its free batch named `batch`; raises ArtifactError when the exporter fails."""
    try:
        with (
            warnings.catch_warnings(),
            quiet("torch.onnx._internal.exporter._registration", "torchvision is not installed"),
        ):
            # torch's own use of a name that torch itself has deprecated.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
            exported: Any = torch.onnx.export(
                program,
                (),
                dynamo=True,
                input_names=[spec.name for spec in context.inputs],
                output_names=list(context.outputs),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    except Exception as exc:
        raise ArtifactError(
            f"torch.onnx.export failed: {one_line(exc)}",
            hint="An operator without an ONNX counterpart? Try a backend that reads pt2, such as torch.",
        ) from exc
    model: onnx.ModelProto = exported.model_proto
    clean(model)
    _name_batch(model)
    opset = next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)
    if opset != OPSET:
        context.note(f"ONNX opset {opset} came out instead of {OPSET}")
    return model


def save(model: onnx.ModelProto, context: BuildContext) -> Path:
    """Write the file; raises ArtifactError when it is not valid."""
    import onnx

    target = context.workdir / "model.onnx"
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise ArtifactError(f"torch.onnx.export wrote an invalid file: {one_line(exc)}") from exc
    onnx.save(model, target)
    return target


def _name_batch(model: onnx.ModelProto) -> None:
    """Give the free first dimension of the inputs the name `batch`; torch calls it s77 or the like."""
    symbols = {
        value.type.tensor_type.shape.dim[0].dim_param
        for value in model.graph.input
        if value.type.tensor_type.shape.dim and value.type.tensor_type.shape.dim[0].dim_param
    }
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            for symbol in symbols:
                if dimension.dim_param:
                    dimension.dim_param = re.sub(rf"\b{re.escape(symbol)}\b", "batch", dimension.dim_param)


def run_onnx(path: Path, example: tuple[Any, ...], *, optimised: bool = True) -> tuple[torch.Tensor, ...]:
    """Outputs of onnxruntime, or without its optimisations, operator by operator; raises ArtifactError."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]
        outputs = session.run(None, dict(zip(names, example, strict=True)))
    except Exception as exc:
        raise ArtifactError(f"the exported ONNX file does not run in onnxruntime: {one_line(exc)}") from exc
    return tuple(torch.from_numpy(output) for output in outputs)

"""Reads an ONNX file as an `OpGraph`: bound, folded, normalised, then put into the harness's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_onnx.attention import expand_attention
from bench_onnx.binding import bind_batch, tensor_types
from bench_onnx.dynamic import normalise_dynamic
from bench_onnx.folding import fold
from bench_onnx.gelu import fuse_gelu
from bench_onnx.identity import HINT
from bench_onnx.model_file import blaming, load_model
from bench_onnx.network import Network, network_of
from bench_onnx.operators import Emission, emit, tensor
from bench_onnx.qdq import normalise_qdq
from bench_onnx.qoperator import rewrite_qoperators
from bench_onnx.weight_scales import note_weight_scales
from harness import ArtifactError, OpGraph

if TYPE_CHECKING:
    from pathlib import Path

    import onnx


def read(path: Path) -> OpGraph:
    """Read a file; quantisation in QDQ, QOperator, dynamic and weight-only form gives the same kinds of operators.

    Parameters are the elements of trained constants, each counted once: weights, biases, scales and shifts of
    normalisation, embeddings. Running statistics, scales, zero points and shapes are none.

    Raises:
        ArtifactError: The file cannot be read, or its graph is not whole.
    """
    model = load_model(path)
    with blaming(path):
        return _read(model, path)


def _read(model: onnx.ModelProto, path: Path) -> OpGraph:
    bind_batch(model)
    network = network_of(model, tensor_types(model))
    _check_whole(network, path)
    network = fuse_gelu(expand_attention(fold(rewrite_qoperators(note_weight_scales(network)))))
    network = normalise_dynamic(normalise_qdq(network))
    emission = Emission(network=network)
    for name in (*network.inputs, *network.outputs):
        emission.tensors[name] = tensor(name, network)
    for node in network.nodes:
        emit(node, emission)
    return OpGraph(
        name=network.name or path.stem,
        inputs=network.inputs,
        outputs=network.outputs,
        tensors=emission.tensors,
        operators=tuple(emission.operators),
        parameters=sum(emission.tensors[name].elements for name in emission.parameters),
    )


def _check_whole(network: Network, path: Path) -> None:
    """Every tensor that is read must have been made before."""
    made = {*network.inputs, *network.constants, ""}
    for node in network.nodes:
        for name in node.inputs:
            if name not in made:
                what = f"{node.source} {node.name!r} reads {name!r}, which nothing makes before it"
                raise ArtifactError(f"{path}: {what}", hint=HINT)
        made.update(node.outputs)
    for name in network.outputs:
        if name not in made:
            raise ArtifactError(f"{path}: nothing makes the output {name!r}", hint=HINT)

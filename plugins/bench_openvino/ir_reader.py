"""Reads an IR as an `OpGraph`: parsed, folded, normalised, then put into the harness's words; without OpenVINO."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench_openvino.ir_attention import expand_attention
from bench_openvino.ir_file import HINT, load
from bench_openvino.ir_links import join, known
from bench_openvino.ir_network import network_of
from bench_openvino.ir_operators import Emission, emit
from bench_openvino.ir_quantised import fold_quantisers
from harness import ArtifactError, OpGraph

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> OpGraph:
    """Read a folder with model.xml and model.bin, or an .xml file with the .bin beside it.

    Parameters are the elements of trained constants, each counted once, as the ONNX reader counts them.

    Raises:
        ArtifactError: The file cannot be read, or its graph is not whole.
    """
    file = load(path)
    try:
        network = expand_attention(join(network_of(file)))
        network = replace(network, nodes=tuple(replace(n, kind=known(n, network)) for n in network.nodes))
        network = fold_quantisers(network)
        emission = Emission(network=network)
        for name in (*network.inputs, *network.outputs):
            emission.tensors[name] = network.tensors[name]
        for node in network.nodes:
            emit(node, emission)
    except (KeyError, IndexError, ValueError) as error:
        raise ArtifactError(f"{path}: not an IR of OpenVINO, or a damaged one ({error!r})", hint=HINT) from error
    return OpGraph(
        name=file.name,
        inputs=network.inputs,
        outputs=network.outputs,
        tensors=emission.tensors,
        operators=tuple(emission.operators),
        parameters=sum(emission.tensors[name].elements for name in emission.parameters),
    )

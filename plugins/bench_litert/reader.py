"""Reads a .tflite file as an `OpGraph`: weights unpacked, pictures turned channels second, in the harness's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_litert.network import network_of
from bench_litert.operators import Emission, emit, shown_tensor
from bench_litert.schema_file import blaming, load
from harness import OpGraph

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> OpGraph:
    """Read the main graph of a file; float, dynamic, weight-only and static quantisation give the same kinds.

    The file keeps pictures channels last; the graph shows their shapes and axes channels second, as graphs of other
    formats do, inputs of the network among them. Parameters are the elements of trained constants, each counted once.

    Raises:
        ArtifactError: The file is missing, empty, damaged or no LiteRT file.
    """
    model = load(path)
    with blaming(path):
        network = network_of(model)
        emission = Emission(network=network)
        for node in network.nodes:
            emit(node, emission)
        for index in (*network.inputs, *network.outputs):
            emission.tensors.setdefault(network.values[index].name, shown_tensor(index, emission))
        return OpGraph(
            name=network.name or path.stem,
            inputs=tuple(network.values[index].name for index in network.inputs),
            outputs=tuple(network.values[index].name for index in network.outputs),
            tensors=emission.tensors,
            operators=tuple(emission.operators),
            parameters=sum(
                elements
                for elements in {
                    network.values[index].tensor.buffer: emission.tensors[network.values[index].name].elements
                    for index in emission.parameters
                }.values()
            ),
        )

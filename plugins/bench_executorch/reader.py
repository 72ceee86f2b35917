"""`.pte → OpGraph`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_executorch.network import network_of
from bench_executorch.operators import Emission, emit, shown_tensor
from bench_executorch.program_file import blaming, load
from harness import OpGraph

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> OpGraph:
    """Read the graph of a method, what XNNPACK took of it included.

    Raises:
        ArtifactError: The file cannot be read.
        UnsupportedError: It has several methods, none of them `forward`.
    """
    program = load(path)
    with blaming(path):
        network = network_of(program)
        emission = Emission(network)
        for index in network.inputs:
            emission.tensors[network.values[index].name] = shown_tensor(index, emission)
        for node in network.nodes:
            emit(node, emission)
        for index in network.outputs:
            emission.tensors.setdefault(network.values[index].name, shown_tensor(index, emission))
        return OpGraph(
            name=program.method,
            inputs=tuple(network.values[index].name for index in network.inputs),
            outputs=tuple(network.values[index].name for index in network.outputs),
            tensors=emission.tensors,
            operators=tuple(emission.operators),
            parameters=sum(emission.tensors[network.values[i].name].elements for i in emission.parameters),
        )

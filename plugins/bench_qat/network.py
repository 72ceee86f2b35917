"""The network as it is trained: quantisation simulated in float, normalisation and dropout alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.fx import GraphModule
from torchao.quantization.pt2e import FakeQuantize

from bench_qat.capture import filled
from bench_qat.folding import LoneNorm, NormalisedLayer, call_instead
from bench_qat.quantizer import DROPOUTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch.fx import Graph, Node

    from bench_qat.capture import Tensors
    from bench_qat.folding import Folded


class Dropout(nn.Module):
    """A dropout operator that acts in training only."""

    def __init__(self, operator: Any, share: float) -> None:
        """Take the operator and the share that it drops."""
        super().__init__()
        self.operator, self.share = operator, share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x, in training with a share of it dropped."""
        result: torch.Tensor = self.operator(x, self.share, self.training)
        return result


class SimulatedInt8(nn.Module):
    """A prepared graph with layers that normalise, and dropout; shares every parameter and range with that graph.

    Ranges of activations follow the data in training, until they are frozen; those of weights always follow the
    weights.
    """

    def __init__(self, prepared: GraphModule, folded: tuple[Folded, ...]) -> None:
        """Build the network on a copy of the graph, in evaluation mode."""
        super().__init__()
        self.network = _trainable(prepared, folded)
        self.frozen = False
        weights = {id(item) for item in _of_weights(prepared)}
        ranges = [item for item in self.network.modules() if isinstance(item, FakeQuantize)]
        self._activations = [item for item in ranges if id(item) not in weights]
        self.eval()

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return what the graph returns."""
        return self.network(*inputs)

    def train(self, mode: bool = True) -> SimulatedInt8:  # noqa: FBT001, FBT002  torch's own signature
        """Set training mode; only there do the ranges of activations follow the data."""
        super().train(mode)
        self._observe(on=mode and not self.frozen)
        return self

    def freeze(self) -> None:
        """Keep the ranges of activations and the statistics of normalisation as they are from now on."""
        self.frozen = True
        self._observe(on=False)
        for item in self.network.modules():
            if isinstance(item, NormalisedLayer | LoneNorm):
                item.frozen = True

    def calibrate(self, batches: Iterable[Tensors]) -> None:
        """Set the ranges of activations to the mean over batches, run in float."""
        self.eval()
        self._observe(on=True)
        self._quantise(on=False)
        averaging = [item.activation_post_process.averaging_constant for item in self._activations]
        with torch.no_grad():
            for count, batch in enumerate(batches, 1):
                for item in self._activations:
                    item.activation_post_process.averaging_constant = 1 / count
                self.network(*batch)
        for item, constant in zip(self._activations, averaging, strict=True):
            item.activation_post_process.averaging_constant = constant
        self._quantise(on=True)
        self._observe(on=False)

    def settle(self, inputs: Tensors) -> None:
        """Bring the ranges of the weights up to the last step, which changed them after they were observed."""
        self.eval()
        with torch.no_grad():
            self.network(*inputs)

    def run_in_float(self, inputs: Tensors) -> Any:
        """Outputs with quantisation switched off, in evaluation mode."""
        self.eval()
        self._quantise(on=False)
        with torch.no_grad():
            result = self.network(*inputs)
        self._quantise(on=True)
        return result

    def _observe(self, *, on: bool) -> None:
        for item in self._activations:
            item.enable_observer(on)

    def _quantise(self, *, on: bool) -> None:
        for item in self.network.modules():
            if isinstance(item, FakeQuantize):
                item.enable_fake_quant(on)


def without_dropout(graph_module: GraphModule) -> None:
    """Remove every dropout, in place: a deployed network has none."""
    for node in list(graph_module.graph.nodes):
        if node.target in DROPOUTS:
            node.replace_all_uses_with(node.args[0])
            graph_module.graph.erase_node(node)
    graph_module.recompile()


def _trainable(prepared: GraphModule, folded: tuple[Folded, ...]) -> GraphModule:
    network = GraphModule(prepared, _copy(prepared))
    nodes = {node.name: node for node in network.graph.nodes}
    for item in folded:
        layer = nodes[item.layer]
        weight, bias = filled(layer)[1:3]
        if weight.op == "call_module":
            item.norm.quantise = prepared.get_submodule(str(weight.target))
        call_instead(network, layer, f"normalised_{layer.name}", item.norm)
        for part, name in ((weight, item.weight), (bias, item.bias)):
            _erase_unread(network, part)
            delattr(network, name)
    for node in list(network.graph.nodes):
        if node.target in DROPOUTS:
            call_instead(network, node, f"active_{node.name}", Dropout(node.target, float(node.args[1])))
    network.graph.eliminate_dead_code()
    network.delete_all_unused_submodules()
    network.recompile()
    return network


def _copy(prepared: GraphModule) -> Graph:
    graph = torch.fx.Graph()
    graph.output(graph.graph_copy(prepared.graph, {}))
    graph.set_codegen(prepared.graph._codegen)  # noqa: SLF001  inputs and outputs keep their structure
    return graph


def _erase_unread(network: GraphModule, part: Node) -> None:
    """Erase a folded parameter and what quantises it: the range would follow a weight that nobody trains."""
    before = part.all_input_nodes
    network.graph.erase_node(part)
    for node in before:
        _erase_unread(network, node)


def _of_weights(prepared: GraphModule) -> list[nn.Module]:
    return [
        prepared.get_submodule(str(node.target))
        for node in prepared.graph.nodes
        if node.op == "call_module" and getattr(node.args[0], "op", "") == "get_attr"
    ]

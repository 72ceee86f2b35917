"""Which tensors are quantised: what `XNNPACKQuantizer` says, but for clamps.

It quantises the result of a convolution before the clamp that follows it, unless that is a ReLU: XNNPACK then runs the
clamp as an operator of its own, and part of the eight bits holds values that it throws away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (  # type: ignore[import-untyped]
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from torchao.quantization.pt2e import MinMaxObserver
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationConfig,
    QuantizationSpec,
    Quantizer,
)

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

aten = torch.ops.aten

CONVOLUTIONS = frozenset({aten.conv1d.default, aten.conv2d.default})
CLAMPS = frozenset({
    aten.relu6.default, aten.relu6_.default, aten.hardtanh.default, aten.hardtanh_.default, aten.clamp.default,
})  # fmt: skip
PRODUCTS = (aten.linear.default, aten.conv1d.default, aten.conv2d.default)
"""What is quantised of a network with attention: masks of minus infinity and sums before a normalisation have ranges
that eight bits do not span."""

ATTENTION = frozenset({aten.softmax.int, aten._softmax.default, aten.scaled_dot_product_attention.default})  # noqa: SLF001

SMALLEST_SCALE = 2.0**-12
"""As in ExecuTorch's `get_symmetric_quantization_config`."""

KEY = "quantization_annotation"


class Int8Quantizer(Quantizer):  # type: ignore[misc]
    """Annotates a graph for XNNPACK's integer kernels."""

    def __init__(self, *, per_channel: bool, symmetric_activations: bool, products_only: bool) -> None:
        """Set the specification of weights and activations; ranges of activations are those seen."""
        given = get_symmetric_quantization_config(is_per_channel=per_channel)
        self._activation = QuantizationSpec(
            dtype=torch.int8,
            quant_min=-128,
            quant_max=127,
            qscheme=torch.per_tensor_symmetric if symmetric_activations else torch.per_tensor_affine,
            observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=SMALLEST_SCALE),
        )
        self._weight = given.weight
        config = QuantizationConfig(self._activation, self._activation, given.weight, given.bias, is_qat=False)
        self._rest = XNNPACKQuantizer()
        for operator in PRODUCTS if products_only else ():
            self._rest.set_operator_type(operator, config)
        if not products_only:
            self._rest.set_global(config)

    def transform_for_annotation(self, model: GraphModule) -> GraphModule:
        """Make tensors of constants that are added or multiplied."""
        transformed: GraphModule = self._rest.transform_for_annotation(model)
        return transformed

    def annotate(self, model: GraphModule) -> GraphModule:
        """Say at each node which of its inputs and whether its output are quantised."""
        for node in model.graph.nodes:
            if node.target in CLAMPS and getattr(node.args[0], "target", None) in CONVOLUTIONS:
                self._annotate_clamped(node.args[0], node)
        annotated: GraphModule = self._rest.annotate(model)
        return annotated

    def validate(self, model: GraphModule) -> None:
        """Accept every graph: what cannot be integer stays in float."""

    def _annotate_clamped(self, layer: Node, clamp: Node) -> None:
        if len(layer.users) == 1:
            layer.meta[KEY] = QuantizationAnnotation(
                input_qspec_map={layer.args[0]: self._activation, layer.args[1]: self._weight}, _annotated=True
            )
            clamp.meta[KEY] = QuantizationAnnotation(output_qspec=self._activation, _annotated=True)


def has_attention(model: GraphModule) -> bool:
    """Whether a network has a softmax that something after it multiplies with."""
    return any(node.target in ATTENTION and _goes_on(node) for node in model.graph.nodes)


def _goes_on(node: Node) -> bool:
    return not all(user.op == "output" for user in node.users)

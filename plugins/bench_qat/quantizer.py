"""Which tensors are quantised, and how: what integer kernels of ONNX Runtime and OpenVINO can run.

Weights are int8 around zero, -127 to 127 (Jacob et al., section 3; a zero stays exactly zero); activations are uint8
with a zero point. An operator with an integer kernel is quantised on both sides, one that only moves data shares the
range of what it moves, and everything else is left in float.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torchao.quantization.pt2e import (
    FakeQuantize,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
)
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)

from bench_qat.capture import filled
from bench_qat.folding import LAYERS

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

aten = torch.ops.aten

ACTIVATIONS = frozenset({aten.relu.default, aten.relu6.default, aten.hardtanh.default, aten.clamp.default})
"""What integer kernels do by clamping their result."""

DROPOUTS = frozenset({aten.dropout.default, aten.feature_dropout.default, aten.alpha_dropout.default})

POINTWISE = frozenset({aten.add.Tensor, aten.mul.Tensor})

CONCAT = frozenset({aten.cat.default, aten.concat.default})

POOLS = frozenset({
    aten.avg_pool1d.default, aten.avg_pool2d.default, aten.adaptive_avg_pool1d.default,
    aten.adaptive_avg_pool2d.default, aten.mean.dim, aten.sigmoid.default, aten.leaky_relu.default,
})  # fmt: skip
"""Other operators of one tensor with an integer kernel; the result has a range of its own."""

MOVERS = frozenset({
    aten.max_pool1d.default, aten.max_pool2d.default, aten.flatten.using_ints, aten.reshape.default,
    aten.view.default, aten.permute.default, aten.transpose.int, aten.squeeze.default, aten.squeeze.dim,
    aten.squeeze.dims, aten.unsqueeze.default, aten.contiguous.default, aten.clone.default, aten.slice.Tensor,
    aten.upsample_nearest2d.vec, aten.upsample_nearest2d.default, aten.pixel_shuffle.default,
})  # fmt: skip
"""Operators whose result holds only values of their first input."""

AVERAGING = 0.01
"""Weight of a batch in the moving average of an activation's range, as in torchao's own quantizers."""


class Int8Quantizer(Quantizer):  # type: ignore[misc]
    """Annotates a graph in which normalisation is folded."""

    def __init__(self, *, per_channel: bool) -> None:
        """Set the specification of weights and activations."""
        per_tensor = MovingAverageMinMaxObserver
        self.activation = QuantizationSpec(
            dtype=torch.uint8,
            quant_min=0,
            quant_max=255,
            qscheme=torch.per_tensor_affine,
            observer_or_fake_quant_ctr=FakeQuantize.with_args(observer=per_tensor, averaging_constant=AVERAGING),
        )
        # A moving average of weight 1 is the range of the weights as they are.
        self.weight = QuantizationSpec(
            dtype=torch.int8,
            quant_min=-127,
            quant_max=127,
            qscheme=torch.per_channel_symmetric if per_channel else torch.per_tensor_symmetric,
            ch_axis=0 if per_channel else None,
            observer_or_fake_quant_ctr=FakeQuantize.with_args(
                observer=MovingAveragePerChannelMinMaxObserver if per_channel else per_tensor, averaging_constant=1.0
            ),
        )

    def annotate(self, model: GraphModule) -> GraphModule:
        """Say at each node which of its inputs and whether its output are quantised."""
        integer = {node for node in model.graph.nodes if _integer(node)}
        integer |= _movers_before(model, integer)
        for node in model.graph.nodes:
            if node in integer:
                self._annotate(node)
        return model

    def validate(self, model: GraphModule) -> None:
        """Accept every graph: what cannot be integer stays in float."""

    def _annotate(self, node: Node) -> None:
        if node.target in MOVERS:
            source = _quantise_at(node, node.args[0])
            _add(source[1], inputs={source[0]: self.activation})
            _add(node, output=SharedQuantizationSpec(source))
            return
        for data in _data(node):
            source, reader = _quantise_at(node, data)
            _add(reader, inputs={source: self.activation})
        if node.target in LAYERS:
            _add(node, inputs={filled(node)[1]: self.weight})
        if node.target is not aten.linear.default:  # whose result may stay in sums, as that of a last layer should
            _add(_clamped(node), output=self.activation)


def quantised_layer(node: Node) -> bool:
    """Whether a node is a layer whose weight is a parameter of its own, so that it can be quantised."""
    return node.target in LAYERS and getattr(filled(node)[1], "op", "") == "get_attr" and _float(filled(node)[0])


def _integer(node: Node) -> bool:
    if node.target in LAYERS:
        return quantised_layer(node)
    if node.target is aten.mean.dim and not _over_pictures(node):
        return False
    if node.target in POINTWISE | CONCAT | POOLS:
        return all(_float(data) for data in _data(node))
    return False


def _movers_before(model: GraphModule, integer: set[Node]) -> set[Node]:
    """Those movers, and only those, that an integer operator reads, directly or through other movers."""
    found: set[Node] = set()
    for node in reversed(model.graph.nodes):
        if node.target in MOVERS and _float(node.args[0]):
            readers = set(node.users)
            while any(reader.target in DROPOUTS for reader in readers):
                readers = {u for r in readers for u in (r.users if r.target in DROPOUTS else (r,))}
            if readers & (integer | found):
                found.add(node)
    return found


def _data(node: Node) -> list[Any]:
    """The inputs that are data, neither weights nor settings."""
    if node.target in CONCAT:
        return list(node.args[0])
    return list(node.args[:2]) if node.target in POINTWISE else [node.args[0]]


def _float(value: Any) -> bool:
    """Whether this is a float tensor that is computed, not a constant."""
    tensor = getattr(value, "meta", {}).get("val")
    return isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32 and value.op != "get_attr"


def _over_pictures(node: Node) -> bool:
    """Whether a mean is over height and width, for which there is an integer kernel: the global pool."""
    axes = sorted(axis % 4 for axis in (filled(node)[1] or ()))
    return node.args[0].meta["val"].dim() == 4 and axes == [2, 3]


def _clamped(node: Node) -> Node:
    """The activation that alone reads a node, or the node."""
    reader = next(iter(node.users), node)
    return reader if len(node.users) == 1 and reader.target in ACTIVATIONS else node


def _quantise_at(reader: Node, source: Node) -> tuple[Node, Node]:
    """The edge on which a reader's input is quantised: before a dropout, whose scaling would widen the range."""
    while source.target in DROPOUTS:
        reader, source = source, source.args[0]
    return source, reader


def _add(node: Node, *, inputs: dict[Node, Any] | None = None, output: Any = None) -> None:
    found = node.meta.setdefault("quantization_annotation", QuantizationAnnotation(_annotated=True))
    found.input_qspec_map.update(inputs or {})
    found.output_qspec = output or found.output_qspec

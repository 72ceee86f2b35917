"""The graph while it is being normalised: nodes, constants and tensor types, apart from any protobuf message.

Passes turn one `Network` into the next; none changes what it was given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from bench_onnx.weight_scales import WeightScale

    Constant = NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorType:
    """Precision and shape of a tensor; a symbolic dimension is -1, an unknown rank is None."""

    precision: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node.

    Attributes:
        op: What it computes, in the words of the default operator set where they exist: a `QLinearConv` is a `Conv`.
        domain: Domain of `op`, "" for the default operator set.
        source: The operator as the file names it, with its domain when that is not the default one.
        precision: Of the arithmetic, where quantisation decides it; else "".
        scheme: How it is quantised, as in `harness.Operator.scheme`.
        activation: Kind of the activation that it ends with.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""
    source: str = ""
    precision: str = ""
    scheme: str = ""
    activation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Nodes in execution order with everything that is known of their tensors.

    Attributes:
        opset: Version of the default operator set.
        zeros: Quantised constants, each with the share of its elements that equal the zero point.
        scales: Quantised constants, each with how many scales it has and whether they are symmetric.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]
    types: Mapping[str, TensorType]
    zeros: Mapping[str, float] = field(default_factory=dict)
    scales: Mapping[str, WeightScale] = field(default_factory=dict)

    def constant(self, name: str) -> bool:
        """Whether a tensor is known before the graph runs."""
        return name in self.constants


def text(value: Any) -> str:
    """A string attribute, which protobuf gives as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def network_of(model: onnx.ModelProto, types: Mapping[str, TensorType]) -> Network:
    """Take a loaded model apart; `Constant` nodes become constants."""
    import onnx

    from bench_onnx.model_file import feeds

    graph = model.graph
    constants: dict[str, Constant] = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for sparse in graph.sparse_initializer:
        constants[sparse.values.name] = _dense(sparse)
    nodes: list[Node] = []
    for index, proto in enumerate(graph.node):
        node = _node(proto, index)
        if node.op == "Constant" and not node.domain:
            constants[node.outputs[0]] = _constant(node)
        else:
            nodes.append(node)
    return Network(
        name=graph.name,
        inputs=tuple(value.name for value in feeds(graph)),
        outputs=tuple(value.name for value in graph.output),
        opset=max((o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}), default=1),
        nodes=tuple(nodes),
        constants=constants,
        types=types,
    )


def _node(proto: onnx.NodeProto, index: int) -> Node:
    from onnx.helper import get_attribute_value

    from bench_onnx.order import captured_by

    domain = "" if proto.domain == "ai.onnx" else proto.domain
    attributes = {a.name: get_attribute_value(a) for a in proto.attribute}
    return Node(
        name=proto.name or f"{proto.op_type}_{index}",
        op=proto.op_type,
        inputs=(*proto.input, *captured_by(proto)),
        outputs=tuple(proto.output),
        attributes=attributes,
        domain=domain,
        source=f"{domain}.{proto.op_type}" if domain else proto.op_type,
    )


def _constant(node: Node) -> Constant:
    import numpy as np
    from onnx.numpy_helper import to_array

    (kind, value), *_ = node.attributes.items()
    if kind == "value":
        return to_array(value)
    if kind == "sparse_value":
        return _dense(value)
    dtype = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    return np.asarray(value, dtype=dtype.get(kind, np.object_))


def _dense(sparse: onnx.SparseTensorProto) -> Constant:
    """A sparse constant in full; indices are linear, or one row of coordinates per value (onnx.proto3)."""
    import numpy as np
    from onnx.numpy_helper import to_array

    values, indices = to_array(sparse.values), to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense

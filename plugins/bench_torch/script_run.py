"""Runs the graph of a TorchScript network operator by operator, so that every value in between can be looked at.

The file tells which operators there are, but neither shapes nor which branch is taken: one inference tells both.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

Ref = Any
"""Where a value comes from: the name of a tensor, a list of such for a list or tuple, or None."""


class Visitor(Protocol):
    """Told of everything that happens."""

    def constant(self, name: str, value: Any) -> Ref:
        """A constant of the graph; returns what it is to be called."""

    def executed(self, step: Step) -> Ref:
        """An operator that gave one value; returns what that is to be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operator that was executed.

    Attributes:
        kind: Such as `aten::conv2d`.
        name: Of its result, unique.
        arguments: By their names in the operator's schema.
        refs: Where they come from.
        result: What it gave.
    """

    kind: str
    name: str
    arguments: dict[str, Any]
    refs: dict[str, Ref]
    result: Any


def _plus(left: Any, right: Any, *_alpha: Any) -> Any:
    return left + right


GENERIC: dict[str, Callable[..., Any]] = {
    "aten::__getitem__": operator.getitem, "aten::len": len, "aten::list": list, "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not, "aten::__contains__": operator.contains, "aten::__not__": operator.not_,
    "aten::format": str.format, "aten::dict": dict, "aten::keys": list, "prim::unchecked_cast": lambda value: value,
    "prim::NumToTensor": torch.tensor, "prim::TupleIndex": operator.getitem, "aten::copy": list,
}  # fmt: skip
"""Operators on values of any type, which torch does not call from Python; those on tensors go to torch itself."""

ON_LISTS: dict[str, Callable[..., Any]] = {
    "aten::add": _plus, "aten::slice": lambda values, start, end, step: values[slice(start, end, step)],
    "aten::mul": operator.mul,
}  # fmt: skip
"""The same for operators that are torch's own when their first argument is no list."""

SILENT = {"aten::warn", "prim::Print"}


@dataclass(slots=True)
class Run:
    """Values by their names in the graph, as far as it has been run."""

    visitor: Visitor
    values: dict[str, Any] = field(default_factory=dict)
    refs: dict[str, Ref] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)

    def graph(self, graph: Any, inputs: list[tuple[Any, Ref]]) -> list[Ref]:
        """Run a graph, or a block of one; returns where its results come from."""
        for value, (given, ref) in zip(graph.inputs(), inputs, strict=True):
            self.values[value.debugName()], self.refs[value.debugName()] = given, ref
        for node in graph.nodes():
            self.node(node)
        return [self.refs[value.debugName()] for value in graph.outputs()]

    def node(self, node: Any) -> None:
        """Run one node."""
        own = {
            "prim::Constant": self._constant,
            "prim::ListConstruct": self._collect,
            "prim::TupleConstruct": self._collect,
            "prim::DictConstruct": self._collect,
            "prim::ListUnpack": self._unpack,
            "prim::TupleUnpack": self._unpack,
            "prim::GetAttr": self._attribute,
            "prim::If": self._branch,
            "prim::Loop": self._loop,
            "prim::RaiseException": self._raise,
            "prim::Uninitialized": lambda node: self._set(node.output(), None, None),
            "aten::append": self._append,
        }
        kind = node.kind()
        if kind in own:
            own[kind](node)
        elif kind in GENERIC or (kind in ON_LISTS and isinstance(self._values(node)[0], list)):
            values = self._values(node)
            result = (GENERIC.get(kind) or ON_LISTS[kind])(*values)
            self._set(node.output(), result, _moved(kind, values, self._refs(node)))
        elif kind not in SILENT:
            self._operator(node)

    def _constant(self, node: Any) -> None:
        name, value = node.output().debugName(), node.output().toIValue()
        self._set(node.output(), value, self.visitor.constant(name, value))

    def _collect(self, node: Any) -> None:
        values = self._values(node)
        if node.kind() == "prim::DictConstruct":
            self._set(node.output(), dict(zip(values[::2], values[1::2], strict=True)), None)
        else:
            made = values if node.kind() == "prim::ListConstruct" else tuple(values)
            self._set(node.output(), made, self._refs(node))

    def _append(self, node: Any) -> None:
        (values, item), (refs, ref) = self._values(node), self._refs(node)
        values.append(item)
        if isinstance(refs, list):
            refs.append(ref)
        self._set(node.output(), values, refs)

    def _raise(self, node: Any) -> None:
        raise ValueError(f"the network raises {self._values(node)[0]!r} on its example")

    def _branch(self, node: Any) -> None:
        taken = list(node.blocks())[0 if self._values(node)[0] else 1]
        refs = self.graph(taken, [])
        for output, value, ref in zip(node.outputs(), taken.outputs(), refs, strict=True):
            self._set(output, self.values[value.debugName()], ref)

    def _operator(self, node: Any) -> None:
        kind, values, refs = node.kind(), self._values(node), self._refs(node)
        schema = torch._C.parse_schema(node.schema())  # noqa: SLF001 - a node tells its schema as text alone
        names = [argument.name for argument in schema.arguments]
        by_name = {a.name: v for a, v in zip(schema.arguments, values, strict=True) if a.kwarg_only}
        space, _, name = kind.partition("::")
        overload = getattr(getattr(getattr(torch.ops, space), name), schema.overload_name or "default")
        result = overload(*values[: len(values) - len(by_name)], **by_name)
        outputs = list(node.outputs())
        ref = self.visitor.executed(
            Step(
                kind=kind,
                name=self._unique(outputs[0].debugName()) if outputs else kind,
                arguments=dict(zip(names, values, strict=True)),
                refs=dict(zip(names, refs, strict=True)),
                result=result,
            )
        )
        if len(outputs) == 1:
            self._set(outputs[0], result, ref)
        else:
            for place, output in enumerate(outputs):
                self._set(output, result[place], ref[place] if isinstance(ref, list) else None)

    def _loop(self, node: Any) -> None:
        """`trip count, condition, carried…` in, `condition, carried…` out of the block each time round."""
        limit, going, *values = self._values(node)
        refs = self._refs(node)[2:]
        block = next(iter(node.blocks()))
        turn = 0
        while going and turn < limit:
            found = self.graph(block, [(turn, None), *zip(values, refs, strict=True)])
            going, *values = [self.values[value.debugName()] for value in block.outputs()]
            refs = found[1:]
            turn += 1
        for output, value, ref in zip(node.outputs(), values, refs, strict=True):
            self._set(output, value, ref)

    def _attribute(self, node: Any) -> None:
        name = node.s("name")
        value = getattr(self._values(node)[0], name)
        ref = self.visitor.constant(name, value) if isinstance(value, torch.Tensor) else None
        self._set(node.output(), value, ref)

    def _unpack(self, node: Any) -> None:
        values, refs = self._values(node)[0], self._refs(node)[0]
        for place, output in enumerate(node.outputs()):
            self._set(output, values[place], refs[place] if isinstance(refs, list) else None)

    def _set(self, output: Any, value: Any, ref: Ref) -> None:
        self.values[output.debugName()], self.refs[output.debugName()] = value, ref

    def _values(self, node: Any) -> list[Any]:
        return [self.values[value.debugName()] for value in node.inputs()]

    def _refs(self, node: Any) -> list[Ref]:
        return [self.refs[value.debugName()] for value in node.inputs()]

    def _unique(self, name: str) -> str:
        """A name, with a number from the second time round a loop on."""
        self.taken[name] = self.taken.get(name, 0) + 1
        return name if self.taken[name] == 1 else f"{name}#{self.taken[name]}"


def _moved(kind: str, values: list[Any], refs: list[Ref]) -> Ref:
    """Where the result of an operator on lists comes from."""
    first = refs[0]
    if not isinstance(first, list):
        return first if kind == "prim::unchecked_cast" else None
    if kind in {"aten::__getitem__", "prim::TupleIndex"}:
        return first[values[1]]
    if kind == "aten::slice":
        return first[slice(*values[1:])]
    if kind == "aten::add":
        return first + (refs[1] or [])
    return list(first) if kind in {"aten::list", "aten::copy"} else None

"""The conditions of fusion rules, checked on a place in a graph."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.estimate.fusion_rule import Condition, Rule
    from harness.graph import Operator, Tensor

INTEGER = frozenset({"int8", "uint8"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a rule would apply.

    Attributes:
        position: For each tensor that an operator makes, the operator's place in the order.
        anchor: The kernel that would take the operator in; the operator itself where there is none.
        carried: The tensor between them, or "".
    """

    tensors: Mapping[str, Tensor]
    consumers: Mapping[str, Sequence[Operator]]
    position: Mapping[str, int]
    anchor: Operator
    op: Operator
    carried: str

    @property
    def others(self) -> list[Tensor]:
        """What the operator reads besides the tensor between them."""
        return [self.tensors[name] for name in self.op.inputs if name != self.carried and name in self.tensors]


def holds(rule: Rule, place: Place) -> bool:
    """Whether all conditions of a rule hold."""
    return all(_CHECKS[condition](place) for condition in rule.when)


def _constant(place: Place) -> bool:
    return all(t.constant for t in place.others)


def _vector(place: Place) -> bool:
    others = place.others
    return len(others) == 1 and others[0].constant and others[0].elements == max(others[0].shape, default=1)


def _same_shape(place: Place) -> bool:
    others = place.others
    if len(others) != 1 or others[0].constant or others[0].shape != place.tensors[place.carried].shape:
        return False
    return place.position.get(others[0].name, -1) < place.position[place.anchor.outputs[0]]


def _zero_padding(place: Place) -> bool:
    mode = place.op.attributes.get("mode", "constant")
    before, after = (place.tensors[names[0]].shape for names in (place.op.inputs, place.op.outputs))
    return mode == "constant" and len(before) == len(after) and before[:2] == after[:2]


def _same_precision(place: Place) -> bool:
    return place.tensors[place.op.inputs[0]].precision == place.tensors[place.op.outputs[0]].precision


def _order_kept(place: Place) -> bool:
    """By the permutation where the file gives it, else only where sizes leave no doubt."""
    before, after = (place.tensors[names[0]].shape for names in (place.op.inputs, place.op.outputs))
    permutation = place.op.attributes.get("perm")
    if isinstance(permutation, tuple) and len(permutation) == len(before):
        moved = [axis for axis in permutation if before[axis] != 1]
        return moved == sorted(moved)
    kept = [size for size in before if size != 1]
    return kept == [size for size in after if size != 1] and len(set(kept)) == len(kept)


def _permuted(place: Place) -> bool:
    before, after = (place.tensors[names[0]].shape for names in (place.op.inputs, place.op.outputs))
    return sorted(before) == sorted(after) and "shuffle" not in place.op.source


def _broadcast(place: Place) -> bool:
    if not place.op.inputs or place.tensors[place.op.inputs[0]].constant:
        return False
    before, after = (place.tensors[names[0]].shape for names in (place.op.inputs, place.op.outputs))
    tail = after[len(after) - len(before) :]
    return len(before) <= len(after) and all(a in (1, b) for a, b in zip(before, tail, strict=True))


def _along_channels(place: Place) -> bool:
    names = place.op.inputs
    inputs = [place.tensors[name] for name in names if name in place.tensors]
    out = place.tensors[place.op.outputs[0]].shape
    if len(set(names)) != len(names) or any(t.constant or t.name not in place.position for t in inputs):
        return False
    if any(len(place.consumers.get(name, ())) != 1 for name in names):
        return False
    fixed = all(len(t.shape) == len(out) > 1 and (t.shape[0], *t.shape[2:]) == (out[0], *out[2:]) for t in inputs)
    return fixed and sum(t.shape[1] for t in inputs) == out[1]


def _float(place: Place) -> bool:
    return place.anchor.precision not in INTEGER


def _int8(place: Place) -> bool:
    return place.anchor.precision in INTEGER


def _unit_range(place: Place) -> bool:
    return (place.op.attributes.get("min"), place.op.attributes.get("max")) == (-1, 1)


def _pattern(_: Place) -> bool:
    """Checked where the operators are merged."""
    return True


_CHECKS: Mapping[Condition, Callable[[Place], bool]] = MappingProxyType({
    "constant operands": _constant,
    "constant vector": _vector,
    "same shape": _same_shape,
    "zero padding": _zero_padding,
    "same precision": _same_precision,
    "order kept": _order_kept,
    "permuted": _permuted,
    "broadcast": _broadcast,
    "along channels": _along_channels,
    "float": _float,
    "int8": _int8,
    "-1 to 1": _unit_range,
    "several inputs": _pattern,
    "input read twice": _pattern,
})  # fmt: skip

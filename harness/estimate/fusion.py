"""Fuses an OpGraph into the kernels that a runtime would launch, by the rules of its kernel family."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.estimate.fusion_conditions import Place, holds
from harness.estimate.fusion_merge import merge, readers
from harness.estimate.fusion_rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.estimate.fusion_rule import Rule
    from harness.graph import Operator, OpGraph, Tensor

OPEN, SUMMED, ACTIVATED = range(3)
"""How far a kernel is filled: constants may still be folded into it; a sum ends that; an activation ends it all."""

STAGES = {"fold": (OPEN, OPEN), "sum": (OPEN, SUMMED), "activate": (SUMMED, ACTIVATED)}
"""By action: the last stage at which it may come, and the stage after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One launch: an operator with what is fused into it.

    Attributes:
        operator: The operator that does the work; for several that are merged into one, an operator of the kind that
            they become, with the name and outputs of the last of them and the multiply-accumulates of all.
        fused: Names of the operators that cost nothing of their own because they run inside it.
        inputs: Run-time tensors that are read.
        weights: Constants that are read.
        outputs: Tensors that are written, after everything fused.
    """

    operator: Operator
    fused: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Rules by the kinds that they begin with."""

    follows: Mapping[tuple[str, str], Sequence[Rule]]
    precedes: Mapping[tuple[str, str], Sequence[Rule]]
    absorbed: frozenset[str]
    free: Mapping[str, Sequence[Rule]]
    starts: Mapping[str, Sequence[Rule]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A graph after merging.

    Attributes:
        merged: Names of the operators inside each merged one.
        views: For each operator without a kernel, whether it is a `view` or a `gather`.
        position: For each tensor that an operator makes, the operator's place in the order.
    """

    graph: OpGraph
    table: _Table
    operators: Sequence[Operator]
    merged: Mapping[str, tuple[str, ...]]
    consumers: Mapping[str, list[Operator]]
    outputs: frozenset[str]
    views: dict[str, str]
    position: dict[str, int]


def fuse(graph: OpGraph, family: str = "") -> tuple[Kernel, ...]:
    """Kernels in execution order; every operator is a kernel, fused into one, or without cost (`aliases`)."""
    return fuse_by(graph, rules_of(family))


def fuse_by(graph: OpGraph, rules: tuple[Rule, ...]) -> tuple[Kernel, ...]:
    """The same by rules of one's own."""
    work = _work(graph, _table(rules))
    inside: set[str] = set()
    waiting: dict[str, list[Operator]] = {}
    kernels = []
    for op in work.operators:
        if op.name in inside or op.name in work.views:
            continue
        reader = _absorbing(work, op)
        if reader is not None:
            waiting.setdefault(reader.name, []).append(op)
            continue
        followers = _followers(work, op)
        inside.update(each.name for each in followers)
        kernels.append(_kernel(work, op, before=waiting.pop(op.name, []), after=followers))
    return tuple(kernels)


def aliases(graph: OpGraph, family: str = "") -> Mapping[str, str]:
    """For each tensor that has no memory of its own, the tensor whose memory it shares."""
    work = _work(graph, _table(rules_of(family)))
    root: dict[str, str] = {}
    for op in work.operators:
        action = work.views.get(op.name)
        if action == "view":
            root.update(dict.fromkeys(op.outputs, op.inputs[0]))
        elif action == "gather":
            root.update(dict.fromkeys(op.inputs, op.outputs[0]))
    return {name: _end(root, name) for name in root}


@lru_cache(maxsize=64)
def _table(rules: tuple[Rule, ...]) -> _Table:
    follows: dict[tuple[str, str], list[Rule]] = {}
    precedes: dict[tuple[str, str], list[Rule]] = {}
    free: dict[str, list[Rule]] = {}
    starts: dict[str, list[Rule]] = {}
    for rule in rules:
        side = precedes if rule.action == "absorb" else follows
        for anchor in rule.anchors:
            for kind in rule.takes:
                side.setdefault((anchor, kind), []).append(rule)
        for kind in rule.takes if rule.action in {"view", "gather"} else ():
            free.setdefault(kind, []).append(rule)
        for kind in rule.steps[0] if rule.steps else ():
            starts.setdefault(kind, []).append(rule)
    absorbed = frozenset(kind for _, kind in precedes)
    return _Table(follows=follows, precedes=precedes, absorbed=absorbed, free=free, starts=starts)


def _work(graph: OpGraph, table: _Table) -> _Work:
    consumers = readers(graph.operators)
    outputs = frozenset(graph.outputs)
    operators, merged = merge(graph, table.starts, consumers)
    work = _Work(
        graph=graph,
        table=table,
        operators=operators,
        merged=merged,
        consumers=readers(operators) if merged else consumers,
        outputs=outputs,
        views={},
        position={name: index for index, op in enumerate(operators) for name in op.outputs},
    )
    viewed: set[str] = set()  # a view has no memory that could lie inside another tensor
    for op in operators:
        rules = table.free.get(op.kind, ())
        rule = next((rule for rule in rules if op.inputs and holds(rule, _place(work, op, op, ""))), None)
        if rule is None or (rule.action == "gather" and not viewed.isdisjoint(op.inputs)):
            continue
        work.views[op.name] = rule.action
        if rule.action == "view":
            viewed.update(op.outputs)
    return work


def _end(root: Mapping[str, str], name: str) -> str:
    while name in root:
        name = root[name]
    return name


def _place(work: _Work, anchor: Operator, op: Operator, carried: str) -> Place:
    return Place(
        tensors=work.graph.tensors, consumers=work.consumers, position=work.position, anchor=anchor, op=op,
        carried=carried,
    )  # fmt: skip


def _followers(work: _Work, anchor: Operator) -> list[Operator]:
    """What runs after the anchor in the same kernel: a chain of sole readers."""
    found: list[Operator] = []
    stage = ACTIVATED if anchor.activation else OPEN
    last = anchor
    while len(last.outputs) == 1 and last.outputs[0] not in work.outputs:
        users = work.consumers.get(last.outputs[0], ())
        if len(users) != 1 or len(users[0].outputs) != 1:
            break
        rules = work.table.follows.get((anchor.kind, users[0].kind), ())
        rule = next((rule for rule in rules if _fits(work, rule, anchor, (users[0], last.outputs[0]), stage)), None)
        if rule is None:
            break
        last = users[0]
        stage = ACTIVATED if last.activation else STAGES.get(rule.action, (stage, stage))[1]
        found.append(last)
    return found


def _fits(work: _Work, rule: Rule, anchor: Operator, step: tuple[Operator, str], stage: int) -> bool:
    op, carried = step
    return stage <= STAGES.get(rule.action, (stage, stage))[0] and holds(rule, _place(work, anchor, op, carried))


def _absorbing(work: _Work, op: Operator) -> Operator | None:
    """The kernel that does this operator's work while it reads, if it is the only reader."""
    if op.kind not in work.table.absorbed or len(op.outputs) != 1 or op.outputs[0] in work.outputs:
        return None
    users = work.consumers.get(op.outputs[0], [])
    if len(users) != 1 or not users[0].inputs or users[0].inputs[0] != op.outputs[0]:
        return None
    rules = work.table.precedes.get((users[0].kind, op.kind), ())
    return users[0] if any(holds(rule, _place(work, users[0], op, "")) for rule in rules) else None


def _kernel(work: _Work, op: Operator, *, before: Sequence[Operator], after: Sequence[Operator]) -> Kernel:
    tensors = work.graph.tensors
    parts = (*before, op, *after)
    made = {name for each in parts for name in each.outputs}
    reads = dict.fromkeys(name for each in parts for name in each.inputs if name not in made)
    found = [tensors[name] for name in reads if name in tensors]
    outputs = after[-1].outputs if after else op.outputs
    inside = [name for each in (*before, *after) for name in (*work.merged.get(each.name, ()), each.name)]
    return Kernel(
        operator=op,
        fused=(*work.merged.get(op.name, ()), *inside),
        inputs=tuple(t for t in found if not t.constant),
        weights=tuple(t for t in found if t.constant),
        outputs=tuple(tensors[name] for name in outputs if name in tensors),
    )

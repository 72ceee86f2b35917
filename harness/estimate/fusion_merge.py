"""Patterns of several operators that a runtime runs as one: swish, layer normalisation, attention."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.estimate.fusion_rule import Rule
    from harness.graph import Operator, OpGraph


def readers(operators: Sequence[Operator]) -> Mapping[str, list[Operator]]:
    """The operators that read each tensor."""
    found: dict[str, list[Operator]] = {}
    for op in operators:
        for name in dict.fromkeys(op.inputs):
            found.setdefault(name, []).append(op)
    return found


def merge(
    graph: OpGraph, starts: Mapping[str, Sequence[Rule]], consumers: Mapping[str, list[Operator]]
) -> tuple[Sequence[Operator], Mapping[str, tuple[str, ...]]]:
    """The operators with each pattern as one, in the place of its last; and the names of those inside.

    Args:
        graph: What is fused.
        starts: Rules by the kinds that they begin with; the first that fits is taken.
        consumers: The operators that read each tensor.
    """
    at: dict[str, Operator] = {}
    gone: set[str] = set()
    merged: dict[str, tuple[str, ...]] = {}
    for op in graph.operators:
        for rule in starts.get(op.kind, ()):
            members = [] if op.name in gone else _matched(graph, consumers, op, rule)
            if members and gone.isdisjoint(each.name for each in members):
                last = members[-1]
                gone.update(each.name for each in members)
                at[last.name] = _one(members, rule.becomes)
                merged[last.name] = tuple(each.name for each in members[:-1])
                break
    if not merged:
        return graph.operators, {}
    return [at.get(op.name, op) for op in graph.operators if op.name in at or op.name not in gone], merged


def _matched(graph: OpGraph, consumers: Mapping[str, list[Operator]], first: Operator, rule: Rule) -> list[Operator]:
    """The operators of a pattern from its first on, or none."""
    members = [first]
    for step in rule.steps[1:]:
        users = (user for each in reversed(members) for name in each.outputs for user in consumers.get(name, ()))
        found = next((user for user in users if user.kind in step and user not in members), None)
        if found is not None:
            members.append(found)
        elif "" not in step:
            return []
    return members if _closed(graph, consumers, members) and _reads(graph, members, rule) else []


def _closed(graph: OpGraph, consumers: Mapping[str, list[Operator]], members: Sequence[Operator]) -> bool:
    """Whether nobody outside reads what is made inside."""
    names = {each.name for each in members}
    inner = [name for each in members[:-1] for name in each.outputs]
    return not any(
        name in graph.outputs or any(user.name not in names for user in consumers.get(name, ())) for name in inner
    )


def _reads(graph: OpGraph, members: Sequence[Operator], rule: Rule) -> bool:
    """Whether it reads as many run-time tensors, as often, as the rule says."""
    made = {name for each in members for name in each.outputs}
    reads = [n for each in members for n in each.inputs if n not in made and n in graph.tensors]
    outside = [name for name in reads if not graph.tensors[name].constant]
    if "several inputs" in rule.when:
        return len(set(outside)) > 1
    return len(set(outside)) == 1 and ("input read twice" not in rule.when or len(outside) > 1)


def _one(members: Sequence[Operator], kind: str) -> Operator:
    made = {name for each in members for name in each.outputs}
    inputs = dict.fromkeys(name for each in members for name in each.inputs if name not in made)
    return replace(members[-1], kind=kind, inputs=tuple(inputs), macs=sum(each.macs for each in members), attributes={})

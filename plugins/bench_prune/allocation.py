"""How many channels each group keeps so that a network fits a budget, in steps that hardware likes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from bench_prune.count_model import CountModel
    from bench_prune.coupling import Group, Member, Side
    from bench_prune.options import Scope

RATIOS = 512
"""Resolution of the pruning ratio that is searched for."""

CLOSE = 0.95
"""Share of the budget from which on no group is narrowed for others: importance counts more than the last percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The widths that a group may have.

    Attributes:
        order: Positions of the group, the least important first.
        rungs: Positions that may be kept, from all downwards.
        lost: For each member, how many of its indices are gone when the first so many positions of `order` are.
    """

    group: Group
    order: tuple[int, ...]
    rungs: tuple[int, ...]
    lost: dict[Member, tuple[int, ...]] = field(repr=False)

    def removed(self, rung: int) -> set[int]:
        """Positions that go when the group stands on a rung."""
        return set(self.order[: len(self.order) - self.rungs[rung]])

    def nearest(self, kept: float) -> int:
        """Rung nearest to a number of positions, the wider of two."""
        return min(range(len(self.rungs)), key=lambda rung: (abs(self.rungs[rung] - kept), rung))

    def regained(self, rung: int) -> float:
        """Mean importance of the positions that one rung up brings back."""
        size = len(self.order)
        back = self.order[size - self.rungs[rung - 1] : size - self.rungs[rung]]
        return float(self.group.worth[list(back)].mean())


Plan = tuple[int, ...]
"""Rung of each ladder."""


def step_of(size: int, folds: int, round_to: int) -> int:
    """Step between widths, in positions: `round_to` channels, or what fits twice where a layer is too narrow."""
    step = max(1, round_to // math.gcd(round_to, folds))
    return step if size >= 2 * step else 2 ** max(0, int(math.log2(max(size, 2))) - 1)


def ladder_of(group: Group, round_to: int) -> Ladder:
    """Widths of a group: all of it, and every multiple of its step below; at least one index of every layer stays."""
    size = group.channels // group.folds
    # A layer that takes part with some channels only, behind a concatenation, must not lose all of them.
    best = {
        max({root % size for root in member.roots}, key=lambda position: (float(group.worth[position]), -position))
        for member in group.members
    }
    ranked = torch.sort(group.worth, stable=True).indices.tolist()
    order = [position for position in ranked if position not in best] + [p for p in ranked if p in best]
    step = step_of(size, group.folds, round_to)
    multiples = range((size - 1) // step * step, 0, -step)
    rungs = (size, *(kept for kept in multiples if kept >= len(best)))
    lost = {}
    for member in group.members:
        counts = [0] * size
        for root in member.roots:
            counts[root % size] += 1
        lost[member] = tuple(accumulate((counts[position] for position in order), initial=0))
    return Ladder(group=group, order=tuple(order), rungs=rungs, lost=lost)


def kept_shares(ladders: Sequence[Ladder], plan: Plan) -> dict[tuple[str, Side], float]:
    """Share that is kept of each side of each layer that any group touches."""
    kept: dict[tuple[str, Side], float] = {}
    for ladder, rung in zip(ladders, plan, strict=True):
        for member, lost in ladder.lost.items():
            side = (member.layer, member.side)
            kept[side] = kept.get(side, 1.0) - lost[len(ladder.order) - ladder.rungs[rung]] / member.size
    return kept


def narrowest(ladders: Sequence[Ladder]) -> Plan:
    """The plan that keeps as little as there may be."""
    return tuple(len(ladder.rungs) - 1 for ladder in ladders)


def allocate(ladders: Sequence[Ladder], costs: CountModel, budget: float, scope: Scope) -> Plan | None:
    """Plan of the least pruning ratio that fits a budget, widened again wherever there is room; None if none fits."""

    def total(plan: Plan) -> float:
        return costs.of(kept_shares(ladders, plan))

    def widen(plan: Plan, fixed: int | None = None) -> Plan:
        while True:
            wider = {
                place: (*plan[:place], rung - 1, *plan[place + 1 :])
                for place, rung in enumerate(plan)
                if rung and place != fixed
            }
            fitting = [place for place, tried in wider.items() if total(tried) <= budget]
            if not fitting:
                return plan
            ranks = {place: _rank(ladders[place], plan[place], scope) for place in fitting}
            plan = wider[min(ranks, key=ranks.__getitem__)]

    plan = narrowest(ladders)
    if total(plan) > budget:
        return None
    low, high = 0, RATIOS
    while low < high:
        middle = (low + high) // 2
        tried = _at(ladders, middle / RATIOS, scope)
        if total(tried) <= budget:
            high, plan = middle, tried
        else:
            low = middle + 1
    return _exchange(ladders, widen(plan), widen, total, CLOSE * budget)


def _exchange(
    ladders: Sequence[Ladder],
    plan: Plan,
    widen: Callable[[Plan, int], Plan],
    total: Callable[[Plan], float],
    enough: float,
) -> Plan:
    """Narrow one group to widen others, as long as that comes closer to what is enough."""
    while total(plan) < enough:
        tries = [
            widen((*plan[:place], rung + 1, *plan[place + 1 :]), place)
            for place, rung in enumerate(plan)
            if rung + 1 < len(ladders[place].rungs)
        ]
        closest = max(tries, key=total, default=plan)
        if total(closest) <= total(plan):
            break
        plan = closest
    return plan


def _at(ladders: Sequence[Ladder], ratio: float, scope: Scope) -> Plan:
    """Plan of a pruning ratio: of every group alike, or of all positions of all groups together."""
    if scope == "layer":
        return tuple(ladder.nearest(ladder.rungs[0] * (1.0 - ratio)) for ladder in ladders)
    worth = torch.cat([ladder.group.worth for ladder in ladders])
    gone = torch.zeros(len(worth), dtype=torch.int64)
    gone[torch.sort(worth, stable=True).indices[: round(ratio * len(worth))]] = 1
    parts = torch.split(gone, [ladder.rungs[0] for ladder in ladders])
    return tuple(ladder.nearest(ladder.rungs[0] - int(part.sum())) for ladder, part in zip(ladders, parts, strict=True))


def _rank(ladder: Ladder, rung: int, scope: Scope) -> float:
    """The least is widened first: the narrowest group, or the one whose next channels are the most important."""
    return ladder.rungs[rung] / ladder.rungs[0] if scope == "layer" else -ladder.regained(rung)

"""Finds how many channels each layer keeps so that a target is met, by counting or by estimated latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_prune.allocation import Plan, allocate, kept_shares, narrowest
from bench_prune.channel_net import some
from harness import BuildContext, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from bench_prune.channel_net import ChannelNet

ROUNDS = 5
"""How often the budget of the model is tightened when the real count is above it."""

LATENCY_TRIES = 6
"""Bisections for a latency: the kept share of the multiply-accumulates is then known to 1/64."""


def by_count(net: ChannelNet, name: str, share: float, context: BuildContext) -> tuple[nn.Module, Plan]:
    """Keep as much as fits; the model of the costs is checked by counting, and tightened where it was wrong."""
    costs, which = (net.parameters, 0) if name == "parameters" else (net.macs, 1)
    total = costs.of({})
    limit = budget = share * total
    for _ in range(ROUNDS):
        plan = allocate(net.ladders, costs, budget, net.scope)
        if plan is None:
            break
        smaller = net.built(plan)
        counted = context.count(smaller)[which]
        if counted <= limit:
            return smaller, plan
        budget *= 0.999 * limit / counted
    least = context.count(net.built(narrowest(net.ladders)))[which] / total
    raise UnsupportedError(
        f"{name}={share}: {least:.3f} of the {name} is the least that can be kept here{_because(net)}",
        hint=f"Ask for {name}={_above(least)} or more, or a smaller round_to.",
    )


def by_latency(net: ChannelNet, share: float, context: BuildContext) -> tuple[nn.Module, Plan]:
    """Search the kept share of the multiply-accumulates, which latency rises with, by bisection."""
    cost = context.cost
    if cost is None:
        raise UnsupportedError("latency: no device whose latency could be estimated", hint="Set macs=0.5 instead.")

    def latency_ms(module: nn.Module) -> float:
        return cost(context.graph(module))

    before_ms = latency_ms(net.module)
    plan = narrowest(net.ladders)
    best = (net.built(plan), plan)
    best_ms = latency_ms(best[0])
    if best_ms > share * before_ms:
        least = best_ms / before_ms
        raise UnsupportedError(
            f"latency={share}: {best_ms:.4g} ms of {before_ms:.4g} ms ({least:.3f}) is the least that can be "
            f"reached{_because(net)}",
            hint=f"Ask for latency={_above(least)} or more, or a smaller round_to.",
        )
    best, best_ms = _narrow_down(net, share * before_ms, (best, best_ms), latency_ms)
    context.note(
        f"estimated latency {before_ms:.4g} ms → {best_ms:.4g} ms, {best_ms / before_ms:.1%} of it for latency={share}"
    )
    return best


def _narrow_down(
    net: ChannelNet,
    limit_ms: float,
    found: tuple[tuple[nn.Module, Plan], float],
    latency_ms: Callable[[nn.Module], float],
) -> tuple[tuple[nn.Module, Plan], float]:
    """Widen what was found as long as it stays within the limit; return it with its latency."""
    total = net.macs.of({})
    low = net.macs.of(kept_shares(net.ladders, found[0][1])) / total
    high = 1.0
    seen = {found[0][1]: found[1]}
    for _ in range(LATENCY_TRIES):
        middle = (low + high) / 2
        plan = allocate(net.ladders, net.macs, middle * total, net.scope)
        if plan is None:
            low = middle
            continue
        smaller = net.built(plan)
        if plan not in seen:
            seen[plan] = latency_ms(smaller)
        if seen[plan] <= limit_ms:
            found, low = ((smaller, plan), seen[plan]), middle
        else:
            high = middle
    return found


def _because(net: ChannelNet) -> str:
    names = [name for group in net.left.values() for name in group]
    return f" (whole: {some(names)})" if names else ""


def _above(share: float) -> float:
    """A share that can be reached, to two digits, rounded up."""
    return min(0.99, (int(share * 100) + 1) / 100)

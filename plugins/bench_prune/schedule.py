"""Gradual pruning while training: the share of zeros rises along a polynomial (Zhu & Gupta 2017)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from bench_prune.zeroing import accuracy, check_amount, check_training, describe, weights_of, zero_smallest
from harness import BuildContext, Training, UnsupportedError

if TYPE_CHECKING:
    from torch import nn

    from bench_prune.options import PruneScheduled


def prune(module: nn.Module, options: PruneScheduled, context: BuildContext) -> nn.Module:
    """Return a copy that was pruned while it was trained.

    As in the paper, what was masked gets no update any more; here it is set to zero, so it never comes back.

    Raises:
        UnsupportedError: An option is out of its range.
        ArtifactError: The module has neither convolutions nor linear layers.
    """
    _check(options)
    pruned = copy.deepcopy(module)
    weights = weights_of(pruned, "prune-scheduled")
    prunings = 0

    def before_step(step: int, steps: int) -> None:
        nonlocal prunings
        share = share_before(step, steps, options)
        if share is not None:
            zero_smallest(weights, share, options.scope)
            prunings += 1

    trained = context.train(
        pruned, Training(epochs=options.epochs, learning_rate=options.learning_rate, before_step=before_step)
    )
    zero_smallest(
        weights, options.final, options.scope
    )  # a training too short for its schedule ends pruned all the same
    context.note(f"pruned {prunings} times in {trained}{accuracy(context.score(pruned))}")
    context.note(describe(weights))
    return pruned


def share_before(step: int, steps: int, options: PruneScheduled) -> float | None:
    """Share of zeros that is due before a step, counted from 0, or None when nothing is pruned there.

    Zhu & Gupta, arXiv:1710.01878, equation 1: `s_t = s_f + (s_i - s_f) (1 - (t - t0) / (n Δt))³` for `t` in
    `t0, t0 + Δt, …, t0 + n Δt`, with their 3 as `exponent`.
    """
    first = round(options.begin * steps)
    times = max(1, (round(options.end * steps) - first) // options.every)
    nth, between = divmod(step - first, options.every)
    if between or not 0 <= nth <= times:
        return None
    left: float = (1.0 - nth / times) ** options.exponent
    return options.final + (options.initial - options.final) * left


def _check(options: PruneScheduled) -> None:
    check_amount("final", options.final)
    check_training(options.epochs, options.learning_rate, required=True)
    if not 0.0 <= options.initial < options.final:
        raise UnsupportedError(
            f"initial={options.initial}: must be from 0 and below final={options.final}", hint="0 begins dense."
        )
    if not 0.0 <= options.begin < options.end <= 1.0:
        raise UnsupportedError(
            f"begin={options.begin}, end={options.end}: must be shares of the steps, 0 ≤ begin < end ≤ 1",
            hint="begin=0.0, end=0.6 leaves the last 40 % of the steps to recover.",
        )
    if options.every < 1:
        raise UnsupportedError(f"every={options.every}: must be 1 or more", hint="4 prunes before every fourth step.")
    if not 0.0 < options.exponent < float("inf"):
        raise UnsupportedError(f"exponent={options.exponent}: must be above 0", hint="3 is the paper's.")

"""Prune, retrain, prune again: rounds to a target sparsity (Han et al. 2015, section 3.4)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from bench_prune.zeroing import accuracy, check_amount, check_training, describe, weights_of, zero_smallest
from harness import BuildContext, Training, UnsupportedError

if TYPE_CHECKING:
    from torch import nn

    from bench_prune.options import PruneIterative


def prune(module: nn.Module, options: PruneIterative, context: BuildContext) -> nn.Module:
    """Return a copy that was pruned and retrained round by round.

    Only the last round is at full sparsity, so only there a best epoch is looked for.

    Raises:
        UnsupportedError: An option is out of its range.
        ArtifactError: The module has neither convolutions nor linear layers.
    """
    check_amount("amount", options.amount)
    check_training(options.epochs, options.learning_rate, required=True)
    if options.rounds < 1:
        raise UnsupportedError(f"rounds={options.rounds}: must be 1 or more", hint="4 prunes and retrains four times.")
    pruned = copy.deepcopy(module)
    weights = weights_of(pruned, "prune-iterative")
    for number, amount in enumerate(amounts(options.amount, options.rounds), 1):
        zero_smallest(weights, amount, options.scope)
        keep_best = options.keep_best and number == options.rounds
        trained = context.train(
            pruned, Training(epochs=options.epochs, learning_rate=options.learning_rate, keep_best=keep_best)
        )
        context.note(
            f"round {number} of {options.rounds}: {amount:.1%} zero, {trained}{accuracy(context.score(pruned))}"
        )
    context.note(describe(weights))
    return pruned


def amounts(target: float, rounds: int) -> list[float]:
    """Share of zeros after each round; the kept share falls by the same factor each time, `(1 - target)^(i/rounds)`."""
    return [1.0 - (1.0 - target) ** (number / rounds) for number in range(1, rounds)] + [target]

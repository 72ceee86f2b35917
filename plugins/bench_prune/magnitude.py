"""One-shot magnitude pruning, fine-tuned afterwards where asked for."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from bench_prune.zeroing import accuracy, check_amount, check_training, describe, weights_of, zero_smallest
from harness import BuildContext, Training

if TYPE_CHECKING:
    from torch import nn

    from bench_prune.options import PruneMagnitude


def prune(module: nn.Module, options: PruneMagnitude, context: BuildContext) -> nn.Module:
    """Return a pruned copy.

    Raises:
        UnsupportedError: An option is out of its range.
        ArtifactError: The module has neither convolutions nor linear layers.
    """
    check_amount("amount", options.amount)
    check_training(options.epochs, options.learning_rate, required=False)
    pruned = copy.deepcopy(module)
    weights = weights_of(pruned, "prune-magnitude")
    zero_smallest(weights, options.amount, options.scope)
    context.note(describe(weights))
    if options.epochs > 0:
        before = accuracy(context.score(pruned))
        trained = context.train(pruned, Training(epochs=options.epochs, learning_rate=options.learning_rate))
        context.note(f"pruned{before}; fine-tuned by {trained}{accuracy(context.score(pruned))}")
    return pruned

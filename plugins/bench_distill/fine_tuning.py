"""`fine-tune`: the control without any compression."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from bench_distill.options import check
from harness import BuildContext, Training

if TYPE_CHECKING:
    from torch import nn

    from bench_distill.options import FineTune


def fine_tune(module: nn.Module, options: FineTune, context: BuildContext) -> nn.Module:
    """Return a copy trained on the labels; weights that are zero stay zero.

    Raises:
        UnsupportedError: An option is out of its range, or there is nothing to train with.
    """
    check(options)
    tuned = copy.deepcopy(module)
    trained = context.train(
        tuned,
        Training(epochs=options.epochs, learning_rate=options.learning_rate, keep_best=options.keep_best),
    )
    context.note(str(trained))
    return tuned

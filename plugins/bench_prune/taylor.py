"""Gradients for the importance of channels by what the loss would change without them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from harness import BuildContext, UnsupportedError

ROWS = 256
"""Training rows whose loss is differentiated, drawn by the seed."""

BATCH = 8
"""Rows of one gradient."""


def differentiate(traced: nn.Module, context: BuildContext) -> None:
    """Leave the mean magnitude of the gradients of the cross-entropy over small batches of training rows in a module.

    A trained network's gradient over all rows is near zero; Molchanov et al. average over batches, after taking each
    batch's size (Importance Estimation for Neural Network Pruning, CVPR 2019, section 3).
    """
    split = context.data.split("train") if context.data else None
    if split is None or split.labels is None:
        raise UnsupportedError("importance=taylor: no labelled training rows", hint="Without them: importance=l2.")
    labelled = np.flatnonzero(split.labels >= 0)
    drawn = np.random.default_rng(context.seed).permutation(labelled)[:ROWS]
    sums = {name: torch.zeros_like(parameter) for name, parameter in traced.named_parameters()}
    for start in range(0, len(drawn), BATCH):
        rows = drawn[start : start + BATCH]
        output: Any = traced(*(torch.from_numpy(np.array(array[rows], order="C")) for array in split.inputs))
        first = output[0] if isinstance(output, tuple | list) else output
        torch.autograd.backward(nn.functional.cross_entropy(first, torch.from_numpy(split.labels[rows])))
        for name, parameter in traced.named_parameters():
            if parameter.grad is not None:
                sums[name] += parameter.grad.abs()
                parameter.grad = None
    for name, parameter in traced.named_parameters():
        parameter.grad = sums[name]

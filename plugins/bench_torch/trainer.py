"""The trainer `torch`: trains, runs and counts live modules for techniques and for the host.

The same seed and number of threads give the same weights to the last bit: rows are shuffled and varied by generators
of their own, dropout draws from torch's generator, which is seeded for the training and put back afterwards.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench_torch.checkpoint import as_tensors
from bench_torch.training_rows import TrainingRows
from bench_torch.zeros import Zeros
from harness import ArtifactError, BuildContext, Trained, Training, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench_torch.training_rows import Batch

WARM_UP_SHARE = 0.1
"""Share of the steps over which the learning rate rises, as `harness.Training` says."""

WEIGHT_DECAY = 1e-2
"""Of weights of two or more dimensions, torch's default for AdamW (Loshchilov and Hutter, arXiv 1711.05101); vectors
are scales and offsets, which gain nothing from being small."""

LARGEST_NORM = 1.0
"""Gradients are scaled down to this L2 norm over all parameters (Pascanu et al., arXiv 1211.5063)."""

PREDICT_ROWS = 256


def train(module: nn.Module, training: Training, context: BuildContext) -> Trained:
    """Train in place with AdamW and leave the module in evaluation mode.

    The task's own loss is plain cross-entropy: label smoothing would pull the scores of a network that was trained
    without it together, and so change what is compared with the original.

    Raises:
        UnsupportedError: There are no rows to train with, or no parameter that takes a gradient.
        ArtifactError: The loss or its gradient is not finite, or a label is no class of the output.
    """
    _check(module, training)
    if not training.epochs:
        module.eval()
        return Trained(steps=0, rows=0, first_loss=math.nan, last_loss=math.nan)
    rows = TrainingRows.of(context, labelled=training.loss is None)
    try:
        with _settled(context):
            return _Run(module, training, rows).train(context)
    finally:
        for part in (module, *training.also):
            part.eval()


def predict(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """First output of every row, `(n, …)`, floats as float32; the module is in evaluation mode afterwards."""
    module.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(inputs[0]), PREDICT_ROWS):
            output = _first(module(*as_tensors(tuple(x[start : start + PREDICT_ROWS] for x in inputs))))
            found.append((output.float() if output.is_floating_point() else output).numpy())
    return np.concatenate(found)


def count(module: nn.Module, example: tuple[Any, ...]) -> tuple[int, int]:
    """Parameters, shared ones once, and multiply-accumulates of one forward of the example.

    Half of what `torch.utils.flop_counter` counts: convolutions and matrix products, their biases left out. Fused
    attention is taken apart first, as the counter does not know the kernels that torch has for processors.
    """
    flags = _flags(module)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        module.eval()
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            module(*as_tensors(example))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        _restore(flags)
    return sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2


class _Run:
    """One training on its way: the optimiser, the zeros that stay, and the losses so far."""

    def __init__(self, module: nn.Module, training: Training, rows: TrainingRows) -> None:
        self.module, self.training, self.rows = module, training, rows
        self.steps = max(1, math.ceil(training.epochs * rows.steps - 1e-9))
        parts = (module, *training.also)
        self.parameters = list(dict.fromkeys(p for part in parts for p in part.parameters() if p.requires_grad))
        self.optimiser = torch.optim.AdamW(_groups(self.parameters), lr=training.learning_rate, fused=True)
        self.zeros = Zeros(module) if training.keep_zeros else None
        self.losses: list[float] = []

    def train(self, context: BuildContext) -> Trained:
        """Run all steps, epoch by epoch."""
        best = _Best()
        judged = self.training.keep_best
        for part in (self.module, *self.training.also):
            part.train()
        for epoch in range(1, math.ceil(self.steps / self.rows.steps) + 1):
            for batch in islice(self.rows.epoch(), self.steps - len(self.losses)):
                self._step(batch)
            judged = judged and best.take(epoch, self.module, context)
        if judged:
            best.put_back(self.module)
        tenth = max(1, self.steps // 10)
        return Trained(
            steps=self.steps,
            rows=len(self.rows),
            first_loss=float(np.mean(self.losses[:tenth])),
            last_loss=float(np.mean(self.losses[-tenth:])),
            best_epoch=best.epoch if judged else 0,
        )

    def _step(self, batch: Batch) -> None:
        step = len(self.losses)
        if self.training.before_step is not None:
            self.training.before_step(step, self.steps)
        if self.zeros is not None and (step == 0 or self.training.before_step is not None):
            self.zeros.find()
        rate = self.training.learning_rate * _rate(step, self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = (self.training.loss or cross_entropy)(self.module, *batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.zeros is not None:
            self.zeros.clear_gradients()
        norm = float(nn.utils.clip_grad_norm_(self.parameters, LARGEST_NORM))
        self.losses.append(float(loss.detach()))
        if not math.isfinite(self.losses[-1]) or not math.isfinite(norm):
            raise ArtifactError(
                f"training {type(self.module).__name__} broke down at step {step + 1} of {self.steps}: loss "
                f"{self.losses[-1]:.3g}, L2 norm of the gradient {norm:.3g}, learning rate {rate:.2g}",
                hint="Give a lower learning_rate.",
            )
        self.optimiser.step()
        if self.zeros is not None:
            self.zeros.clear_weights()


class _Best:
    """The weights with the best validation accuracy so far; the later ones where two are equal."""

    def __init__(self) -> None:
        self.epoch = 0
        self._value = -1.0
        self._tensors: dict[str, torch.Tensor] = {}

    def take(self, epoch: int, module: nn.Module, context: BuildContext) -> bool:
        """Keep the weights if they are the best; False, with a note, when nothing can be judged."""
        flags = _flags(module)
        module.eval()
        score = context.score(module)
        module.train()
        _restore(flags)  # a technique may have frozen the statistics of some layers
        if score is None:
            context.note("training: there are no labelled validation rows to judge by, so the last weights are kept")
            return False
        if score.value >= self._value:
            self.epoch, self._value = epoch, score.value
            self._tensors = {name: tensor.detach().clone() for name, tensor in _tensors(module)}
        return True

    def put_back(self, module: nn.Module) -> None:
        """Set the weights to those of the best epoch."""
        with torch.no_grad():
            for name, tensor in _tensors(module):
                tensor.copy_(self._tensors[name])


def cross_entropy(module: nn.Module, inputs: tuple[torch.Tensor, ...], labels: torch.Tensor) -> torch.Tensor:
    """The task's own loss: mean cross-entropy of the first output, all labels given.

    Raises:
        UnsupportedError: The first output has one value a row, which is no class.
        ArtifactError: A label is not a class of the output.
    """
    scores = _first(module(*inputs)).flatten(1)
    classes = scores.shape[1]
    if classes < 2:
        raise UnsupportedError(
            f"the first output of {type(module).__name__} is one number a row, which says no class to train for",
            hint="Take a technique that does not train, or one with a loss of its own.",
        )
    if int(labels.max()) >= classes:
        raise ArtifactError(
            f"a training label is {int(labels.max())}, and {type(module).__name__} has {classes} classes, 0 to "
            f"{classes - 1}",
            hint="Number the classes as the model's output does.",
        )
    return functional.cross_entropy(scores.float(), labels)


def _check(module: nn.Module, training: Training) -> None:
    if not 0 <= training.epochs < math.inf:
        raise UnsupportedError(f"epochs={training.epochs:g}: must be 0 or above", hint="Try epochs=5.")
    if not 0 < training.learning_rate < math.inf:
        raise UnsupportedError(
            f"learning_rate={training.learning_rate:g}: must be above 0", hint="Try learning_rate=0.001."
        )
    if training.epochs and not any(p.requires_grad for part in (module, *training.also) for p in part.parameters()):
        raise UnsupportedError(
            f"{type(module).__name__} has no parameter that takes a gradient, so there is nothing to train",
            hint="Train before the weights are frozen or made integers.",
        )


@contextmanager
def _settled(context: BuildContext) -> Iterator[None]:
    """The context's threads and seed, and gradients on; threads and random state are put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(context.threads)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.default_generator.manual_seed(context.seed)
            yield
    finally:
        torch.set_num_threads(before)


def _groups(parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
    """Parameters for the optimiser, in two groups: those whose weights decay, and vectors."""
    groups = (
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    )
    return [group for group in groups if group["params"]]


def _rate(step: int, steps: int) -> float:
    """Share of the highest learning rate: a line up, then half a cosine down (Loshchilov, Hutter, arXiv 1608.03983)."""
    rising = max(1, round(steps * WARM_UP_SHARE))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1.0 + math.cos(math.pi * (step - rising) / (steps - rising)))


def _first(result: Any) -> torch.Tensor:
    """The first output."""
    output = result[0] if isinstance(result, tuple | list) and result else result
    if not isinstance(output, torch.Tensor):
        raise ArtifactError(
            f"a module to be trained returns {type(result).__name__}, not a tensor or a tuple of tensors",
            hint="Wrap it in a module whose forward returns tensors.",
        )
    return output


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _flags(module: nn.Module) -> list[tuple[nn.Module, bool]]:
    return [(part, part.training) for part in module.modules()]


def _restore(flags: list[tuple[nn.Module, bool]]) -> None:
    for part, training in flags:
        part.training = training

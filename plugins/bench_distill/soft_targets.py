"""The loss of soft targets."""

from __future__ import annotations

import torch
from torch.nn import functional


def soft_loss(
    student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, *, alpha: float, temperature: float
) -> torch.Tensor:
    """`alpha·T²·KL(teacher at T ‖ student at T) + (1 − alpha)·cross-entropy`, a scalar.

    T² keeps the size of the soft targets' gradients when the temperature changes (Hinton et al. 2015,
    arXiv:1503.02531, section 2).

    Args:
        student: Logits `(batch, classes, …)`.
        teacher: Logits of the same shape, without gradients.
        labels: Class indices, `(batch, …)` int64, -1 where there is none.
        alpha: Weight of the soft targets, 0 to 1.
        temperature: What logits are divided by before the softmax.
    """
    loss = student.new_zeros(())
    if alpha > 0:
        warm_student, warm_teacher = (
            functional.log_softmax(logits / temperature, dim=1) for logits in (student, teacher)
        )
        divergence = functional.kl_div(warm_student, warm_teacher, reduction="sum", log_target=True)
        rows = student.numel() // student.shape[1]
        loss = loss + alpha * temperature**2 * divergence / rows
    if alpha < 1:
        entropy = functional.cross_entropy(student, labels, ignore_index=-1, reduction="sum")
        loss = loss + (1 - alpha) * entropy / (labels >= 0).sum().clamp(min=1)
    return loss


def are_probabilities(output: torch.Tensor) -> bool:
    """Whether an output `(batch, classes, …)` went through a softmax already."""
    sums = output.sum(dim=1)
    return bool((output >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def as_logits(output: torch.Tensor, *, probabilities: bool) -> torch.Tensor:
    """Logits of an output: probabilities by their logarithm, which softmax turns back into them."""
    return output.clamp(min=1e-12).log() if probabilities else output

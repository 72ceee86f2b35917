"""Bias correction: what rounding of the weights does to the mean of each output channel is taken back in its bias.

A channel's mean moves by (quantised weight - weight) · mean of its inputs. Source: Nagel et al., Data-Free Quantization
Through Weight Equalization and Bias Correction, arXiv:1906.04721, section 4.2, with the means of inputs from the
calibration rows. Padding counts as if the means reached beyond the border.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

CONVOLUTIONS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Shifts:
    """Layers of a prepared module that get 8-bit weights, and the means of what they read while rows run through."""

    def __init__(self, prepared: nn.Module) -> None:
        """Watch every layer that has a rule for its weights."""
        self._sums: dict[str, Any] = {}
        self._rows: dict[str, int] = {}
        self._layers: dict[str, tuple[nn.Module, Any]] = {}
        self._hooks: list[Any] = []
        rules = {name: getattr(part, "qconfig", None) for name, part in prepared.named_modules()}
        for name, part in prepared.named_modules():
            rule = rules[name] or rules.get(name.rpartition(".")[0])  # a fused layer's rule is that of the pair
            if type(part) in {*CONVOLUTIONS, nn.Linear} and rule is not None:
                self._layers[name] = (part, rule)
                self._hooks.append(part.register_forward_pre_hook(self._watching(name)))

    def _watching(self, name: str) -> Any:
        def watch(part: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            value = given[0].double()
            channel = value.dim() - 1 if isinstance(part, nn.Linear) else 1
            mean = value.mean([axis for axis in range(value.dim()) if axis != channel])
            self._sums[name] = self._sums.get(name, 0.0) + mean
            self._rows[name] = self._rows.get(name, 0) + 1

        return watch

    def stop(self) -> None:
        """Watch no longer."""
        for hook in self._hooks:
            hook.remove()

    def correct(self) -> int:
        """Change the biases of the layers that ran, before they are quantised; returns how many."""
        for name, total in self._sums.items():
            part, rule = self._layers[name]
            shift = _shift(_error(part.weight, rule), total / self._rows[name]).float()
            part.bias = nn.Parameter((torch.zeros_like(shift) if part.bias is None else part.bias.detach()) - shift)
        return len(self._sums)


def _error(weight: Any, rule: Any) -> torch.Tensor:
    """Weight after rounding minus weight."""
    observer = rule.weight()
    observer(weight.detach())
    scale, zero = observer.calculate_qparams()
    low, high = observer.quant_min, observer.quant_max
    if scale.numel() > 1:
        rounded = torch.fake_quantize_per_channel_affine(weight.detach(), scale, zero.int(), 0, low, high)
    else:
        rounded = torch.fake_quantize_per_tensor_affine(weight.detach(), float(scale), int(zero), low, high)
    return (rounded - weight.detach()).double()


def _shift(error: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
    """How far the mean of each output channel has moved, `(channels,)`."""
    by_input = error.flatten(2).sum(2) if error.dim() > 2 else error
    groups = len(means) // by_input.shape[1]
    split = by_input.reshape(groups, -1, by_input.shape[1])
    return torch.einsum("goi,gi->go", split, means.reshape(groups, -1)).reshape(-1)

"""Mean and second moment of what layers put out on calibration rows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from harness import ArtifactError, BuildContext

if TYPE_CHECKING:
    from bench_lowrank.layer import Layer

BATCH = 32


class Responses:
    """Sums over all rows and positions of `y = W x`, the output of one layer without its bias, in float64.

    Attributes:
        n: How many rows and positions were seen.
    """

    def __init__(self, layer: Layer) -> None:
        """Start with nothing seen."""
        outputs = layer.module.weight.shape[0]
        self._layer = layer.module
        self.n = 0
        self._sum = torch.zeros(outputs, dtype=torch.float64)
        self._products = torch.zeros(outputs, outputs, dtype=torch.float64)

    def add(self, result: torch.Tensor) -> None:
        """Count one output: `(…, out)` of a linear layer, `(n, out, *space)` of a convolution."""
        rows = result.detach().double()
        if not isinstance(self._layer, nn.Linear):
            rows = rows.movedim(1, -1) if rows.dim() == self._layer.weight.dim() else rows.movedim(0, -1)
        rows = rows.reshape(-1, rows.shape[-1])
        if self._layer.bias is not None:
            rows = rows - self._layer.bias.detach().double()
        self.n += len(rows)
        self._sum += rows.sum(0)
        self._products += rows.T @ rows

    @property
    def mean(self) -> torch.Tensor:
        """`(out,)`."""
        return self._sum / self.n

    @property
    def second_moment(self) -> torch.Tensor:
        """`(out, out)`, not centred."""
        return self._products / self.n

    @property
    def covariance(self) -> torch.Tensor:
        """`(out, out)`."""
        return self.second_moment - torch.outer(self.mean, self.mean)


def watch(module: nn.Module, layers: list[Layer], rows: int, context: BuildContext) -> dict[str, Responses]:
    """Responses of layers by their name, on calibration rows spread evenly.

    Raises:
        ArtifactError: There are no calibration rows.
    """
    split = context.data.split("calibration") if context.data is not None else None
    if split is None or len(split) == 0:
        raise ArtifactError(
            "error='responses' needs calibration rows and there are none",
            hint="Give data with --data, or take error='weights'.",
        )
    chosen = np.linspace(0, len(split) - 1, min(rows, len(split))).round().astype(np.int64)
    found = {layer.name: Responses(layer) for layer in layers}

    def note(responses: Responses, _layer: nn.Module, _given: Any, result: torch.Tensor) -> None:
        responses.add(result)

    handles = [
        module.get_submodule(name).register_forward_hook(partial(note, responses)) for name, responses in found.items()
    ]
    try:
        with torch.no_grad():
            for start in range(0, len(chosen), BATCH):
                batch = chosen[start : start + BATCH]
                module(*(torch.from_numpy(np.ascontiguousarray(array[batch])) for array in split.inputs))
    finally:
        for handle in handles:
            handle.remove()
    return found

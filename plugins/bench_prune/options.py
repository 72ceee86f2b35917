"""Options of the pruning techniques."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneMagnitude:
    """Options of `prune-magnitude`.

    Attributes:
        amount: Share of the weights of convolutions and linear layers that becomes zero, above 0 and below 1.
        scope: `global` ranks all weights together, `layer` takes the same share of every layer.
    """

    amount: float = 0.5
    scope: Literal["global", "layer"] = "global"

"""Options of the backend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuTorchOptions:
    """Options of `executorch`.

    Attributes:
        portable: Run operators that no delegate took with ExecuTorch's portable kernels, which are written for
            correctness: a network of them is some hundred times slower. Without it such a program is refused.
    """

    portable: bool = False

"""Where the time of one inference goes, operator by operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """One operator as the runtime executed it, after all its own fusion and rewriting.

    Attributes:
        name: Its name in the runtime's executed graph.
        kind: The runtime's own word for what it did, such as `QLinearConv`.
        does: `compute` for a convolution or matrix product, `quantise` for a change of number format that stands by
            itself (quantise, dequantise, cast, reorder of precision), `other` for all else.
        precision: `int8`, `fp16`, `bf16` or `fp32` where the runtime says or its kind implies it, else "".
        ns: Time of one inference spent in it, median over the repeats.
    """

    name: str
    kind: str
    does: Literal["compute", "quantise", "other"]
    precision: str
    ns: int

"""A reason: what keeps a variant from being faster than its baseline, by how much, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Where = Literal["host", "device"]
Basis = Literal["measured", "counted", "estimated"]


class Cause(StrEnum):
    """What may keep a variant from being faster: the closed list."""

    FLOAT_LEFT = "operators left in float"
    FORMAT_CHANGES = "changes of number format"
    NO_DOT_PRODUCT = "no 8-bit dot product"
    HALF_IN_FLOAT = "half precision computed in float"
    WEIGHTS_EXPANDED = "weights expanded before use"
    DENSE_ZEROS = "zeros that are multiplied all the same"
    ODD_CHANNELS = "channels that do not fill the vectors"
    LESS_REUSE = "fewer multiply-accumulates for each byte"
    OTHER_WORK = "operators beside the arithmetic"
    TOO_SMALL = "a model too small for the gain to show"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a variant is not faster.

    Attributes:
        cause: One of the closed list.
        where: This machine, or the device of a profile.
        basis: `measured` where operators' times say it, `estimated` where times predicted for the device do, `counted`
            where the graph or the processor's instruction set says it and nobody was timed.
        share: Of the variant's time, 0 to 1, that the cause concerns; None where that is not known.
        text: One sentence, with figures.
    """

    cause: Cause
    where: Where
    basis: Basis
    share: float | None
    text: str

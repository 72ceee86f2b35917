"""Geometry of the small bars that draw an interval in a table. Numbers in, coordinates out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BAR_WIDTH = 88
"""Width of a bar in px, with the two px that a mark at either end needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A linear or logarithmic map from numbers to coordinates."""

    lo: float
    hi: float
    start: int
    end: int
    log: bool = False

    def __call__(self, value: float) -> int:
        """Coordinate of a value, held inside the drawing, to a pixel."""
        lo, hi, at = (
            (math.log(self.lo), math.log(self.hi), math.log(max(value, self.lo)))
            if self.log
            else (self.lo, self.hi, value)
        )
        share = min(max((at - lo) / (hi - lo), 0.0), 1.0) if hi > lo else 0.5
        return round(self.start + share * (self.end - self.start))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A drawn interval: a line from `lo` to `hi` with a mark at `middle`."""

    lo: int
    middle: int
    hi: int


def bar_scale(spans: Sequence[tuple[float, float, float]], *, log: bool) -> Scale | None:
    """A scale that all bars of one column share, or None when there is nothing to draw."""
    ends = [end for lo, _, hi in spans for end in (lo, hi) if not log or end > 0]
    if not ends or min(ends) == max(ends):
        return None
    return Scale(lo=min(ends), hi=max(ends), start=2, end=BAR_WIDTH - 2, log=log)


def bar(span: tuple[float, float, float], scale: Scale) -> Bar:
    """Coordinates of one interval."""
    return Bar(lo=scale(span[0]), middle=scale(span[1]), hi=scale(span[2]))

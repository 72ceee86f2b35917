"""Where names stand beside the points of a still picture, so that none covers another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHARACTER = 6.2
"""Mean width in px of a character of 11 px sans serif."""

LONGEST = 34
"""Characters of a name, the rest is cut off."""

PADDING = 24
"""Space in px between the outermost points and the frame."""

PLACES = (
    ("left", 8, -11),
    ("right", -8, -11),
    ("left", 8, 11),
    ("right", -8, 11),
    ("center", 0, -16),
    ("center", 0, 16),
)
"""Alignment and offset in px of a name, what is tried first."""

Box = tuple[float, float, float, float]


def place_labels(values: Sequence[dict[str, Any]], width: float, height: float) -> list[dict[str, Any]]:
    """The values, those of whose `label` has room with its `align`, `dx` and `dy`, the others with an empty one.

    Args:
        values: Points with `x` (drawn on a logarithmic axis), `y`, the ends of their intervals, and `label`.
        width: Of the plot, in px.
        height: Of the plot, in px.
    """
    across = _positions([math.log(value["x"]) for value in values], _ends(values, "x", log=True), width)
    up = _positions([value["y"] for value in values], _ends(values, "y", log=False), height)
    at = [(x, height - y) for x, y in zip(across, up, strict=True)]
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in at]
    order = sorted(range(len(values)), key=lambda number: values[number]["front"] is None)
    placed = [{**value, "label": "", "align": "left", "dx": 0, "dy": 0} for value in values]
    for number in order:
        text = values[number]["label"]
        text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
        for align, dx, dy in PLACES if text else ():
            box = _box(at[number][0] + dx, at[number][1] + dy, len(text) * CHARACTER, align)
            inside = box[0] >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                placed[number] |= {"label": text, "align": align, "dx": dx, "dy": dy}
                break
    return placed


def _ends(values: Iterable[dict[str, Any]], axis: str, *, log: bool) -> list[float]:
    found = [value[key] for value in values for key in (f"{axis}_lo", f"{axis}_hi") if key in value]
    return [math.log(end) for end in found if end > 0] if log else found


def _positions(points: Sequence[float], ends: Sequence[float], size: float) -> list[float]:
    lo, hi = min([*points, *ends]), max([*points, *ends])
    step = (size - 2 * PADDING) / (hi - lo) if hi > lo else 0.0
    return [PADDING + (point - lo) * step if step else size / 2 for point in points]


def _box(x: float, y: float, wide: float, align: str) -> Box:
    start = {"left": x, "center": x - wide / 2, "right": x - wide}[align]
    return start, y - 7, start + wide, y + 7


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

"""Which variants nothing else beats in both latency and quality."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

Key = TypeVar("Key", bound="Hashable")


def pareto_front(points: Mapping[Key, tuple[float, float]]) -> frozenset[Key]:
    """Keys of the (latency, quality) points that no other point beats: less latency at no less quality, or the reverse.

    Points that are equal in both stay or go together.
    """
    front: set[Key] = set()
    best = float("-inf")
    ordered = sorted(points.items(), key=lambda item: (item[1][0], -item[1][1]))
    last: tuple[float, float] | None = None
    for key, point in ordered:
        if point[1] > best or point == last:
            front.add(key)
            best, last = point[1], point
    return frozenset(front)

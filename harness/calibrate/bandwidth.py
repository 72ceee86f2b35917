"""Speed of memory by size of block: what one core copies and reads from each level of cache and beyond."""

from __future__ import annotations

import datetime as dt
import time
from functools import partial
from typing import TYPE_CHECKING

from harness.profile import Bandwidth, Quantity

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCKS_KIB = (16, 64, 256, 1024, 4096, 16384, 65536)

SOURCE = "measured here: numpy, best of several"

EACH_S = 0.04
"""Time for one block and one direction; the best turn counts, since a neighbour can only slow it down."""

TURN_BYTES = 4 * 2**20
"""Small blocks are moved several times in a turn, so that reading the clock and calling numpy weigh little."""


def measure_bandwidths() -> tuple[Bandwidth, ...]:
    """Measure every size."""
    import numpy as np

    found = []
    for kib in BLOCKS_KIB:
        source = np.ones(kib * 1024 // 4, np.float32)
        target = np.zeros_like(source)
        found.append(
            Bandwidth(
                block=_quantity(kib, "KiB"),
                copy=_quantity(_best_gbps(partial(np.copyto, target, source), kib), "GB/s"),
                read=_quantity(_best_gbps(partial(source.dot, source), kib), "GB/s"),
            )
        )
    return tuple(found)


def _best_gbps(move: Callable[[], object], kib: int) -> float:
    times = max(1, TURN_BYTES // (kib * 1024))
    best, spent = float("inf"), 0.0
    while spent < EACH_S:
        begin = time.perf_counter()
        for _ in range(times):
            move()
        took = time.perf_counter() - begin
        best, spent = min(best, took), spent + took
    return round(times * kib * 1024 / best / 1e9, 2)


def _quantity(value: float, unit: str) -> Quantity:
    return Quantity(value=float(value), unit=unit, source=SOURCE, date=dt.datetime.now(dt.UTC).date().isoformat())

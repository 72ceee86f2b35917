"""A meter as a third party would write it: a machine that draws five watts, whatever it does."""

from __future__ import annotations

import time
from collections.abc import Iterator

import harness

HARNESS_API = 1


class Counter:
    """Counts from when it was opened."""

    def __init__(self) -> None:
        self._opened_ns = time.monotonic_ns()

    def read_uj(self) -> int:
        return 5 * (time.monotonic_ns() - self._opened_ns) // 1000

    def close(self) -> None:
        pass


@harness.hookimpl
def harness_meters() -> Iterator[harness.Meter]:
    yield harness.Meter(
        name="a-toy-meter",
        summary="Five watts, always.",
        available=lambda: harness.AVAILABLE,
        open=Counter,
        scope="a machine that draws five watts",
    )

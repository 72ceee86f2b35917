"""A backend whose threads keep every processor busy for a while after each call, as OpenMP's block time does."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import harness

SPIN_S = 0.06
BLOCK = b"x" * 2**18


class SpinningSession:
    def __init__(self) -> None:
        self._until = 0.0
        self._wake = threading.Event()
        for _ in range(os.cpu_count() or 1):
            threading.Thread(target=self._spin, daemon=True).start()

    def _spin(self) -> None:
        while True:
            self._wake.wait()
            while time.perf_counter() < self._until:
                hashlib.sha256(BLOCK)
            self._wake.clear()

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        import numpy as np

        self._result = np.zeros((1, 3), np.float32)
        return self._call

    def _call(self) -> None:
        self._until = time.perf_counter() + SPIN_S
        self._wake.set()

    def outputs(self) -> tuple[Any, ...]:
        return (self._result,)

    def threads(self) -> int | None:
        return os.cpu_count()

    def close(self) -> None:
        self._until = 0.0


@harness.hookimpl
def harness_backends() -> Iterator[harness.Backend]:
    yield harness.Backend(
        name="spinner",
        summary="Its threads spin after each call.",
        reads=("toy",),
        prepare=lambda: None,
        open=lambda path, options: SpinningSession(),
        kernel_family={"aarch64": "toy", "x86_64": "toy"},
    )

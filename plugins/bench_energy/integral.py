"""Integral of power over time: turns a sensor that tells watts into a counter of microjoules."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bench_energy.machine import Machine

PERIOD_S = 0.05
"""Time between two samples. Slower than what the sensors average over (a Jetson's default is 64 ms a channel or less),
fast against the second or more that energy is measured over."""


class Integral:
    """Energy since it was opened, by the trapezoidal rule over samples of power.

    A thread samples while it is open, and every reading takes a sample of its own, so that what is read is of this
    moment. A sensor that fails is told by the next reading.
    """

    def __init__(self, power_w: Callable[[], float], machine: Machine) -> None:
        """Open with a first sample, and start the thread."""
        self._power_w = power_w
        self._now_ns = machine.now_ns
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._error: OSError | None = None
        self._energy_uj = 0.0
        self._at_ns, self._last_w = self._now_ns(), power_w()
        self._thread = machine.start(self._sample_on)

    def sample(self) -> None:
        """Add the energy since the last sample."""
        with self._lock:
            power_w, now_ns = self._power_w(), self._now_ns()
            # watts times nanoseconds are nanojoules
            self._energy_uj += (power_w + self._last_w) / 2 * (now_ns - self._at_ns) / 1e3
            self._at_ns, self._last_w = now_ns, power_w

    def read_uj(self) -> int:
        """Microjoules since it was opened."""
        if self._error is not None:
            raise self._error
        self.sample()
        return round(self._energy_uj)

    def close(self) -> None:
        """Stop sampling; closing twice is fine."""
        self._stop.set()
        self._thread.join()

    def _sample_on(self) -> None:
        while not self._stop.wait(PERIOD_S):
            try:
                self.sample()
            except OSError as error:
                self._error = error
                return

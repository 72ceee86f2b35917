"""How much longer measuring takes: its budget of time, or what must be done whatever the budget, if that is more."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.progress import Left

FIRST_ONLY = "scoring and profiling"
"""What follows the rounds of the first process, and of which nothing is known before."""


@dataclass(slots=True)
class Pace:
    """Keeps how long opening and rounds took in one group.

    Attributes:
        budget_s: Wall time for the group.
        processes: Processes of each session that are taken whatever the budget.
        rounds: Rounds in each of them likewise.
        clock: Seconds.
    """

    budget_s: float
    processes: int
    rounds: int
    clock: Callable[[], float] = time.monotonic
    more: str = ""
    _started: float = field(init=False)
    _began: float = field(init=False)
    _process: int = 0
    _done: int = 0
    _opening_s: float = 0.0
    _round_s: float | None = None

    def __post_init__(self) -> None:
        self._started = self._began = self.clock()

    def begin(self, process: int) -> None:
        """A process is being started for each session."""
        self._process, self._done, self._began = process, 0, self.clock()

    def opened(self) -> None:
        """All sessions of the process are open and warm."""
        self._opening_s, self._began = self.clock() - self._began, self.clock()

    def round_done(self) -> None:
        """Every session had its turn."""
        self._done += 1
        self._round_s = (self.clock() - self._began) / self._done

    def left(self) -> Left | None:
        """None before the first round: how long a session takes to open and to run is not known then."""
        if self._round_s is None:
            return None
        later = max(0, self.processes - 1 - self._process)
        needed = max(0, self.rounds - self._done) * self._round_s
        needed += later * (self._opening_s + self.rounds * self._round_s)
        budget = self._started + self.budget_s - self.clock()
        plus = [FIRST_ONLY] if self._process == 0 else []
        return Left(seconds=max(needed, budget, 0.0), plus=" and ".join([*plus, *([self.more] if self.more else [])]))

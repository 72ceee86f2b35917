"""What a child process may use before the run stops it."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one child.

    Attributes:
        answer_s: Longest time to answer one request, seconds; None for no limit.
        memory_bytes: Largest resident memory; None for nine tenths of what is available when the child starts.
        output_bytes: Largest amount that it may print.
    """

    answer_s: float | None = 300.0
    memory_bytes: int | None = None
    output_bytes: int = 16 * 2**20

    def memory_limit_bytes(self) -> int:
        """The memory limit in force for a child that starts now."""
        if self.memory_bytes is not None:
            return self.memory_bytes
        return int(psutil.virtual_memory().available * 0.9)

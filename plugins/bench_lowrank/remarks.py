"""What a reader must know about a factorisation, collected layer by layer and said in few lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAMED = 8
"""Layers named in a line at most."""


@dataclass(slots=True)
class Remarks:
    """Layers left alone, and why."""

    _left: dict[str, list[str]] = field(default_factory=dict)

    def leave(self, name: str, reason: str) -> None:
        """A layer stays as it is; the reason is put in the plural, since layers with the same one share a line."""
        self._left.setdefault(reason, []).append(name or "the module itself")

    def say(self, note: Callable[[str], None]) -> None:
        """One line for each reason."""
        for reason, names in self._left.items():
            note(f"left alone, {reason}: {listed(names)}")

    def __str__(self) -> str:
        return "; ".join(f"{reason}: {listed(names)}" for reason, names in self._left.items())


def listed(names: Iterable[str]) -> str:
    """Names in a line, the first few only."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

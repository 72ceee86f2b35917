"""Progress: what a run tells while it works. The command line draws it; a library call is silent."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listens to a run."""

    def stage(self, name: str, total: int) -> None:
        """A stage of so many steps begins."""

    def step(self, text: str) -> None:
        """One step of the stage is done."""

    def say(self, text: str) -> None:
        """Something is being done at this moment."""


class Silent:
    """Says nothing."""

    def stage(self, name: str, total: int) -> None:
        """Ignore it."""

    def step(self, text: str) -> None:
        """Ignore it."""

    def say(self, text: str) -> None:
        """Ignore it."""

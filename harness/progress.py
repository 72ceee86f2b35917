"""Progress: what a run tells while it works. The command line draws it; a library call is silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Progress(Protocol):
    """Listens to a run."""

    def opened(self, folder: Path) -> None:
        """The plan is sound and the run folder is there."""

    def stage(self, name: str, total: int) -> None:
        """A stage of so many steps begins."""

    def step(self, text: str) -> None:
        """One step of the stage is done."""

    def say(self, text: str) -> None:
        """Something is being done at this moment."""


class Silent:
    """Says nothing."""

    def opened(self, folder: Path) -> None:
        """Ignore it."""

    def stage(self, name: str, total: int) -> None:
        """Ignore it."""

    def step(self, text: str) -> None:
        """Ignore it."""

    def say(self, text: str) -> None:
        """Ignore it."""

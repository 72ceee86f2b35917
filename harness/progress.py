"""Progress: what a run tells while it works. The command line draws it; a library call is silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """How much longer the stage takes, as far as that can be told from what the run has timed so far.

    Attributes:
        seconds: What can be told.
        plus: What nothing is known of yet and comes on top, such as `scoring`; "" when all is in `seconds`.
    """

    seconds: float
    plus: str = ""


class Progress(Protocol):
    """Listens to a run. May be called by several threads."""

    def opened(self, folder: Path) -> None:
        """The plan is sound and the run folder is there."""

    def stage(self, name: str, total: int = 0, then: str = "") -> None:
        """A stage of so many steps begins, 0 where their number shows only later; `then` comes after it."""

    def step(self, text: str, left: Left | None = None) -> None:
        """One step of the stage is done, and what became of it; None where nothing can be told of the rest."""

    def say(self, text: str, left: Left | None = None) -> None:
        """Something is being done at this moment."""


class Silent:
    """Says nothing."""

    def opened(self, folder: Path) -> None:
        """Ignore it."""

    def stage(self, name: str, total: int = 0, then: str = "") -> None:
        """Ignore it."""

    def step(self, text: str, left: Left | None = None) -> None:
        """Ignore it."""

    def say(self, text: str, left: Left | None = None) -> None:
        """Ignore it."""

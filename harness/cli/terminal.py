"""What a stream that is written to can show: colour, a moving cursor, so many characters a line."""

from __future__ import annotations

import os
import shutil
from typing import IO, Any

UNMOVABLE = frozenset({"dumb", "unknown"})
"""Values of TERM of terminals that write one line below the other and nothing else."""


def terminal_width() -> int:
    """Characters of the terminal, 100 where that cannot be told."""
    return shutil.get_terminal_size((100, 24)).columns


def can_move(stream: IO[Any]) -> bool:
    """Whether what was written can be drawn over."""
    return stream.isatty() and os.environ.get("TERM", "") not in UNMOVABLE


def can_colour(stream: IO[Any]) -> bool:
    """Whether to colour; a NO_COLOR that is not empty refuses it (no-color.org)."""
    return can_move(stream) and not os.environ.get("NO_COLOR")


def printable(text: str) -> str:
    """Lines without control characters, which could move the cursor or change the title."""
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in text.split("\n"))

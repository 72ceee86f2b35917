"""Text that is nothing but text, whatever a record holds."""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Without control characters: they could move the cursor of a terminal, and no SVG may hold them."""
    return CONTROL.sub(" ", text)

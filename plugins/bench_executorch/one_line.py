"""An exception in a line, for errors that say what torch or ExecuTorch said."""

from __future__ import annotations


def one_line(exc: BaseException, limit: int = 240) -> str:
    """An exception as one line: its type and the beginning of its message."""
    text = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {text[:limit]}" if text else type(exc).__name__

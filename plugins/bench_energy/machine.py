"""The machine that meters read: files below a root, commands and a clock; a recorded one can take its place."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ANSWER_S = 5.0
"""A command that takes longer hangs."""


def run_command(command: Sequence[str]) -> str:
    """What a command prints; raises OSError when there is none or it fails."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except subprocess.TimeoutExpired:
        raise OSError(f"{command[0]} did not answer within {ANSWER_S:g} s") from None
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise OSError(said or f"{command[0]} ended with {done.returncode}")
    return said


def read_file(path: Path) -> str:
    """A file's text, stripped; raises OSError."""
    return path.read_text(encoding="utf-8", errors="replace").strip()


def start_thread(work: Callable[[], None]) -> threading.Thread:
    """Run something beside the caller."""
    thread = threading.Thread(target=work, name="power samples", daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a meter reads.

    Attributes:
        root: What stands for `/`.
        start: Starts sampling beside the caller; returns what can be joined.
    """

    root: Path = Path("/")
    read: Callable[[Path], str] = read_file
    run: Callable[[Sequence[str]], str] = run_command
    now_ns: Callable[[], int] = time.monotonic_ns
    start: Callable[[Callable[[], None]], threading.Thread] = start_thread


THIS_MACHINE = Machine()

"""ExecuTorch, its exporter and torchao without what they print; errors are raised, so nothing is lost."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS = 2
"""The file that C++ code logs to."""


@contextmanager
def quiet_log() -> Iterator[None]:
    """Hold back what C++ code writes to the standard error of the process, such as that it found no Arm processor."""
    sys.stderr.flush()
    kept = os.dup(ERRORS)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), ERRORS)
            try:
                yield
            finally:
                os.dup2(kept, ERRORS)
    finally:
        os.close(kept)


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back log lines and warnings of Python code too."""
    disabled = logging.root.manager.disable
    with (
        quiet_log(),
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(disabled)


def one_line(exc: BaseException, limit: int = 240) -> str:
    """An exception as one line: its type and the beginning of its message."""
    text = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {text[:limit]}" if text else type(exc).__name__

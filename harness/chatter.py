"""Libraries without what they print, log and warn of; their errors are raised, so nothing is lost."""

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
def silenced_stderr() -> Iterator[None]:
    """Hold back what C++ code writes to the standard error of the process, such as which device it found.

    The file descriptor itself is turned away, for all threads: use it around short calls.
    """
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
def silenced() -> Iterator[None]:
    """Hold back progress bars, log lines below errors, and warnings of Python code too."""
    disabled = logging.root.manager.disable
    with (
        silenced_stderr(),
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

"""What torchao and torch.export say besides what they raise, held back."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGINNINGS = {
    "torchao": "Failed to load ",  # kernels for graphics cards, which it looks for on every machine
    "torch.utils._pytree": "<enum 'KernelPreference'> is an Enum subclass",  # torchao's use of what torch deprecates
    "torch.fx.experimental.symbolic_shapes": "Unable to find user code",  # the exception that follows says more
}
"""Logger to the beginning of its messages that are held back."""


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back messages that begin like that, and everything that is printed: torch.export prints graphs it fails on.

    Attributes that an LSTM sets while it is exported are the ones it had: that warning is held back too.
    """
    filters = {logging.getLogger(name): _Without(beginning) for name, beginning in BEGINNINGS.items()}
    for logger, held_back in filters.items():
        logger.addFilter(held_back)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.filterwarnings("ignore", message=r"The tensor attributes? .* assigned during export")
            yield
    finally:
        for logger, held_back in filters.items():
            logger.removeFilter(held_back)


class _Without(logging.Filter):
    """Holds back messages that begin with a text."""

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self.beginning = beginning

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(self.beginning)

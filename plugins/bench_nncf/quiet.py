"""NNCF and OpenVINO without what they print, log and send."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

# Both report usage over the network unless the user has opted out. With their telemetry package out of reach each
# takes a stub in its place, so nothing can be sent.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@contextmanager
def quiet() -> Iterator[ModuleType]:
    """NNCF, with its progress bars, log lines and warnings held back while it works; errors are raised."""
    disabled = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            import nncf  # type: ignore[import-untyped]

            nncf.set_log_level(logging.ERROR)
            yield nncf
        finally:
            logging.disable(disabled)

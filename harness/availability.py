"""Whether modules that a contribution works with are installed, asked without importing them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from harness.contributions import AVAILABLE, Availability


def if_installed(*modules: str, install: str) -> Callable[[], Availability]:
    """An `available` for a contribution that works where these modules can be imported.

    Args:
        modules: Top-level modules.
        install: The command that brings them.
    """

    def available() -> Availability:
        missing = [name for name in modules if not _found(name)]
        if not missing:
            return AVAILABLE
        return Availability(ok=False, reason=f"not installed: {', '.join(missing)}", install=install)

    return available


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a module without a spec, or one that is blocked
        return False

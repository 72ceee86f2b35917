"""Resident memory of this process: what it holds, and the highest it held since a mark."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def rss_bytes() -> int:
    """Resident memory of this process at this moment."""
    return int(psutil.Process().memory_info().rss)


def mark_peak() -> bool:
    """Start a new high-water mark. False where the system cannot: the peak is then that of the whole process.

    Source: proc(5), writing 5 to /proc/pid/clear_refs resets VmHWM.
    """
    try:
        _CLEAR_REFS.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak_rss_bytes() -> int:
    """Highest resident memory since the mark, as the kernel keeps it (VmHWM), or since the start elsewhere."""
    if _STATUS.is_file():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

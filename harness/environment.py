"""The machine and the software that a run stands on, and what of them cannot be read here."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from harness.digest import installed_version

DISTRIBUTION = "edge-bench"


def usable_cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe_environment(distributions: Iterable[str], threads: int, notes: Iterable[str] = ()) -> Mapping[str, Any]:
    """What goes into environment.json; `notes` come before those on the clock and the system."""
    notes = list(notes)
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor.is_file():
        notes.append(f"processor clock governor: {governor.read_text(encoding='ascii').strip()}")
    else:
        notes.append("the processor's clock cannot be read or fixed here")
    if sys.platform != "linux":
        notes.append("not Linux: peak memory is that of the whole process, and limits come from polling alone")
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "bench": installed_version(DISTRIBUTION),
        "cpu": cpu_name(),
        "isa": platform.machine(),
        "cores": usable_cores(),
        "memory_bytes": int(psutil.virtual_memory().total),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "threads": threads,
        "load_average": round(os.getloadavg()[0], 2),
        "versions": {name: v for name in sorted(set(distributions)) if (v := installed_version(name))},
        "notes": notes,
    }

"""The machine and the software that a run stands on, and what of them cannot be read here."""

from __future__ import annotations

import hashlib
import hmac
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

MACHINE_ID = Path("/etc/machine-id")

APPLICATION = b"edge-bench, identity of the machine, 1"
"""What the system's identity is hashed with, so that nobody who reads a run can match it with anything else."""


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


def machine_identity(path: Path = MACHINE_ID) -> str:
    """12 hexadecimal digits that two machines do not share, or "" where the system has no identity.

    machine-id(5) calls the identity confidential and asks for a keyed hash of it. A container may have none, or that
    of the image it was made from, which all containers of that image share.
    """
    try:
        identity = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    if len(identity) != 32:  # empty or "uninitialized" in an image that no system was started from
        return ""
    return hmac.new(identity.encode(), APPLICATION, hashlib.sha256).hexdigest()[:12]


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
        "machine": machine_identity(),
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

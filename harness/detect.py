"""Detects the profile of the machine the program runs on."""

from __future__ import annotations

import datetime as dt
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

from harness.profile import MIB, Caches, Cluster, DeviceProfile, Memory, Quantity

ARM_FP32 = {0xD03: 4, 0xD04: 4, 0xD05: 4, 0xD07: 4, 0xD08: 4, 0xD09: 4, 0xD0A: 4, 0xD0B: 8, 0xD0D: 8, 0xD41: 8}
"""MAC per cycle in float32 by the `CPU part` of Arm's cores (A53, A35, A55, A57, A72, A73, A75, A76, A77, A78):
the FMA rates that hiroog/vfpbench logs for these cores, 2020 to 2024."""

ARM_NAMES = {0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55", 0xD07: "Cortex-A57", 0xD08: "Cortex-A72",
             0xD09: "Cortex-A73", 0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76", 0xD0D: "Cortex-A77",
             0xD41: "Cortex-A78"}  # fmt: skip

ASSUMED_GHZ = 2.0
COPY_BYTES = 64 * MIB


def detect() -> DeviceProfile:
    """Read this machine; what cannot be read is left out, or assumed and said so in `note`."""
    import psutil

    isa = "aarch64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
    notes: list[str] = ["power is not known: energy is not estimated"]
    text = _cpuinfo()
    flags = _flags(text)
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    memory = psutil.virtual_memory()
    name, cluster = _cluster(isa, text, flags, notes)
    return DeviceProfile(
        name="host",
        title=name,
        summary=f"this machine: {cores} cores, {memory.total / 2**30:.1f} GiB",
        isa="aarch64" if isa == "aarch64" else "x86_64",
        isa_flags=flags,
        clusters=(
            Cluster(
                name="all",
                core=name,
                count=_quantity(cores, "cores", "detected: psutil"),
                clock=cluster["clock"],
                fp32=cluster["fp32"],
                fp16=cluster["fp16"],
                int8=cluster["int8"],
            ),
        ),
        caches=_caches(),
        memory=Memory(
            total=_quantity(memory.total / MIB, "MiB", "detected: psutil"),
            reserved=_quantity(
                (memory.total - memory.available) / MIB, "MiB", "detected: psutil, in use at that moment"
            ),
            memcpy=_quantity(_memcpy_gbps(), "GB/s", "measured here: numpy.copyto of 64 MiB, best of several"),
        ),
        note="; ".join(notes),
    )


def _quantity(value: float, unit: str, source: str) -> Quantity:
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return Quantity(value=float(value), unit=unit, source=source, date=today)


def _cluster(isa: str, text: str, flags: tuple[str, ...], notes: list[str]) -> tuple[str, dict[str, Quantity]]:
    name, ghz, source = _name_and_clock(text)
    if ghz is None:
        ghz, source = ASSUMED_GHZ, "assumed: the system states no clock"
        notes.append(f"the clock is not readable here, {ASSUMED_GHZ} GHz assumed")
    part = _arm_part(text)
    fp32, fp16, int8, why = _arm_rates(part, flags) if isa == "aarch64" else _x86_rates(text, flags)
    return ARM_NAMES.get(part, name) if isa == "aarch64" else name, {
        "clock": _quantity(ghz, "GHz", source),
        "fp32": _quantity(fp32, "MAC/cycle", why),
        "fp16": _quantity(fp16, "MAC/cycle", why),
        "int8": _quantity(int8, "MAC/cycle", why),
    }


def _x86_rates(text: str, flags: tuple[str, ...]) -> tuple[int, int, int, str]:
    """Lanes times FMA pipes, two of them since Haswell and Zen 2 (Intel 64 and IA-32 Optimization Reference Manual).

    AMD's family 25 (Zen 4) splits a 512-bit FMA over two 256-bit pipes (Software Optimization Guide for the AMD Zen4
    Microarchitecture); some Intel parts have one AVX-512 pipe and reach half of what stands here. VNNI multiplies
    four int8 pairs a lane; without it `vpmaddubsw` and its additions reach about twice the float32 rate.
    """
    have = set(flags)
    split = "AuthenticAMD" in text and re.search(r"^cpu family\s*:\s*25$", text, re.MULTILINE) is not None
    if "avx512f" in have and not split:
        fp32, why = 32, "AVX-512 FMA, 16 lanes x 2 pipes, an upper bound"
    elif {"avx2", "fma"} <= have:
        fp32, why = 16, "AVX2 FMA, 8 lanes x 2 pipes"
    elif "avx" in have:
        fp32, why = 8, "AVX, 8 lanes, multiply and add apart"
    else:
        fp32, why = 4, "SSE2, 4 lanes, multiply and add apart"
    vnni = bool(have & {"avx512_vnni", "avx_vnni"})
    return fp32, 2 * fp32 if "avx512_fp16" in have else 0, (4 if vnni else 2) * fp32, f"detected: flags say {why}"


def _arm_rates(part: int, flags: tuple[str, ...]) -> tuple[int, int, int, str]:
    """Rates of a known core, else 128-bit FMA times two pipes, or four on Apple's cores."""
    have = set(flags)
    fp32 = ARM_FP32.get(part, 16 if sys.platform == "darwin" else 8)
    why = f"detected core part 0x{part:x}" if part in ARM_FP32 else "assumed: core not in the table of known ones"
    return fp32, 2 * fp32 if "asimdhp" in have else 0, (4 if "asimddp" in have else 2) * fp32, why


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _sysctl(key: str) -> str:
    if sys.platform != "darwin":
        return ""
    done = subprocess.run(["/usr/sbin/sysctl", "-n", key], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _flags(text: str) -> tuple[str, ...]:
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    if found:
        return tuple(sorted(found[1].split()))
    names = {"hw.optional.arm.FEAT_DotProd": "asimddp", "hw.optional.arm.FEAT_FP16": "asimdhp",
             "hw.optional.arm.FEAT_I8MM": "i8mm", "hw.optional.avx2_0": "avx2", "hw.optional.fma": "fma",
             "hw.optional.avx512f": "avx512f"}  # fmt: skip
    return tuple(sorted(flag for key, flag in names.items() if _sysctl(key) == "1"))


def _arm_part(text: str) -> int:
    found = re.findall(r"^CPU part\s*:\s*(0x[0-9a-f]+)", text, re.MULTILINE)
    return int(found[-1], 16) if found else 0


def _name_and_clock(text: str) -> tuple[str, float | None, str]:
    import psutil

    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    name = found[1].strip() if found else _sysctl("machdep.cpu.brand_string") or platform.processor() or "this machine"
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):  # some virtual machines and older macOS state none
        frequency = None
    if frequency is not None and max(frequency.max, frequency.current) > 0:
        return name, max(frequency.max, frequency.current) / 1000, "detected: psutil"
    found = re.search(r"^cpu MHz\s*:\s*([\d.]+)", text, re.MULTILINE)
    return name, float(found[1]) / 1000 if found else None, "detected: /proc/cpuinfo"


def _caches() -> Caches:
    sizes: dict[str, Quantity] = {}
    shared = False
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size, cpus = (
                (index / each).read_text(encoding="ascii").strip()
                for each in ("level", "type", "size", "shared_cpu_list")
            )
        except OSError:
            continue
        key = {("1", "Data"): "l1d", ("2", "Unified"): "l2", ("3", "Unified"): "l3"}.get((level, kind))
        if key and size.endswith("K"):
            sizes[key] = _quantity(int(size[:-1]), "KiB", "detected: /sys/devices/system/cpu/cpu0/cache")
            shared = shared or (key == "l2" and cpus not in {"0", "0-1"})  # two threads of a core are one core
    return Caches(l2_shared=shared, **sizes)


def _memcpy_gbps() -> float:
    """Bytes copied per second, read and write counted once, best of as many copies as fit in 0.1 s (three or more)."""
    import numpy as np

    source = np.ones(COPY_BYTES, dtype=np.uint8)
    target = np.zeros_like(source)
    best, spent, copies = float("inf"), 0.0, 0
    while copies < 3 or spent < 0.1:
        begin = time.perf_counter()
        np.copyto(target, source)
        took = time.perf_counter() - begin
        best, spent, copies = min(best, took), spent + took, copies + 1
    return COPY_BYTES / best / 1e9

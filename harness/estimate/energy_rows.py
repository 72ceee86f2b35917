"""Published energies: the rows of the published measurements that say what an inference took, grouped by stack."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.estimate.published import FAMILY_OF

MODES_APART = 0.05
"""MLPerf Tiny takes latency and energy in two runs. Where their rates differ by more than this share the two ran
different things, and their quotient is no power; all other rows agree within 2 %."""

_FAMILY = re.compile(r"mlperf_tiny_[a-z]+|[a-z]+_v\d(?=_)|[a-z]+(?:_[a-z]+)*")
_VERSION = re.compile(r"\s+v?(ersion )?\d.*")
_SYSTEM = re.compile(r"[-_](mbed_os|zephyr)\b")
_RATES = re.compile(r"published median ([\d.]+) inf/s.* at ([\d.]+) inf/s")
_SETTINGS = (re.compile(r"-(power\.\d)-"), re.compile(r"\b(fan (?:on|off))\b"), re.compile(r"(Operating at [^;]+)"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyRow:
    """What one inference took, as published.

    Attributes:
        stack: The kernel family; where none is known, the runtime without its version, and the operating system where
            one submitter used two.
        setting: Power mode, fan and supply, where stated.
        family: Models that resemble each other; for MLPerf Tiny the task.
        threads: None where not stated.
        macs: Multiply-accumulates of the model, None where not known.
        aside: Why the row enters no fit; empty for a row that does.
    """

    source: str
    date: str
    device: str
    stack: str
    precision: str
    setting: str
    model: str
    family: str
    threads: int | None
    latency_ms: float
    energy_mj: float
    macs: int | None
    aside: str


def energy_rows(rows: Iterable[Mapping[str, str]], macs: Mapping[str, int] | None = None) -> tuple[EnergyRow, ...]:
    """The rows that state an energy of a processor, in their order, those that are set aside with the reason.

    Args:
        rows: Rows of the published measurements, column to cell.
        macs: Multiply-accumulates by model.
    """
    return tuple(
        _parse(row, macs or {}) for row in rows if row["energy_mj"] and row["latency_ms"] and row["exec_unit"] == "cpu"
    )


def groups(rows: Sequence[EnergyRow]) -> Mapping[tuple[str, str, str, str], tuple[EnergyRow, ...]]:
    """Rows that enter a fit, by device, stack, precision and setting: what one constant may describe."""
    found: dict[tuple[str, str, str, str], list[EnergyRow]] = {}
    for row in rows:
        if not row.aside:
            found.setdefault((row.device, row.stack, row.precision, row.setting), []).append(row)
    return {key: tuple(members) for key, members in sorted(found.items())}


def family_of(model: str) -> str:
    """The family of a model: its name up to width, size and variant."""
    found = _FAMILY.match(model)
    return found.group() if found else model


def _parse(row: Mapping[str, str], macs: Mapping[str, int]) -> EnergyRow:
    note = row["note"]
    return EnergyRow(
        source=row["source_id"],
        date=_year(row["framework_version_or_date"]),
        device=row["device_id"],
        stack=_stack(row["framework"], note),
        precision=row["precision"],
        setting=", ".join(found.group(1).strip() for each in _SETTINGS if (found := each.search(note))),
        model=row["model"],
        family=family_of(row["model"]),
        threads=int(row["threads"]) if row["threads"] else None,
        latency_ms=float(row["latency_ms"]),
        energy_mj=float(row["energy_mj"]),
        macs=macs.get(row["model"]),
        aside=_aside(row["flag"], note),
    )


def _stack(framework: str, note: str) -> str:
    if framework in FAMILY_OF:
        return FAMILY_OF[framework][0]
    system = _SYSTEM.search(note)
    words = [_VERSION.sub("", framework), *([system.group(1)] if system else [])]
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def _year(text: str) -> str:
    found = re.search(r"20\d\d(-\d\d)?", text)
    return found.group() if found else ""


def _aside(flag: str, note: str) -> str:
    if flag:
        return flag
    rates = _RATES.search(note)
    if rates:
        latency_run, energy_run = float(rates.group(1)), float(rates.group(2))
        if abs(energy_run / latency_run - 1) > MODES_APART:
            return f"energy was taken at {energy_run} inferences a second, latency at {latency_run}"
    return ""

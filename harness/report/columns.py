"""The columns of a comparison, shared by every rendering, so that none can mix an estimate with a measurement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from harness.report import units
from harness.report.choice import agreement, estimated, measured
from harness.report.recommendation import metric_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.report.choice import Axes, Reading
    from harness.report.document import Section
    from harness.report.row import Row

Kind = Literal["measured", "estimated", "simulated", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What stands in one place of a table.

    Attributes:
        value: The number with its unit, or a dash.
        detail: Its interval, or what else belongs to it.
        order: What to sort by, None sorts last.
        span: Low end, middle and high end for a drawn interval.
        kind: What kind of number it is, where the column's kind does not say it.
        short: What stands there when a row has one line only, where that is not `value`.
    """

    value: str
    detail: str = ""
    order: float | None = None
    span: tuple[float, float, float] | None = None
    kind: Kind = ""
    short: str = ""

    @property
    def text(self) -> str:
        """Value, interval and, where it differs from the column's, the kind of number."""
        return " ".join(part for part in (self.value, self.detail, self.kind) if part)


DASH = Cell(value=units.MISSING)

SAME = "≈"
"""Stands for `no difference shown` where a row has one line only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        title: First line of its heading; `kind` is the second.
        short: The whole heading, in its lines, where a row has one line only.
        kind: What kind of number all its cells hold, unless a cell says otherwise.
        unit: Unit that all its values end with, where there is one.
        log: Whether drawn intervals need a logarithmic axis.
        axis: Which axis of the chart it may be drawn on, if any.
        ticks: How numbers are written on that axis, in d3's format.
        fewer: Whether less of it is better.
    """

    key: str
    title: str
    short: str
    kind: Kind
    cell: Callable[[Row], Cell]
    unit: str = ""
    log: bool = False
    axis: Literal["x", "y", ""] = ""
    ticks: str = ",~r"
    fewer: bool = True


def columns(section: Section) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Columns in order of importance, and titles of those left out because no row has a number for them."""
    kept, empty = [], []
    for column in _all(section.axes, section.profile):
        if any(column.cell(row) is not DASH for row in section.rows):
            kept.append(column)
        else:
            empty.append(f"{column.title}, {column.kind}" if column.kind else column.title)
    return tuple(kept), tuple(empty)


def marks(row: Row) -> tuple[str, ...]:
    """Words that stand beside the name of a row."""
    words = []
    if row.pareto:
        words.append("Pareto-optimal")
    if row.estimate and row.estimate.fits == "does not fit":
        words.append("does not fit")
    return tuple(words)


def rows_scored(rows: Sequence[Row]) -> int | None:
    """How many rows of data quality was taken over, when it is the same for all."""
    found = {row.quality.n for row in rows if row.quality and row.quality.value is not None}
    return found.pop() if len(found) == 1 else None


def _all(axes: Axes, profile: str) -> tuple[Column, ...]:
    metric = metric_name(axes.metric) if axes.quality == "value" else "quality"
    unit = axes.unit

    def host(row: Row) -> Cell:
        return _latency(measured(row, axes), unit)

    def device(row: Row) -> Cell:
        return _latency(estimated(row, axes), unit, _simulated(row))

    def column(key: str, title: str, cell: Callable[[Row], Cell], kind: Kind = "", **more: Any) -> Column:
        short = more.pop("short", title.replace(" ", "\n"))
        return Column(key=key, title=title, short=f"{short}\n{kind}".strip(), kind=kind, cell=cell, **more)

    share: dict[str, Any] = {"axis": "y", "ticks": "~%", "fewer": False}
    time: dict[str, Any] = {"unit": unit, "log": True, "axis": "x"}
    amount: dict[str, Any] = {"axis": "x", "ticks": "~s"}
    qualities = (
        column("quality", metric, _quality, short=f"{axes.metric} %", unit="%", **share),
        column("agreement", "agreement", _agreement, short="agree %", unit="%", **share),
    )
    first, later = reversed(qualities) if axes.sharper else qualities
    return (
        column("host", "host latency", host, "measured", short=f"host {unit}", **time),
        column("device", f"{profile} latency", device, "estimated", short=f"{profile} {unit}", **time),
        first,
        # its heading is as narrow as its numbers: every speed is measured, and here
        replace(column("speed", "against baseline", _speed, "measured"), short="speed\nhere"),
        later,
        column("drop", "points lost", _drop, short="lost", axis="y", ticks="~%"),
        column("kl", "divergence", _divergence, short="KL\nnats", axis="y"),
        column("download", "download", _download, **amount),
        column(
            "energy", f"{profile} energy", _energy, "estimated", short=f"{profile} mJ", unit="mJ", axis="x", log=True
        ),
        column("host-energy", "host energy", _host_energy, "measured", short="host mJ", unit="mJ", axis="x"),
        column("memory", f"{profile} memory", _memory, "estimated", log=True, **amount),
        column("host-memory", "host memory", _host_memory, "measured", **amount),
        column("start", "load, first run", _start, "measured", short="load"),
    )


def _latency(found: Reading | None, unit: str, kind: Kind = "") -> Cell:
    if found is None:
        return DASH
    value = units.quantity(found.value, unit)
    if found.lo is None or found.hi is None:
        return Cell(value=value, order=found.value, kind=kind)
    return Cell(
        value=value,
        detail=units.bounds(found.value, found.lo, found.hi),
        order=found.value,
        span=(found.lo, found.value, found.hi),
        kind=kind,
        short=units.short_interval(found.value, found.lo, found.hi),
    )


def _quality(row: Row) -> Cell:
    found = row.quality
    if found is None or found.value is None:
        return DASH
    if found.lo95 is None or found.hi95 is None:
        return Cell(value=units.percent(found.value), order=found.value)
    return Cell(
        value=units.percent(found.value),
        detail=f"[{found.lo95 * 100:.1f}, {found.hi95 * 100:.1f}]",
        order=found.value,
        span=(found.lo95, found.value, found.hi95),
    )


def _agreement(row: Row) -> Cell:
    found, quality = agreement(row), row.quality
    if found is None or quality is None:
        return DASH
    ends = quality.agreement_lo95, quality.agreement_hi95
    bracket = f"[{ends[0] * 100:.1f}, {ends[1] * 100:.1f}] " if ends[0] is not None and ends[1] is not None else ""
    return Cell(
        value=units.percent(found.value),
        detail=f"{bracket}of {quality.agreement_n:,}",
        order=found.value,
        span=(ends[0], found.value, ends[1]) if ends[0] is not None and ends[1] is not None else None,
    )


def _drop(row: Row) -> Cell:
    """Points of the metric lost against the reference over the same rows, with the paired interval."""
    found = row.quality
    if found is None or found.drop is None or found.drop_lo95 is None or found.drop_hi95 is None or row.baseline:
        return DASH
    value, low, high = (0.0 if abs(x) < 0.0005 else x * 100 for x in (found.drop, found.drop_lo95, found.drop_hi95))
    return Cell(
        value=f"{value:.1f}",
        detail=f"[{low:.1f}, {high:.1f}]",
        order=found.drop,
        span=(found.drop_lo95, found.drop, found.drop_hi95),
    )


def _divergence(row: Row) -> Cell:
    found = row.quality.kl_mean if row.quality else None
    if found is None or row.baseline:
        return DASH
    return Cell(value=f"{found:.2g}" if found >= 1e-6 else "0", order=found)


def _speed(row: Row) -> Cell:
    if row.speed is None:
        return DASH
    found = row.speed.summary
    text = units.speed(found.ratio, found.lo95, found.hi95, row.speed.verdict)
    value, bracket, rest = text.partition(" [")
    shown = row.speed.verdict != "no difference shown"
    places = 3 if shown and abs(found.ratio - 1) < 0.05 else 2 if found.ratio < 10 else 1
    return Cell(
        value=value,
        detail=f"[{rest}" if bracket else "",
        order=found.ratio,
        short=f"{found.ratio:.{places}f}×" if shown else SAME,
    )


def _energy(row: Row) -> Cell:
    if row.estimate is None or row.estimate.energy_mj is None:
        return DASH
    found = row.estimate.energy_mj
    return Cell(
        value=units.quantity(found.p50, "mJ"),
        detail=units.bounds(found.p50, found.lo90, found.hi90),
        order=found.p50,
        span=(found.lo90, found.p50, found.hi90),
        kind=_simulated(row),
    )


def _host_energy(row: Row) -> Cell:
    total = row.host_energy.total_mj if row.host_energy else None
    if row.host_energy is None or total is None:
        return DASH
    above = row.host_energy.above_idle_mj
    detail = f"{units.quantity(above, 'mJ')} above idle" if above is not None and above > 0 else ""
    return Cell(value=units.quantity(total, "mJ"), detail=detail, order=total)


def _memory(row: Row) -> Cell:
    if row.estimate is None:
        return DASH
    found = row.estimate.peak_memory_bytes
    value, bracket, rest = units.size_interval(found.p50, found.lo90, found.hi90).partition(" [")
    return Cell(
        value=value,
        detail=f"[{rest}" if bracket else "",
        order=found.p50,
        span=(found.lo90, found.p50, found.hi90),
        kind=_simulated(row),
    )


def _host_memory(row: Row) -> Cell:
    if not row.host_memory_bytes:
        return DASH
    return Cell(value=units.size(row.host_memory_bytes), detail=_beside(row), order=row.host_memory_bytes)


def _download(row: Row) -> Cell:
    if row.variant is None:
        return DASH
    return Cell(
        value=units.size(row.variant.download_bytes),
        detail=f"{units.size(row.variant.size_bytes)} file",
        order=row.variant.download_bytes,
    )


def _start(row: Row) -> Cell:
    if row.load_ns is None or row.first_run_ns is None:
        return DASH
    return Cell(
        value=units.quantity(row.load_ns / 1e6, "ms"),
        detail=" ".join(part for part in (f"+ {units.quantity(row.first_run_ns / 1e6, 'ms')}", _beside(row)) if part),
        order=row.load_ns,
    )


def _beside(row: Row) -> str:
    """What else the process held; a note of the row says what follows from it."""
    return f"(with {row.also_imports})" if row.also_imports else ""


def _simulated(row: Row) -> Kind:
    return "simulated" if row.estimate and row.estimate.kind == "simulated" else ""

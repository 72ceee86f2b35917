"""Active power: the constants that turn latency into energy, fitted to published energies of one stack on one device.

Board power is nearly flat over networks, so one constant goes far: E = P·t. What is not flat rises with the
multiply-accumulates a second that the cores reach, which is energy that each of them takes on top: E = P·t + e·MACs.
With whole families of models held out the second constant lowers the mean error of every stack on the Raspberry Pi 4
(tests/estimate/test_energy_backtest.py); power against bytes moved, model size or latency instead does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log, sqrt

from harness.estimate.energy_rows import EnergyRow, energy_rows, groups
from harness.profile import ActivePower, Quantity

UNKNOWN_SPREAD = 0.25
"""Error of the logarithm where too few families were measured to hold one out."""

DIGITS = 4
"""Significant digits of a constant: far finer than its error."""

UNSTATED = "unstated"
"""Name of a stack whose source does not say what it is: it can be checked, and serves nobody's estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFit:
    """Constants of one stack on one device.

    Attributes:
        per_mac_pj: Picojoules that a multiply-accumulate takes on top, 0 for none.
        spread: Root mean square of the logarithm of the error over families held out.
    """

    power_w: float
    per_mac_pj: float
    spread: float

    def energy_mj(self, latency_ms: float, macs: int | None) -> float:
        """Energy of an inference: milliseconds times watts are millijoules, a picojoule is 1e-9 of them."""
        return self.power_w * latency_ms + self.per_mac_pj * 1e-9 * (macs or 0)


def fit_power(rows: Sequence[EnergyRow]) -> PowerFit:
    """Fit the rows of one group: with two constants where the models' multiply-accumulates are known, else with one."""
    form = _sloped if all(row.macs for row in rows) else _flat
    fit, errors = form(rows), _held_out(rows, form)
    spread = sqrt(fsum(e * e for e in errors) / len(errors)) if errors else UNKNOWN_SPREAD
    return PowerFit(power_w=_rounded(fit.power_w), per_mac_pj=_rounded(fit.per_mac_pj), spread=_rounded(spread))


def active_powers(
    rows: Iterable[Mapping[str, str]], device: str, *, cores: int, macs: Mapping[str, int]
) -> tuple[ActivePower, ...]:
    """What a profile's `[[power.active]]` tables hold, fitted to the published rows of the device.

    Args:
        rows: Rows of the published measurements, column to cell.
        cores: Threads where the source does not state them: MLPerf's submitters used all.
        macs: Multiply-accumulates by model; where one is missing the constants of its stack are fitted without.
    """
    best: dict[tuple[str, str], tuple[EnergyRow, ...]] = {}
    for (_, stack, precision, _), members in groups(
        [row for row in energy_rows(rows, macs) if row.device == device and row.stack != UNSTATED]
    ).items():
        if len(members) > len(best.get((stack, precision), ())):
            best[stack, precision] = members
    return tuple(_table(members, cores) for _, members in sorted(best.items()))


def _table(rows: Sequence[EnergyRow], cores: int) -> ActivePower:
    fit = fit_power(rows)
    first = rows[0]
    source = f"fit to {len(rows)} rows of {', '.join(sorted({r.source for r in rows}))} in profiles/published"
    date = max(r.date for r in rows)
    threads = Quantity(
        value=float(first.threads or cores),
        unit="threads",
        source=first.source if first.threads else f"assumed: all cores; not stated by {first.source}",
        date=date,
    )

    def quantity(value: float, unit: str) -> Quantity:
        return Quantity(value=value, unit=unit, source=source, date=date)

    return ActivePower(
        family=first.stack,
        precision=first.precision,
        threads=threads,
        power=quantity(fit.power_w, "W"),
        per_mac=quantity(fit.per_mac_pj, "pJ") if fit.per_mac_pj else None,
        spread=quantity(fit.spread, "ln"),
        scope=_scope(first),
    )


def _scope(row: EnergyRow) -> str:
    """What the meter covers, by the rules of the two benchmarks."""
    setting = f"; {row.setting}" if row.setting else ""
    if row.source.startswith("mlperf-tiny"):
        return f"the microcontroller's own supply, not the board's{setting}"
    return f"whole board at the AC side of its supply, losses and idle power included{setting}"


def _flat(rows: Sequence[EnergyRow]) -> PowerFit:
    """E = P·t: the geometric mean of the rows' powers."""
    power = exp(fsum(log(r.energy_mj / r.latency_ms) for r in rows) / len(rows))
    return PowerFit(power_w=power, per_mac_pj=0.0, spread=0.0)


def _sloped(rows: Sequence[EnergyRow]) -> PowerFit:
    """E = P·t + e·MACs by least squares of the relative error, e not below 0."""
    points = [(r.latency_ms / r.energy_mj, (r.macs or 0) / r.energy_mj) for r in rows]
    tt, tm, mm = (fsum(p[i] * p[j] for p in points) for i, j in ((0, 0), (0, 1), (1, 1)))
    t, m = fsum(p[0] for p in points), fsum(p[1] for p in points)
    determinant = tt * mm - tm * tm
    if determinant <= 1e-9 * tt * mm:  # one model, or all at one rate: nothing tells the two apart
        return _flat(rows)
    power, per_mac = (t * mm - m * tm) / determinant, (m * tt - t * tm) / determinant
    if per_mac <= 0 or power <= 0:
        return _flat(rows)
    return PowerFit(power_w=power, per_mac_pj=per_mac * 1e9, spread=0.0)


def _held_out(rows: Sequence[EnergyRow], fit: Callable[[Sequence[EnergyRow]], PowerFit]) -> list[float]:
    """Logarithm of predicted over published energy of each row, fitted without its family; none for one family."""
    errors = []
    for family in sorted({row.family for row in rows}):
        others = [row for row in rows if row.family != family]
        if others:
            fitted = fit(others)
            errors += [log(fitted.energy_mj(r.latency_ms, r.macs) / r.energy_mj) for r in rows if r.family == family]
    return errors


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")

"""How well energies are predicted that the constants were not fitted to: families of models, or tasks, left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.estimate.active_power import PowerFit, fit_power
from harness.estimate.energy import interval_factor
from harness.estimate.energy_rows import EnergyRow, groups


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyError:
    """One published energy, predicted by constants that were fitted without its family.

    Attributes:
        latency_ms: What the prediction was given: the published latency, or an estimate.
        covered: Whether the published energy is within the 90 % interval at that latency.
    """

    row: EnergyRow
    latency_ms: float
    predicted_mj: float
    covered: bool

    @property
    def relative(self) -> float:
        """Predicted less published, over published."""
        return self.predicted_mj / self.row.energy_mj - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyScore:
    """Errors of one device, stack and precision; `mape` is the mean of their absolute values."""

    device: str
    stack: str
    precision: str
    rows: int
    families: int
    mape: float
    worst: float
    coverage: float


def energy_errors(
    rows: Sequence[EnergyRow], latency_ms_of: Callable[[EnergyRow], float] | None = None
) -> tuple[EnergyError, ...]:
    """Predict each row from the other families of its device, stack, precision and setting.

    A group of one family gives nothing. Rows that are set aside are neither fitted nor predicted.

    Args:
        rows: From `energy_rows`.
        latency_ms_of: An estimate of the latency, made without the row's family; the published one when not given.
    """
    errors = []
    for members in groups(rows).values():
        for family in sorted({row.family for row in members}):
            others = [row for row in members if row.family != family]
            if others:
                fit = fit_power(others)
                errors += [_error(row, fit, latency_ms_of) for row in members if row.family == family]
    return tuple(errors)


def scores(errors: Sequence[EnergyError]) -> tuple[EnergyScore, ...]:
    """Errors by device, stack and precision."""
    found: dict[tuple[str, str, str], list[EnergyError]] = {}
    for error in errors:
        found.setdefault((error.row.device, error.row.stack, error.row.precision), []).append(error)
    return tuple(
        EnergyScore(
            device=device,
            stack=stack,
            precision=precision,
            rows=len(members),
            families=len({e.row.family for e in members}),
            mape=mape(members),
            worst=max((e.relative for e in members), key=abs),
            coverage=sum(e.covered for e in members) / len(members),
        )
        for (device, stack, precision), members in sorted(found.items())
    )


def mape(errors: Sequence[EnergyError]) -> float:
    """Mean absolute relative error."""
    return sum(abs(e.relative) for e in errors) / len(errors)


def _error(row: EnergyRow, fit: PowerFit, latency_ms_of: Callable[[EnergyRow], float] | None) -> EnergyError:
    latency_ms = latency_ms_of(row) if latency_ms_of else row.latency_ms
    predicted = fit.energy_mj(latency_ms, row.macs)
    factor = interval_factor(fit.spread)
    return EnergyError(
        row=row,
        latency_ms=latency_ms,
        predicted_mj=predicted,
        covered=predicted / factor <= row.energy_mj <= predicted * factor,
    )

"""Fits every kernel family to the published rows: coefficients, their held-out errors, and each device's scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.estimate.calibrated import POOLED, FittedFamily, FittedPrecision
from harness.estimate.coefficient import OVERHEAD
from harness.estimate.conformal import factor
from harness.estimate.design import COLUMN, Design, contributions, design, kernels_of
from harness.estimate.fit import as_table, fit, groups, scale
from harness.estimate.holdout import HeldOut, hold_out
from harness.estimate.rates import rates
from harness.profile import Calibration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.estimate.design import Array
    from harness.estimate.published import PublishedData, PublishedRow

FAMILIES = ("ncnn", "tflite-ruy", "tflite-xnnpack", "armnn", "x-cube-ai")
"""Kernel families of processors that something is published of."""

PRECISIONS = ("fp32", "fp16", "int8")

POOLED_SET = "aarch64"
"""Instruction set of the pooled rows: a microcontroller says nothing of a processor with vectors and caches."""

FEWEST_ROWS = 8
"""Rows below which a precision is not fitted: no held-out family would leave anything to learn from."""

DIGITS = 4
"""Significant digits that are kept: the fifth is noise, and text must come out the same everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedAll:
    """What `bench profiles fit` writes."""

    families: tuple[FittedFamily, ...]
    calibrations: Mapping[str, tuple[Calibration, ...]]


def fit_all(data: PublishedData) -> FittedAll:
    """Fit every family and precision, the pooled family, and the scales of every device with a profile."""
    held = {
        (family, precision): hold_out(design(rows, data))
        for family in FAMILIES
        for precision in PRECISIONS
        if len(rows := data.calibrating(family, precision)) >= FEWEST_ROWS
    }
    families = []
    for family in FAMILIES:
        precisions = {
            p: _precision(held[family, p], _gains(held, family, p)) for p in PRECISIONS if (family, p) in held
        }
        sources = sorted({row.source for f, p in held if f == family for row in held[f, p].given.rows})
        families.append(FittedFamily(family=family, source="; ".join(sources), precisions=precisions))
    families.append(_pooled(held, data))
    calibrations: dict[str, list[Calibration]] = {}
    for (family, precision), each in held.items():
        coefficients = next(f for f in families if f.family == family).precisions[precision].coefficients
        for device, found in _scales(each, coefficients, data):
            calibrations.setdefault(device, []).append(found)
    return FittedAll(families=tuple(families), calibrations={d: tuple(c) for d, c in sorted(calibrations.items())})


def _precision(held: HeldOut, gain: float) -> FittedPrecision:
    given = held.given
    datasheet, scaled = _log_errors(held.datasheet_ms, given), _log_errors(held.scaled_ms, given)
    known = held.scaled_by > 0
    coefficients = fit(given)
    return FittedPrecision(
        rows=len(given.rows),
        runs=len(set(given.of("run"))),
        processors=len(set(given.of("soc"))),
        models=len(set(given.of("model"))),
        model_families=len(set(given.of("model_family"))),
        error_percent=_percent(datasheet),
        scaled_error_percent=_percent(scaled[known]),
        factor90=_rounded(factor(datasheet, given.of("soc"))),
        scaled_factor90=_rounded(factor(scaled[known], given.of("soc")[known])),
        pair_factor90=_rounded(factor(*pair_errors(held))),
        gain_factor90=_rounded(gain),
        overhead_share=_rounded(float(overhead_shares(given, coefficients).max())),
        coefficients={name: _rounded(value) for name, value in as_table(coefficients).items()},
    )


def overhead_shares(given: Design, coefficients: Array) -> Array:
    """Share of launches in the predicted time of each row, 0 to 1."""
    launches = [COLUMN[name] for name in OVERHEAD]
    return np.asarray(given.matrix[:, launches] @ coefficients[launches] / (given.matrix @ coefficients))


def pair_errors(held: HeldOut) -> tuple[Array, Array]:
    """Log errors of the ratio of every two networks of one run, within one model family where there are such pairs.

    Two variants of one network are closer kin than any two networks; pairs of a family come nearest to that.
    """
    errors, labels = _pairs(held, kin=True)
    return (errors, labels) if len(errors) >= FEWEST_ROWS else _pairs(held, kin=False)


def _pairs(held: HeldOut, *, kin: bool) -> tuple[Array, Array]:
    given = held.given
    errors = _log_errors(held.datasheet_ms, given)
    found, labels = [], []
    for rows in groups(given.of("run")):
        for place, i in enumerate(rows):
            for j in rows[:place]:
                one, other = given.rows[i], given.rows[j]
                if one.model != other.model and (not kin or one.model_family == other.model_family):
                    found.append(errors[i] - errors[j])
                    labels.append(one.soc)
    return np.array(found), np.array(labels)


def _gains(held: Mapping[tuple[str, str], HeldOut], family: str, precision: str) -> float:
    """90 % factor of the ratio of a precision to float, from networks that one run measured in both."""
    floats = [held[family, p] for p in ("fp32", "fp16") if (family, p) in held and p != precision]
    if precision != "int8" or not floats:
        return 0.0
    mine = _by_network(held[family, precision])
    found, labels = [], []
    for each in floats:
        for key, (error, _) in _by_network(each).items():
            if key in mine:
                found.append(mine[key][0] - error)
                labels.append(mine[key][1])
    return factor(np.array(found), labels) if len(found) >= FEWEST_ROWS else 0.0


def _by_network(held: HeldOut) -> dict[tuple[str, str], tuple[float, str]]:
    errors = _log_errors(held.datasheet_ms, held.given)
    return {(r.run, r.model): (float(e), r.soc) for r, e in zip(held.given.rows, errors, strict=True)}


def _pooled(held: Mapping[tuple[str, str], HeldOut], data: PublishedData) -> FittedFamily:
    """Coefficients from the rows of all families of 64-bit Arm, and errors on families that they did not see."""
    precisions = {}
    for precision in PRECISIONS:
        parts = [each for (_, p), each in held.items() if p == precision and _on_cores(each, data)]
        if len(parts) < 2:
            continue
        joined = _joined([each.given for each in parts])
        families = joined.of("family")
        errors = np.zeros(len(joined.rows))
        for family in sorted(set(families)):
            hidden = families == family
            errors[hidden] = _log_errors((joined.matrix @ fit(joined.take(~hidden)))[hidden], joined.take(hidden))
        whole = HeldOut(
            given=joined, datasheet_ms=joined.measured_ms * np.exp(errors), scaled_ms=joined.measured_ms,
            scaled_by=np.zeros(len(errors)),
        )  # fmt: skip
        coefficients = fit(joined)
        precisions[precision] = FittedPrecision(
            rows=len(joined.rows),
            runs=len(set(joined.of("run"))),
            processors=len(set(joined.of("soc"))),
            models=len(set(joined.of("model"))),
            model_families=len(set(joined.of("model_family"))),
            error_percent=_percent(errors),
            scaled_error_percent=_percent(errors),
            factor90=_rounded(factor(errors, families)),
            scaled_factor90=_rounded(factor(errors, families)),
            pair_factor90=_rounded(factor(*pair_errors(whole))),
            gain_factor90=_rounded(max(_gains(held, f, precision) for f in FAMILIES if (f, precision) in held)),
            overhead_share=_rounded(float(overhead_shares(joined, coefficients).max())),
            coefficients={name: _rounded(value) for name, value in as_table(coefficients).items()},
        )
    return FittedFamily(family=POOLED, source="the rows of every family", precisions=precisions)


def _on_cores(held: HeldOut, data: PublishedData) -> bool:
    return all(data.profiles[row.device].isa == POOLED_SET for row in held.given.rows)


def _joined(parts: Sequence[Design]) -> Design:
    return Design(
        rows=tuple(row for part in parts for row in part.rows),
        matrix=np.vstack([part.matrix for part in parts]),
        measured_ms=np.concatenate([part.measured_ms for part in parts]),
    )


def _scales(held: HeldOut, coefficients: Mapping[str, float], data: PublishedData) -> list[tuple[str, Calibration]]:
    """Scales of the devices that have a profile, on their fastest cores, at the clock that the profile states.

    A published run at another clock is part of the scale: what the board did is what counts.
    """
    table = np.array(list(coefficients.values()))
    found: dict[tuple[str, int], list[int]] = {}
    for index, row in enumerate(held.given.rows):
        if row.device in data.targets and not row.cluster:
            threads = row.threads or data.profiles[row.device].fast_cores
            found.setdefault((row.device, threads), []).append(index)
    result = []
    for (device, threads), rows in sorted(found.items()):
        errors = np.array([_error(held.given.rows[i], threads, table, data) for i in rows])
        published = [held.given.rows[i] for i in rows]
        held_out = _log_errors(held.scaled_ms, held.given)[rows]
        result.append(
            (device, Calibration(
                kernel_family=published[0].family, precision=published[0].precision, threads=threads,
                scale=_rounded(scale(errors)), rows=len(rows), models=len({row.model for row in published}),
                error_percent=_percent(held_out), source="; ".join(sorted({row.source for row in published})),
                date=data.date_of(published),
            ))
        )  # fmt: skip
    return result


def _error(row: PublishedRow, threads: int, table: Array, data: PublishedData) -> float:
    given = rates(data.profiles[row.device], kernel_family=row.family, threads=threads)
    kernels = kernels_of(data.graph_of(row), row.family, row.precision)
    return float(np.log(row.latency_ms / (contributions(kernels, given) @ table)))


def _log_errors(predicted: Array, given: Design) -> Array:
    return np.asarray(np.log(predicted / given.measured_ms))


def _percent(log_errors: Array) -> float:
    return round(float(np.mean(np.abs(np.exp(log_errors) - 1))) * 100, 1) if len(log_errors) else 0.0


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")

"""Back-test of the estimates on published rows, beside FLOPs and a roofline, with negative controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.estimate import baseline
from harness.estimate.accelerator_backtest import AcceleratorRow, accelerator_rows
from harness.estimate.conformal import covered, inside
from harness.estimate.controls import controls
from harness.estimate.design import Design, design
from harness.estimate.energy_backtest import EnergyScore, energy_errors, scores
from harness.estimate.energy_rows import EnergyRow, energy_rows
from harness.estimate.fit import fit, groups
from harness.estimate.fitting import FAMILIES, FEWEST_ROWS, PRECISIONS, pair_errors
from harness.estimate.holdout import HeldOut, hold_out
from harness.estimate.published import (
    CALIBRATED_SETS,
    PublishedData,
    PublishedRow,
    published_data,
    published_folder,
    table_rows,
)
from harness.estimate.skill import Skill, skill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.contributions import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSkill:
    """Skill on one device's rows; the shares are of rows inside the 90 % intervals of the other processors' errors."""

    datasheet: Skill
    scaled: Skill
    datasheet_inside: float
    scaled_inside: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BackTest:
    """One set of rows and what each predictor made of them.

    Attributes:
        name: Kernel family and precision.
        skills: By predictor, in order.
        devices: The same by device.
        pair_coverage: Coverage of the 90 % interval of ratios, and its factor.
    """

    name: str
    held: HeldOut
    skills: Mapping[str, Skill]
    devices: Mapping[str, DeviceSkill]
    pair_coverage: tuple[float, float]


DATASHEET = "estimate, datasheet only"
SCALED = "estimate, device's scale"


def back_tests(data: PublishedData) -> Iterator[BackTest]:
    """Every family and precision; float of a family that computes in float16 on some cores also as a whole."""
    for family in FAMILIES:
        parts = []
        for precision in PRECISIONS:
            rows = data.calibrating(family, precision)
            if len(rows) >= FEWEST_ROWS:
                held = hold_out(design(rows, data))
                parts.append((precision, held))
        floats = [held for precision, held in parts if precision != "int8"]
        if len(floats) > 1:
            yield _judged(f"{family}, float", joined(floats), data)
        for precision, held in parts:
            yield _judged(f"{family}, {precision}", held, data)


def joined(parts: list[HeldOut]) -> HeldOut:
    """Predictions of several sets of rows, each made within its own set."""
    return HeldOut(
        given=Design(
            rows=tuple(row for part in parts for row in part.given.rows),
            matrix=np.vstack([part.given.matrix for part in parts]),
            measured_ms=np.concatenate([part.given.measured_ms for part in parts]),
        ),
        datasheet_ms=np.concatenate([part.datasheet_ms for part in parts]),
        scaled_ms=np.concatenate([part.scaled_ms for part in parts]),
        scaled_by=np.concatenate([part.scaled_by for part in parts]),
    )


def _judged(name: str, held: HeldOut, data: PublishedData) -> BackTest:
    given = held.given
    known = held.scaled_by > 0
    skills = {
        DATASHEET: skill(held.datasheet_ms, given),
        "FLOPs, datasheet only": skill(baseline.unscaled(baseline.flops_ms, given, data), given),
        "roofline, datasheet only": skill(baseline.unscaled(baseline.roofline_ms, given, data), given),
    }
    if known.any():
        some = given.take(known)
        skills |= {
            SCALED: skill(held.scaled_ms[known], some),
            "FLOPs, device's scale": skill(baseline.scaled(baseline.flops_ms, given, data)[known], some),
            "roofline, device's scale": skill(baseline.scaled(baseline.roofline_ms, given, data)[known], some),
        }
    pair, _, width = covered(*pair_errors(held))
    return BackTest(
        name=name,
        held=held,
        skills=skills,
        devices=_devices(held),
        pair_coverage=(pair, width),
    )


def _devices(held: HeldOut) -> Mapping[str, DeviceSkill]:
    given = held.given
    devices, socs = given.of("device"), given.of("soc")
    datasheet, _ = inside(np.log(held.datasheet_ms / given.measured_ms), socs)
    scaled, _ = inside(np.log(held.scaled_ms / given.measured_ms), socs)
    found = {}
    for device in sorted(set(devices)):
        mine = devices == device
        found[device] = DeviceSkill(
            datasheet=skill(held.datasheet_ms[mine], given.take(mine)),
            scaled=skill(held.scaled_ms[mine], given.take(mine)),
            datasheet_inside=float(datasheet[mine].mean()),
            scaled_inside=float(scaled[mine].mean()),
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Everything that `bench profiles validate` says.

    Attributes:
        outside: What is predicted but not calibrated with, by what it is: rows, median of predicted over published,
            and mean error once a run's common factor is taken off.
        controls: Skill that must be gone or worse, by what was done.
        energy: Energies given the published time, and with the estimated time instead.
    """

    tests: tuple[BackTest, ...]
    outside: Mapping[str, tuple[int, float, float]]
    controls: Mapping[str, Skill]
    accelerators: tuple[AcceleratorRow, ...]
    energy: tuple[EnergyScore, ...]
    energy_end_to_end: tuple[EnergyScore, ...]


def validation(accelerated: Sequence[Backend] = (), data: PublishedData | None = None) -> Validation:
    """Run every back-test; half a minute."""
    data = data or published_data()
    tests = tuple(back_tests(data))
    first = next(
        test for test in tests if test.held.given.of("precision").tolist().count("fp32") == len(test.held.given.rows)
    )
    given_time, end_to_end = _energy(tests, data)
    return Validation(
        tests=tests,
        outside=_outside(tests, data),
        controls=controls(first.held.given, data),
        accelerators=tuple(row for each in accelerated for row in accelerator_rows(each, published_folder())),
        energy=given_time,
        energy_end_to_end=end_to_end,
    )


def _energy(tests: Sequence[BackTest], data: PublishedData) -> tuple[tuple[EnergyScore, ...], tuple[EnergyScore, ...]]:
    """End to end takes the latency with the device's scale, the model's family hidden from scale and coefficients."""
    macs = {name.removeprefix("tf-"): graph.macs for name, graph in data.graphs.items() if name.startswith("tf-")}
    rows = energy_rows(list(table_rows(published_folder())), macs)
    estimated: dict[tuple[str, ...], float] = {}
    for test in tests:
        for row, ms, count in zip(test.held.given.rows, test.held.scaled_ms, test.held.scaled_by, strict=True):
            if count:
                estimated[row.device, row.family, row.precision, row.model] = float(ms)

    def key(row: EnergyRow) -> tuple[str, ...]:
        return row.device, row.stack, row.precision, row.model

    whole = energy_errors([row for row in rows if key(row) in estimated], lambda row: estimated[key(row)])
    return scores(energy_errors(rows)), scores(whole)


def _outside(tests: Sequence[BackTest], data: PublishedData) -> Mapping[str, tuple[int, float, float]]:
    """Rows that calibrate nothing, predicted by the coefficients of those that do."""
    found = {}
    for family, precision in dict.fromkeys((row.family, row.precision) for t in tests for row in t.held.given.rows):
        used = set(data.calibrating(family, precision))
        left = [row for row in data.rows if (row.family, row.precision) == (family, precision) and row not in used]
        coefficients = fit(design(tuple(used_in_order(data, used)), data))
        kinds = {
            "with a detection head (the network's part only)": [r for r in left if r.detection],
            "of 32-bit Arm and RISC-V": [
                r for r in left if not r.detection and data.profiles[r.device].isa not in CALIBRATED_SETS],
            "with more than four threads": [
                r for r in left if not r.detection and data.profiles[r.device].isa in CALIBRATED_SETS],
        }  # fmt: skip
        for kind, rows in kinds.items():
            if rows:
                given = design(rows, data)
                errors = np.log(given.matrix @ coefficients / given.measured_ms)
                common = np.zeros(len(errors))
                for run in groups(given.of("run")):
                    common[run] = np.median(errors[run])
                rest = float(np.mean(np.abs(np.exp(errors - common) - 1)))
                found[f"{family}, {precision}, rows {kind}"] = (len(rows), float(np.exp(np.median(errors))), rest)
    return found


def used_in_order(data: PublishedData, used: set[PublishedRow]) -> list[PublishedRow]:
    """Rows in the table's order, so that sums come out the same every time."""
    return [row for row in data.rows if row in used]

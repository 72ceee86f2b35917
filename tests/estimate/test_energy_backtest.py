"""Energy against published measurements, with families of models and tasks held out."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.estimate.active_power import active_powers, fit_power
from harness.estimate.energy_backtest import energy_errors, mape, scores
from harness.estimate.energy_rows import EnergyRow, energy_rows, family_of
from harness.profile_file import builtin_folder

BOARD = "rpi4"
MICROCONTROLLERS = ("stm32-nucleo-l4r5zi", "stm32-nucleo-h7a3zi-q")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def published() -> list[dict[str, str]]:
    return [row for row in read(builtin_folder() / "published" / "measurements.csv") if row["energy_mj"]]


@pytest.fixture(scope="module")
def macs() -> Mapping[str, int]:
    tables = [
        json.loads(p.read_text("utf-8")) for p in (builtin_folder() / "published" / "workloads").glob("tf-*.json")
    ]
    return {table["model"]: table["total_macs"] for table in tables}


@pytest.fixture(scope="module")
def board(published: Any, macs: Any) -> Sequence[EnergyRow]:
    return [row for row in energy_rows(published, macs) if row.device == BOARD]


@pytest.fixture(scope="module")
def tiny(published: Any) -> Sequence[EnergyRow]:
    return [row for row in energy_rows(published) if row.device in MICROCONTROLLERS]


def row(**changed: Any) -> EnergyRow:
    given = EnergyRow(
        source="s", date="2021", device="d", stack="k", precision="int8", setting="", model="a_v1_1", family="a_v1",
        threads=4, latency_ms=10.0, energy_mj=50.0, macs=None, aside="",
    )  # fmt: skip
    return replace(given, **changed)


def test_families_left_out_cost_at_most_six_percent_on_the_single_board_computer(board: Any) -> None:
    errors = energy_errors(board)
    assert len(errors) == 108
    assert mape(errors) <= 0.06
    assert all(score.mape <= 0.06 and score.families == 3 for score in scores(errors))


def test_the_energy_of_a_multiply_accumulate_lowers_the_held_out_error_of_every_stack(board: Any) -> None:
    flat = scores(energy_errors([replace(r, macs=None) for r in board]))
    for one, two in zip(flat, scores(energy_errors(board)), strict=True):
        assert two.mape < one.mape


def test_nine_in_ten_published_energies_are_in_their_interval(board: Any) -> None:
    errors = energy_errors(board)
    assert sum(e.covered for e in errors) / len(errors) >= 0.9


def test_tasks_left_out_cost_at_most_eight_percent_on_each_microcontroller_and_stack(tiny: Any) -> None:
    found = scores(energy_errors(tiny))
    assert {(s.device, s.stack) for s in found} >= {
        (MICROCONTROLLERS[0], "x-cube-ai"),
        (MICROCONTROLLERS[1], "x-cube-ai"),
    }
    assert all(score.mape <= 0.08 for score in found), found


def test_rows_are_set_aside_with_their_reason_only_where_something_is_known_against_them(tiny: Any) -> None:
    aside = [r for r in tiny if r.aside]
    flagged = [r for r in aside if r.aside.startswith("energy-outlier")]
    (two_runs,) = [r for r in aside if r not in flagged]
    assert len(flagged) == 15
    assert (two_runs.stack, two_runs.family) == ("x-cube-ai", "mlperf_tiny_ic")
    assert two_runs.aside == "energy was taken at 4.983 inferences a second, latency at 4.673"


def test_even_with_the_row_of_two_runs_each_microcontroller_stays_within_eight_percent(tiny: Any) -> None:
    errors = energy_errors([replace(r, aside=r.aside if "outlier" in r.aside else "") for r in tiny])
    for device in MICROCONTROLLERS:
        assert mape([e for e in errors if e.row.device == device]) <= 0.08


def test_an_estimated_latency_takes_the_place_of_the_published_one(board: Any) -> None:
    right, late = energy_errors(board), energy_errors(board, lambda r: r.latency_ms * 1.1)
    assert all(b.latency_ms == pytest.approx(1.1 * a.latency_ms) for a, b in zip(right, late, strict=True))
    assert all(1.0 < b.predicted_mj / a.predicted_mj <= 1.1 + 1e-9 for a, b in zip(right, late, strict=True))


@pytest.mark.parametrize(
    ("device", "cores"), [(BOARD, 4), ("jetson-agx-xavier", 8), *((device, 1) for device in MICROCONTROLLERS)]
)
def test_the_constants_of_a_profile_are_those_of_the_published_rows(
    published: Any, macs: Any, profiles: Any, device: str, cores: int
) -> None:
    assert active_powers(published, device, cores=cores, macs=macs) == profiles[device].power.active


def test_a_stack_that_nobody_names_serves_no_profile(published: Any) -> None:
    assert "unstated" not in {a.family for a in active_powers(published, MICROCONTROLLERS[0], cores=1, macs={})}


def test_a_group_of_one_family_gives_no_error() -> None:
    assert energy_errors([row(), row(model="a_v1_2")]) == ()


def test_rows_of_another_setting_are_not_mixed() -> None:
    slow = [row(setting="power.2", energy_mj=5.0), row(setting="power.2", energy_mj=5.0, family="b")]
    errors = energy_errors([row(), row(family="b"), *slow])
    assert [round(e.relative, 9) for e in errors] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("mobilenet_v1_0.25_160", "mobilenet_v1"),
        ("mobilenet_v3_large_1.0_224", "mobilenet_v3"),
        ("efficientnet_lite0_224", "efficientnet_lite"),
        ("resnet50_v1.5_224", "resnet"),
        ("mlperf_tiny_vww_mobilenet_v1_0.25_96", "mlperf_tiny_vww"),
        ("2d_unet", "2d_unet"),
    ],
)
def test_a_family_is_the_name_up_to_width_and_size(model: str, family: str) -> None:
    assert family_of(model) == family


@given(
    power_w=st.floats(0.01, 30),
    per_mac_pj=st.floats(1.0, 500),
    points=st.lists(st.tuples(st.floats(1, 1000), st.integers(10**6, 10**10)), min_size=4, max_size=20),
)
def test_exact_constants_are_found_again_from_exact_energies(
    power_w: float, per_mac_pj: float, points: list[tuple[float, int]]
) -> None:
    rows = [
        row(
            latency_ms=ms,
            macs=macs,
            energy_mj=power_w * ms + per_mac_pj * 1e-9 * macs,
            family="ab"[index % 2],
        )
        for index, (ms, macs) in enumerate(points)
    ]
    fit = fit_power(rows)
    for each in rows:
        assert fit.energy_mj(each.latency_ms, each.macs) == pytest.approx(each.energy_mj, rel=0.35)
    rates = [macs / ms for ms, macs in points]
    if max(rates) > 10 * min(rates) and per_mac_pj * 1e-9 * max(rates) > 0.3 * power_w:
        for each in rows:
            assert fit.energy_mj(each.latency_ms, each.macs) == pytest.approx(each.energy_mj, rel=0.02)


@given(scale=st.floats(0.01, 100))
def test_twice_the_energy_is_twice_the_power(scale: float) -> None:
    rows = [row(latency_ms=1.0 + n, macs=10**8 * (n % 3 + 1), energy_mj=7.0 + 3 * n, family=f"f{n}") for n in range(5)]
    one, other = fit_power(rows), fit_power([replace(r, energy_mj=r.energy_mj * scale) for r in rows])
    assert other.power_w == pytest.approx(one.power_w * scale, rel=2e-3)
    assert other.spread == pytest.approx(one.spread, rel=1e-2)


def test_no_energy_is_taken_back_by_a_multiply_accumulate() -> None:
    rows = [row(latency_ms=10.0, macs=10**8 * n, energy_mj=60.0 - 2 * n, family=f"f{n}") for n in range(1, 5)]
    assert fit_power(rows).per_mac_pj == 0


def test_one_family_alone_has_the_spread_of_the_unknown() -> None:
    assert fit_power([row(), row()]).spread == 0.25

"""Energy: power that was measured of the same software, else power states, times time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.estimate.energy import Energy, Work, energy
from harness.estimate.interval import Interval
from harness.profile import ActivePower, Power, Quantity

TIME = Interval(p50=100.0, lo90=50.0, hi90=200.0)
MATRIX = Work(kernel_family="mlas", precision="fp32", threads=4, macs=0)


def quantity(value: float, unit: str) -> Quantity:
    return Quantity(value=value, unit=unit, source="assumed", date="2026")


def active(watt: float, pj: float | None = None, spread: float = 0.1) -> ActivePower:
    return ActivePower(
        family="some-kernels",
        precision="int8",
        threads=quantity(4, "threads"),
        power=quantity(watt, "W"),
        per_mac=quantity(pj, "pJ") if pj else None,
        spread=quantity(spread, "ln"),
        scope="whole board at the wall",
    )


def with_active(profile: Any, *rows: ActivePower) -> Any:
    return replace(profile, power=Power(method="none", active=rows))


SOME = Work(kernel_family="some-kernels", precision="int8", threads=4, macs=1_000_000_000)


def total(found: Energy) -> Interval:
    assert found.total_mj is not None
    return found.total_mj


def above(found: Energy) -> Interval:
    assert found.above_idle_mj is not None
    return found.above_idle_mj


def test_all_cores_draw_the_stress_power(profiles: Any) -> None:
    found = energy(profiles["rpi4"], TIME, MATRIX)
    assert total(found).p50 == pytest.approx(100 * 5.0)
    assert above(found).p50 == pytest.approx(100 * (5.0 - 1.6))


def test_one_thread_draws_its_share(profiles: Any) -> None:
    assert above(energy(profiles["rpi4"], TIME, replace(MATRIX, threads=1))).p50 == pytest.approx(100 * 3.4 / 4)


def test_the_basis_says_that_power_states_stand_in_for_a_measurement(profiles: Any) -> None:
    basis = energy(profiles["rpi4"], TIME, MATRIX).basis
    assert "power states of the board, none measured of mlas in fp32 on 4 threads" in basis
    assert "at the wall" in basis


def test_the_doubt_about_power_widens_the_interval(profiles: Any) -> None:
    found = total(energy(profiles["rpi4"], TIME, MATRIX))
    assert found.hi90 / found.p50 > TIME.hi90 / TIME.p50
    assert found.p50 / found.lo90 > TIME.p50 / TIME.lo90


def test_without_published_power_there_is_no_energy_and_the_basis_says_so(profiles: Any) -> None:
    found = energy(replace(profiles["rpi4"], power=None), TIME, MATRIX)
    assert (found.total_mj, found.above_idle_mj) == (None, None)
    assert found.basis == "no power of the device is known"


def test_power_measured_of_the_same_software_is_taken_before_the_power_states(profiles: Any) -> None:
    found = energy(with_active(profiles["rpi4"], active(7.0)), TIME, SOME)
    assert total(found).p50 == pytest.approx(700)
    assert "whole board at the wall" in found.basis


def test_each_multiply_accumulate_takes_energy_on_top(profiles: Any) -> None:
    found = energy(with_active(profiles["rpi4"], active(7.0, pj=50.0)), TIME, SOME)
    assert total(found).p50 == pytest.approx(700 + 50e-12 * 1e9 * 1e3)


def test_energy_above_idle_is_none_where_idle_was_not_read_by_the_same_meter(profiles: Any) -> None:
    found = energy(with_active(profiles["rpi4"], active(7.0)), TIME, SOME)
    assert found.above_idle_mj is None
    assert "nobody published idle power by that meter" in found.basis


@pytest.mark.parametrize("other", [{"precision": "fp32"}, {"threads": 1}], ids=lambda o: next(iter(o)))
def test_power_of_another_precision_or_number_of_threads_is_not_taken(profiles: Any, other: dict[str, Any]) -> None:
    found = energy(with_active(profiles["rpi4"], active(7.0)), TIME, replace(SOME, **other))
    assert found.total_mj is None
    assert "known is: some-kernels in int8 on 4 threads" in found.basis


def test_power_of_other_software_stands_in_where_no_states_are_known_and_the_basis_says_so(profiles: Any) -> None:
    rows = (active(4.0), replace(active(9.0), family="more-kernels"))
    found = energy(with_active(profiles["rpi4"], *rows), TIME, replace(SOME, kernel_family="unheard-of"))
    assert total(found).p50 == pytest.approx(600)
    assert "no power measured of unheard-of" in found.basis
    assert "that of some-kernels, more-kernels stands in" in found.basis


def test_full_load_alone_serves_where_all_cores_are_busy(profiles: Any) -> None:
    known = Power(method="a meter", stress=quantity(6.0, "W"))
    found = energy(replace(profiles["rpi4"], power=known), TIME, SOME)
    assert total(found).p50 == pytest.approx(600)
    assert found.above_idle_mj is None
    assert energy(replace(profiles["rpi4"], power=known), TIME, replace(SOME, threads=1)).total_mj is None


@given(
    factor=st.floats(1.0, 5.0),
    spread=st.floats(0.0, 0.5),
    watt=st.floats(0.01, 100.0),
    latency=st.floats(0.1, 1e4),
)
def test_the_interval_holds_the_doubts_of_time_and_power_and_no_more_than_both_in_a_row(
    profiles: Any, factor: float, spread: float, watt: float, latency: float
) -> None:
    time = Interval(p50=latency, lo90=latency / factor, hi90=latency * factor)
    found = total(energy(with_active(profiles["rpi4"], active(watt, spread=spread)), time, SOME))
    alone = total(
        energy(
            with_active(profiles["rpi4"], active(watt, spread=spread)), replace(time, lo90=latency, hi90=latency), SOME
        )
    )
    power_factor = alone.hi90 / alone.p50
    assert found.hi90 / found.p50 >= max(factor, power_factor) * (1 - 1e-9)
    assert found.hi90 / found.p50 <= factor * power_factor * (1 + 1e-9)

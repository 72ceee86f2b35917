"""Battery life and emission."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.estimate.derived import BatteryUse, battery_life, emission
from harness.estimate.interval import Interval

USE = BatteryUse(
    battery_wh=10.0,
    energy_mj=Interval(p50=3600.0, lo90=1800.0, hi90=7200.0),
    latency_ms=1000.0,
    inferences_per_hour=1000.0,
    waiting_w=0.0,
)


def test_a_battery_lasts_its_energy_over_the_mean_power() -> None:
    life = battery_life(USE)
    assert life.mean_w.p50 == pytest.approx(1.0)
    assert life.hours.p50 == pytest.approx(10.0)
    assert life.duty == pytest.approx(1000 / 3600)


def test_the_device_draws_its_waiting_power_only_while_it_waits() -> None:
    life = battery_life(replace(USE, waiting_w=0.36))
    assert life.mean_w.p50 == pytest.approx(1.0 + 0.36 * (1 - 1000 / 3600))


def test_the_ends_of_the_energy_become_the_ends_of_the_hours() -> None:
    life = battery_life(USE)
    assert (life.hours.lo90, life.hours.hi90) == (pytest.approx(5.0), pytest.approx(20.0))


def test_only_the_usable_share_of_the_battery_counts() -> None:
    assert battery_life(replace(USE, usable_share=0.8)).hours.p50 == pytest.approx(8.0)


def test_more_inferences_than_fit_into_an_hour_are_refused_with_how_many_do() -> None:
    with pytest.raises(UsageError, match="do not fit into an hour") as caught:
        battery_life(replace(USE, inferences_per_hour=4000))
    assert caught.value.hint == "At most 3600 do."


@pytest.mark.parametrize(
    "wrong", [{"battery_wh": 0.0}, {"latency_ms": -1.0}, {"usable_share": 1.2}, {"waiting_w": -1.0}], ids=str
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        battery_life(replace(USE, **wrong))  # type: ignore[arg-type]


def test_a_battery_that_nothing_draws_from_is_refused() -> None:
    with pytest.raises(UsageError, match="for ever"):
        battery_life(replace(USE, inferences_per_hour=0))


@given(rate=st.floats(0, 3600), waiting=st.floats(0.001, 100))
def test_the_life_gives_back_the_battery(rate: float, waiting: float) -> None:
    life = battery_life(replace(USE, inferences_per_hour=rate, waiting_w=waiting))
    assert life.hours.p50 * life.mean_w.p50 == pytest.approx(USE.battery_wh)
    assert life.hours.lo90 <= life.hours.p50 <= life.hours.hi90


def test_a_million_inferences_of_a_kilowatt_hour_emit_the_grids_intensity() -> None:
    found = emission(Interval(p50=3600.0, lo90=3600.0, hi90=7200.0))
    assert found.g_per_million.p50 == pytest.approx(480.0)
    assert found.g_per_million.hi90 == pytest.approx(960.0)
    assert "Ember" in found.source


def test_another_grid_is_taken_with_its_source() -> None:
    found = emission(USE.energy_mj, 56.0, "a grid operator")
    assert (found.g_per_million.p50, found.source) == (pytest.approx(56.0), "a grid operator")


def test_another_grid_without_a_source_is_refused() -> None:
    with pytest.raises(UsageError, match="has no source"):
        emission(USE.energy_mj, 56.0)

"""Energy: power states times time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.estimate.energy import energy
from harness.estimate.interval import Interval

TIME = Interval(p50=100.0, lo90=50.0, hi90=200.0)


def test_all_cores_draw_the_stress_power(profiles: Any) -> None:
    total, above = energy(profiles["rpi4"], TIME, threads=4)
    assert total is not None
    assert above is not None
    assert total.p50 == pytest.approx(100 * 5.0)
    assert above.p50 == pytest.approx(100 * (5.0 - 1.6))


def test_one_thread_draws_its_share(profiles: Any) -> None:
    _, above = energy(profiles["rpi4"], TIME, threads=1)
    assert above is not None
    assert above.p50 == pytest.approx(100 * (5.0 - 1.6) / 4)


def test_the_doubt_about_power_widens_the_interval(profiles: Any) -> None:
    total, _ = energy(profiles["rpi4"], TIME, threads=4)
    assert total is not None
    assert total.hi90 / total.p50 > TIME.hi90 / TIME.p50
    assert total.p50 / total.lo90 > TIME.p50 / TIME.lo90


def test_without_published_power_there_is_no_energy(profiles: Any) -> None:
    assert energy(replace(profiles["rpi4"], power=None), TIME, threads=4) == (None, None)

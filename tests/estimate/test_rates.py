"""Rates: what cores deliver together, and which arithmetic they have."""

from __future__ import annotations

from dataclasses import replace
from statistics import harmonic_mean
from typing import Any

import pytest

from harness.estimate.rates import DOT_PRODUCT, IN_ORDER, SERIAL_SHARE, VECTORS, WIDENING_GAIN, Rates, rates
from harness.profile import Cluster, DeviceProfile


def of(profile: DeviceProfile, threads: int | None, **more: Any) -> Rates:
    return rates(profile, kernel_family="mlas", threads=threads, **more)


def pace(*cores: Cluster) -> float:
    """Harmonic mean of the cores' float32."""
    return harmonic_mean([c.fp32.value * c.clock.value * (IN_ORDER if c.in_order else 1) for c in cores])


def clusters(profile: DeviceProfile) -> list[Cluster]:
    return sorted(profile.clusters, key=lambda c: -c.fp32.value * c.clock.value)


def test_threads_that_the_fast_cores_do_not_suffice_for_go_to_the_next_slower_ones(profiles: Any) -> None:
    board = profiles["rk3399"]
    big, little = clusters(board)
    assert (big.count.value, little.count.value) == (2, 4)
    for threads in range(1, 7):
        cores = ([big] * 2 + [little] * 4)[:threads]
        assert of(board, threads).peak["fp32"] == pytest.approx(pace(*cores))


def test_work_is_shared_out_evenly_so_that_one_slow_core_holds_up_the_team(profiles: Any) -> None:
    board = profiles["rk3399"]
    two, three = (of(board, threads) for threads in (2, 3))
    assert three.peak["fp32"] < two.peak["fp32"]


def test_unless_told_threads_stay_on_the_cores_as_wide_as_the_fastest(profiles: Any) -> None:
    assert of(profiles["rk3399"], None).threads == 2
    assert of(profiles["rk3588"], None).threads == 4
    assert of(profiles["rpi4"], None).threads == 4


def test_a_prime_core_and_its_gold_neighbours_work_together(profiles: Any) -> None:
    board = profiles["pixel4"]
    prime, gold, *_ = clusters(board)
    assert (prime.count.value, gold.count.value) == (1, 3)
    assert prime.clock.value > gold.clock.value
    team = of(board, None)
    assert team.threads == 4
    assert team.peak["fp32"] == pytest.approx(pace(prime, gold, gold, gold))


def test_cores_that_cannot_reorder_are_no_neighbours_of_the_fastest(profiles: Any) -> None:
    board = profiles["rk3588"]
    big, little = clusters(board)
    alike = replace(little, fp32=big.fp32, in_order=True)
    assert of(replace(board, clusters=(big, alike)), None).threads == big.count.value


def test_threads_beyond_all_cores_help_nothing(profiles: Any) -> None:
    board = profiles["rk3399"]
    assert of(board, 64) == of(board, 6)


def test_a_named_cluster_brings_its_own_cores_only(profiles: Any) -> None:
    board = profiles["rk3399"]
    _, little = clusters(board)
    found = of(board, 64, cluster=little.name)
    assert found.threads == 4
    assert found.peak["fp32"] == pytest.approx(pace(little))


def test_a_cluster_that_copies_slower_is_given_its_own_speed(profiles: Any) -> None:
    board = profiles["rk3588"]
    slow = replace(board.memory.memcpy, value=0.5)
    big, little = clusters(board)
    both = replace(board, clusters=(big, replace(little, memcpy=slow)))
    assert of(both, 1).memcpy == (big.memcpy or board.memory.memcpy).value
    assert of(both, 1, cluster=little.name).memcpy == 0.5


@pytest.mark.parametrize("threads", range(1, 5))
def test_equal_cores_speed_up_by_amdahl(profiles: Any, threads: int) -> None:
    assert of(profiles["rpi4"], threads).speedup == pytest.approx(1 / (SERIAL_SHARE + (1 - SERIAL_SHARE) / threads))


def test_without_a_dot_product_integers_gain_no_more_than_a_widening_multiply(profiles: Any) -> None:
    without = [board for board in profiles.values() if not DOT_PRODUCT & set(board.isa_flags)]
    for board in without:
        found = of(board, None)
        if board.big.fp32.value >= VECTORS:
            assert found.peak["int8"] <= WIDENING_GAIN * found.peak["fp32"] + 1e-9
    assert {"rpi4", "rk3399"} <= {board.name for board in without}


def test_a_core_without_vectors_multiplies_integers_as_its_datasheet_says(profiles: Any) -> None:
    board = profiles["stm32-nucleo-l4r5zi"]
    assert board.big.fp32.value < VECTORS
    assert of(board, 1).peak["int8"] == pytest.approx(board.big.int8.value * board.big.clock.value * IN_ORDER)


def test_with_a_dot_product_integers_run_at_its_rate(profiles: Any) -> None:
    board = profiles["rpi5"]
    assert "asimddp" in board.isa_flags
    assert of(board, 1).peak["int8"] == board.big.int8.value * board.big.clock.value


def test_one_core_without_half_precision_takes_it_from_the_team(profiles: Any) -> None:
    board = profiles["rk3588"]
    big, little = clusters(board)
    mixed = replace(board, clusters=(big, replace(little, fp16=replace(little.fp16, value=0.0))))
    assert of(mixed, 4).fp16_arithmetic
    assert not of(mixed, 5).fp16_arithmetic
    assert of(mixed, 5).peak["fp16"] == of(mixed, 5).peak["fp32"]


def test_the_last_cache_is_the_one_that_counts(profiles: Any) -> None:
    board = profiles["rpi5"]
    assert board.caches.l3 is not None
    assert of(board, 1).cache_bytes == board.caches.l3.value * 1024

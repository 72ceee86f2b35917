"""Physics that must hold for any graph, device and kernel family."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.estimate.coefficient import PRIOR, Coefficient
from harness.estimate.estimator import estimate, per_operator
from harness.estimate.family import FAMILIES, family_of
from harness.estimate.features import Features, KernelClass, features
from harness.estimate.fusion import fuse
from harness.estimate.latency import amounts, cost
from harness.estimate.rates import rates
from harness.estimate.standing import standing
from harness.profile import DeviceProfile, Quantity
from harness.profile_file import builtin_folder, load_profiles

PROFILES = load_profiles([builtin_folder()])
CHANNELS = st.integers(1, 64)
SIZES = st.integers(1, 40)
PACKED = sorted(name for name, family in FAMILIES.items() if family.packed_bytes)
PLAIN = sorted(name for name, family in FAMILIES.items() if not family.packed_bytes)
BOARDS = st.sampled_from(sorted(PROFILES))
KERNELS = st.sampled_from([*FAMILIES, "nobody's"])
WINDOWS = st.sampled_from([1, 3, 5])
PRECISIONS = st.sampled_from(["fp32", "fp16", "int8"])
FACTORS = st.floats(1.01, 50)
some = settings(max_examples=40, deadline=None)


def milliseconds(graph: Any, profile: DeviceProfile, family: str = "mlas", threads: int | None = 1) -> float:
    return estimate(graph, profile, kernel_family=family, threads=threads).latency_ms.p50


def times(quantity: Quantity, factor: float) -> Quantity:
    return replace(quantity, value=quantity.value * factor)


def scaled(profile: DeviceProfile, *, clock: float = 1.0, memcpy: float = 1.0) -> DeviceProfile:
    """A device with another clock and another memory."""
    clusters = tuple(
        replace(c, clock=times(c.clock, clock), memcpy=times(c.memcpy, memcpy) if c.memcpy else None)
        for c in profile.clusters
    )
    return replace(
        profile, clusters=clusters, memory=replace(profile.memory, memcpy=times(profile.memory.memcpy, memcpy))
    )


def uncalibrated(name: str) -> DeviceProfile:
    """A device as its datasheet has it: one scale for each number of threads would be no physics."""
    return replace(PROFILES[name], calibrations=())


def one_conv(builder: Any, channels: int, size: int, kernel: int, precision: str = "fp32", **more: Any) -> Any:
    b = builder((1, 16, size, size), precision)
    b.conv(channels, kernel, **more)
    return b.build()


def plain_features(kind: KernelClass, **given_: Any) -> Features:
    """A kernel of a class with a thousand of everything."""
    return Features(**{
        "kernel_class": kind, "arithmetic": "fp32", "macs": 1000, "products": 1000.0, "activation_bytes": 2000,
        "handled_bytes": 2000.0, "tensor_bytes": (1000, 1000), "weight_bytes": 1000.0, "groups": 1,
        "misaligned": 0.5, **given_,
    })  # fmt: skip


def prior_ms(what: Features, threads: int = 1) -> float:
    found = rates(PROFILES["rpi4"], kernel_family="ncnn", threads=threads)
    return sum(each.ms for each in amounts(what, found))


@some
@given(
    channels=CHANNELS, size=SIZES, more=CHANNELS, kernel=WINDOWS, family=st.sampled_from(PLAIN), precision=PRECISIONS
)
def test_more_channels_never_take_less_time(
    builder: Any, channels: int, size: int, more: int, kernel: int, family: str, precision: str
) -> None:
    small, large = (one_conv(builder, n, size, kernel, precision) for n in (channels, channels + more))
    assert milliseconds(large, PROFILES["rpi4"], family) > milliseconds(small, PROFILES["rpi4"], family)


@some
@given(channels=CHANNELS, size=SIZES, more=CHANNELS, kernel=WINDOWS, groups=st.booleans(), board=BOARDS)
def test_fewer_channels_take_longer_by_no_more_than_the_penalty_of_not_filling_vectors(
    builder: Any, channels: int, size: int, more: int, kernel: int, groups: bool, board: str
) -> None:
    """t(fewer) <= t(more) + penalty(fewer), where kernels keep channels together. The penalty is its own coefficient
    times 0.8 slots a product and 9.5 slots for every four bytes read and written."""
    (family,) = PACKED
    profile = PROFILES[board]

    def network(count: int) -> Any:
        b = builder((1, 16, size, size))
        b.conv(count, 1)
        b.conv(count if groups else 16, kernel, groups=count if groups else 1)
        return b.build()

    found = rates(profile, kernel_family=family, threads=1)
    penalty = 0.0
    for kernel_ in fuse(network(channels), family):
        what = features(kernel_, found.family, fp16_arithmetic=found.fp16_arithmetic)
        known = standing(profile, family=family, precision=what.arithmetic, threads=1)
        wasted = sum(a.ms for a in amounts(what, found) if a.coefficient is Coefficient.MISALIGNED)
        penalty += wasted * known.coefficients["misaligned"] * known.scale
    fewer, full = (milliseconds(network(n), profile, family) for n in (channels, channels + more))
    if channels >= 8 or (groups and channels > 1):  # else the second convolution reads as few channels as a picture has
        assert fewer <= (full + penalty) * (1 + 1e-9)


@pytest.mark.parametrize("filled", [8, 16, 64])
def test_channels_that_fill_the_vectors_pay_no_penalty(builder: Any, filled: int) -> None:
    (family,) = PACKED
    for profile in PROFILES.values():
        found = rates(profile, kernel_family=family, threads=1)
        (kernel,) = fuse(one_conv(builder, filled, 14, 1), family)
        assert features(kernel, found.family, fp16_arithmetic=found.fp16_arithmetic).misaligned == 0


@some
@given(size=SIZES, factor=st.integers(2, 50), board=BOARDS, family=KERNELS)
def test_more_multiplications_always_take_longer(builder: Any, size: int, factor: int, board: str, family: str) -> None:
    graph = one_conv(builder, 16, size, 3)
    more = replace(graph, operators=(replace(graph.operators[0], macs=graph.operators[0].macs * factor),))
    assert milliseconds(more, PROFILES[board], family) > milliseconds(graph, PROFILES[board], family)


LARGER: Mapping[str, Any] = {
    "products": lambda what, by: what.products * by,
    "handled_bytes": lambda what, by: what.handled_bytes * by,
    "activation_bytes": lambda what, by: round(what.activation_bytes * by),
    "tensor_bytes": lambda what, by: tuple(round(size * by) for size in what.tensor_bytes),
    "weight_bytes": lambda what, by: what.weight_bytes * by,
    "groups": lambda what, by: what.groups + 1,
    "misaligned": lambda what, by: min(1.0, what.misaligned * by),
}


@pytest.mark.parametrize("quantity", LARGER)
@settings(max_examples=20, deadline=None)
@given(kind=st.sampled_from(KernelClass), factor=FACTORS, threads=st.sampled_from([1, 4]))
def test_more_of_any_quantity_never_takes_less_time(
    quantity: str, kind: KernelClass, factor: float, threads: int
) -> None:
    what = plain_features(kind)
    more = replace(what, **{quantity: LARGER[quantity](what, factor)})
    assert prior_ms(more, threads) >= prior_ms(what, threads)


@pytest.mark.parametrize("kind", KernelClass)
@pytest.mark.parametrize("quantity", ["handled_bytes", "tensor_bytes", "weight_bytes"])
def test_bytes_are_never_free(kind: KernelClass, quantity: str) -> None:
    what = plain_features(kind)
    assert prior_ms(replace(what, **{quantity: LARGER[quantity](what, 2)})) > prior_ms(what)


@pytest.mark.parametrize("kind", KernelClass)
def test_a_kernel_of_nothing_still_takes_a_launch(kind: KernelClass) -> None:
    nothing = plain_features(
        kind, macs=0, products=0.0, activation_bytes=0, handled_bytes=0.0, tensor_bytes=(), weight_bytes=0.0, groups=0,
        misaligned=0.0,
    )  # fmt: skip
    assert 0 < prior_ms(nothing) < 0.01


@some
@given(channels=CHANNELS, size=SIZES, factor=FACTORS, board=BOARDS, family=KERNELS)
def test_a_faster_clock_or_memory_never_takes_longer(
    builder: Any, channels: int, size: int, factor: float, board: str, family: str
) -> None:
    graph = one_conv(builder, channels, size, 3)
    base = milliseconds(graph, PROFILES[board], family)
    assert milliseconds(graph, scaled(PROFILES[board], clock=factor), family) < base
    assert milliseconds(graph, scaled(PROFILES[board], memcpy=factor), family) < base


@some
@given(
    channels=CHANNELS, size=SIZES, factor=st.floats(0.05, 20), board=BOARDS, family=KERNELS, precision=PRECISIONS,
    threads=st.integers(1, 8),
)  # fmt: skip
def test_a_device_that_is_faster_in_everything_takes_as_much_less_time(
    builder: Any, channels: int, size: int, factor: float, board: str, family: str, precision: str, threads: int
) -> None:
    graph = one_conv(builder, channels, size, 3, precision)
    fast = scaled(PROFILES[board], clock=factor, memcpy=factor)
    base = milliseconds(graph, PROFILES[board], family, threads)
    assert milliseconds(graph, fast, family, threads) == pytest.approx(base / factor)


@some
@given(
    channels=CHANNELS, size=SIZES, threads=st.integers(2, 16), precision=PRECISIONS, board=BOARDS, family=KERNELS
)  # fmt: skip
def test_threads_never_speed_up_more_than_their_number(
    builder: Any, channels: int, size: int, threads: int, precision: str, board: str, family: str
) -> None:
    graph = one_conv(builder, channels, size, 3, precision)
    one, several = (milliseconds(graph, uncalibrated(board), family, t) for t in (1, threads))
    assert several >= one / threads


@some
@given(channels=CHANNELS, size=SIZES, threads=st.integers(2, 4), precision=PRECISIONS, family=KERNELS)
def test_threads_on_equal_cores_cost_nothing_but_being_woken(
    builder: Any, channels: int, size: int, threads: int, precision: str, family: str
) -> None:
    graph = one_conv(builder, channels, size, 3, precision)
    (one,), (several,) = (
        per_operator(graph, uncalibrated("rpi4"), kernel_family=family, threads=t) for t in (1, threads)
    )
    for part in ("compute_ms", "activation_ms", "weight_ms"):
        assert getattr(several, part) <= getattr(one, part)
    assert several.overhead_ms > one.overhead_ms


@pytest.mark.parametrize("board", sorted(PROFILES))
def test_no_calibration_makes_threads_faster_than_their_number(mobilenets: Any, board: str) -> None:
    for known in PROFILES[board].calibrations:
        graph = mobilenets["int8" if known.precision == "int8" else "fp32"]
        one, several = (milliseconds(graph, PROFILES[board], known.kernel_family, t) for t in (1, known.threads))
        assert several >= one / known.threads


@some
@given(
    channels=CHANNELS, size=SIZES, kernel=WINDOWS, precision=PRECISIONS, board=BOARDS, family=KERNELS,
    threads=st.one_of(st.none(), st.integers(1, 16)),
)  # fmt: skip
def test_no_latency_is_zero_or_not_a_number(
    builder: Any, channels: int, size: int, kernel: int, precision: str, board: str, family: str, threads: int | None
) -> None:
    graph = one_conv(builder, channels, size, kernel, precision)
    found = estimate(graph, PROFILES[board], kernel_family=family, threads=threads)
    assert 0 < found.latency_ms.lo90 < found.latency_ms.p50 < found.latency_ms.hi90 < math.inf
    assert 1 < found.pair_factor90 < math.inf
    assert 1 < found.gain_factor90 < math.inf


@some
@given(channels=CHANNELS, size=SIZES, board=BOARDS, family=KERNELS, threads=st.integers(1, 8))
def test_int8_never_takes_longer_than_float_at_the_same_coefficients(
    builder: Any, channels: int, size: int, board: str, family: str, threads: int
) -> None:
    costs = []
    habits = replace(family_of(family), winograd=False, winograd_int8=False, silent_fp16=False)
    for precision in ("int8", "fp32"):
        (kernel,) = fuse(one_conv(builder, channels, size, 3, precision), family)
        found = rates(PROFILES[board], kernel_family=family, threads=threads)
        what = features(kernel, habits, fp16_arithmetic=False)
        costs.append(cost(kernel, what, found, PRIOR).total_ms)
    assert costs[0] < costs[1]

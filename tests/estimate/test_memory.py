"""Memory: lifetimes, packing, and the verdict."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.estimate.fusion import fuse
from harness.estimate.interval import Interval
from harness.estimate.memory import Buffer, arena_bytes, buffers, fits, live_bytes, peak, plan


def buffer(name: str, size: int, first: int, last: int) -> Buffer:
    return Buffer(name=name, size_bytes=size, first=first, last=last)


def packed_in_order(order: tuple[Buffer, ...]) -> int:
    """Each at the lowest offset where it overlaps nothing that lives with it."""
    placed: list[tuple[int, Buffer]] = []
    for each in order:
        others = [(s, o) for s, o in placed if not (o.last < each.first or each.last < o.first)]
        offsets = sorted([0, *(s + o.size_bytes for s, o in others)])
        start = next(
            at for at in offsets if all(at + each.size_bytes <= s or s + o.size_bytes <= at for s, o in others)
        )
        placed.append((start, each))
    return max(start + each.size_bytes for start, each in placed)


BUFFERS = st.lists(
    st.builds(
        lambda size, first, length: (size, first, first + length),
        st.integers(1, 50),
        st.integers(0, 5),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=6,
).map(lambda rows: [buffer(str(i), *row) for i, row in enumerate(rows)])


def test_tensors_that_never_meet_share_memory() -> None:
    found = [buffer("a", 100, 0, 1), buffer("b", 100, 2, 3)]
    assert live_bytes(found) == arena_bytes(found) == 100


def test_tensors_that_meet_do_not() -> None:
    found = [buffer("a", 100, 0, 2), buffer("b", 60, 2, 3)]
    assert live_bytes(found) == arena_bytes(found) == 160


@settings(max_examples=60, deadline=None)
@given(found=BUFFERS)
def test_the_arena_lies_between_the_lower_bound_and_no_sharing(found: list[Buffer]) -> None:
    assert live_bytes(found) <= arena_bytes(found) <= sum(b.size_bytes for b in found)


@settings(max_examples=25, deadline=None)
@given(found=BUFFERS)
def test_the_arena_is_a_packing_and_near_the_best_one(found: list[Buffer]) -> None:
    best = min(packed_in_order(order) for order in permutations(found[:5]))
    ours = arena_bytes(found[:5])
    assert best <= ours <= 2 * best


def test_a_chain_holds_two_tensors_at_a_time(builder: Any) -> None:
    b = builder((1, 4, 16, 16))
    for _ in range(5):
        b.add("sigmoid")
    graph = b.build()
    assert live_bytes(buffers(graph, fuse(graph))) == 2 * 4 * 4 * 16 * 16


def test_a_residual_keeps_its_input_alive(builder: Any) -> None:
    b = builder((1, 4, 16, 16))
    before = b.last
    b.add("sigmoid")
    b.add("tanh")
    b.add("add", None, before)
    graph = b.build()
    assert live_bytes(buffers(graph, fuse(graph))) == 3 * 4 * 4 * 16 * 16


def test_views_take_no_memory_of_their_own(builder: Any) -> None:
    b = builder((1, 4, 16, 16))
    b.add("sigmoid")
    b.add("reshape", (1, 1024))
    graph = b.build()
    assert {each.name for each in buffers(graph, fuse(graph))} == {"x", "sigmoid0.out"}


def test_weights_count_once_however_often_they_are_read(builder: Any) -> None:
    b = builder((1, 64))
    weight = b.constant("w", (64, 64))
    for _ in range(3):
        b.add("fully_connected", (1, 64), weight, macs=64 * 64)
    graph = b.build()
    assert plan(graph, fuse(graph), threads=1).weights_bytes == 64 * 64 * 4


def test_the_interval_holds_the_lower_bound_and_is_wider_for_an_unknown_runtime(mobilenets: Any) -> None:
    graph = mobilenets["fp32"]
    planned = plan(graph, fuse(graph), threads=4)
    known, unknown = peak(planned, "mlas"), peak(planned, "somebody-elses")
    assert planned.weights_bytes + planned.live_bytes < known.lo90 < known.p50 < known.hi90
    assert unknown.hi90 / unknown.lo90 > known.hi90 / known.lo90


def test_integer_weights_take_a_quarter(mobilenets: Any) -> None:
    planned = {p: plan(mobilenets[p], fuse(mobilenets[p]), threads=1) for p in ("fp32", "int8")}
    assert planned["int8"].weights_bytes == pytest.approx(planned["fp32"].weights_bytes / 4, rel=0.01)
    assert planned["int8"].arena_bytes == pytest.approx(planned["fp32"].arena_bytes / 4, rel=0.01)


@pytest.mark.parametrize(
    ("available", "verdict"),
    [(301, "fits"), (300, "fits"), (200, "uncertain"), (100, "uncertain"), (99, "does not fit")],
)
def test_the_verdict_is_uncertain_while_the_interval_straddles(available: int, verdict: str) -> None:
    assert fits(Interval(p50=200, lo90=100, hi90=300), available) == verdict

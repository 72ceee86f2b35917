"""The arena: lifetimes, views, overwriting, and packing against an exhaustive search."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.estimate.arena import Buffer, arena_bytes, buffers, live_bytes
from harness.estimate.fusion import fuse

GREEDY_FACTOR = 2.0
"""The worst that random graphs of six tensors have shown is 1.6."""


def buffer(name: str, size: int, first: int, last: int) -> Buffer:
    return Buffer(name=name, size_bytes=size, first=first, last=last)


def apart(one: Buffer, other: Buffer) -> bool:
    """Whether they never live together."""
    return one.last < other.first or other.last < one.first


def best_of_orders(found: list[Buffer]) -> int:
    """The optimum: each at the lowest free offset, in the best of all orders.

    The tensors of an optimal packing, placed again in the order of their offsets, end no higher than they were.
    """
    best = sum(each.size_bytes for each in found)
    for order in permutations(found):
        placed: list[tuple[int, Buffer]] = []
        for each in order:
            others = [(start, other) for start, other in placed if not apart(each, other)]
            offsets = sorted([0, *(start + other.size_bytes for start, other in others)])
            free = (at for at in offsets if all(clear(at, each, start, other) for start, other in others))
            placed.append((next(free), each))
        best = min(best, max(start + each.size_bytes for start, each in placed))
    return best


def clear(at: int, each: Buffer, start: int, other: Buffer) -> bool:
    return at + each.size_bytes <= start or start + other.size_bytes <= at


def best_of_offsets(found: list[Buffer], height: int, placed: tuple[int, ...] = ()) -> bool:
    """Whether any offsets at all, tried one by one, keep the tensors within a height."""
    if len(placed) == len(found):
        return True
    each = found[len(placed)]
    return any(
        all(apart(each, other) or clear(at, each, start, other) for start, other in zip(placed, found, strict=False))
        and best_of_offsets(found, height, (*placed, at))
        for at in range(height - each.size_bytes + 1)
    )


def some_buffers(largest: int, most: int) -> st.SearchStrategy[list[Buffer]]:
    row = st.tuples(st.integers(1, largest), st.integers(0, 5), st.integers(0, 4))
    return st.lists(row, min_size=1, max_size=most).map(
        lambda rows: [buffer(str(i), size, first, first + more) for i, (size, first, more) in enumerate(rows)]
    )


def test_tensors_that_never_meet_share_memory() -> None:
    found = [buffer("a", 100, 0, 1), buffer("b", 100, 2, 3)]
    assert live_bytes(found) == arena_bytes(found) == 100


def test_tensors_that_meet_do_not() -> None:
    found = [buffer("a", 100, 0, 2), buffer("b", 60, 2, 3)]
    assert live_bytes(found) == arena_bytes(found) == 160


@settings(max_examples=60, deadline=None)
@given(found=some_buffers(50, 12))
def test_the_arena_lies_between_the_lower_bound_and_no_sharing(found: list[Buffer]) -> None:
    assert live_bytes(found) <= arena_bytes(found) <= sum(b.size_bytes for b in found)


@settings(max_examples=40, deadline=None)
@given(found=some_buffers(50, 5))
def test_the_best_packing_lies_between_the_lower_bound_and_the_arena(found: list[Buffer]) -> None:
    best = best_of_orders(found)
    assert live_bytes(found) <= best <= arena_bytes(found) <= GREEDY_FACTOR * best


@settings(max_examples=40, deadline=None)
@given(found=some_buffers(4, 4))
def test_no_choice_of_offsets_beats_the_best_order(found: list[Buffer]) -> None:
    best = best_of_orders(found)
    assert best_of_offsets(found, best)
    assert not best_of_offsets(found, best - 1)


def chain(builder: Any, *kinds: str) -> Any:
    b = builder((1, 4, 16, 16))
    for kind in kinds:
        b.add(kind)
    return b.build()


SIZE = 4 * 4 * 16 * 16


def test_a_chain_holds_two_tensors_at_a_time(builder: Any) -> None:
    graph = chain(builder, "sigmoid", "sigmoid", "sigmoid", "sigmoid", "sigmoid")
    assert live_bytes(buffers(graph, fuse(graph))) == 2 * SIZE


def test_a_residual_keeps_its_input_alive(builder: Any) -> None:
    b = builder((1, 4, 16, 16))
    before = b.last
    b.add("sigmoid")
    b.add("tanh")
    b.add("add", None, before)
    graph = b.build()
    assert live_bytes(buffers(graph, fuse(graph))) == 3 * SIZE


def test_views_take_no_memory_of_their_own(builder: Any) -> None:
    b = builder((1, 4, 16, 16))
    b.add("sigmoid")
    b.add("reshape", (1, 1024))
    graph = b.build()
    assert {each.name for each in buffers(graph, fuse(graph))} == {"x", "sigmoid0.out"}


@pytest.mark.parametrize(("family", "held"), [("torch", 2), ("tflite-ruy", 1)])
def test_a_pointwise_kernel_overwrites_its_input_where_the_runtime_does(builder: Any, family: str, held: int) -> None:
    graph = chain(builder, "transpose", "sigmoid", "tanh", "exp", "transpose")
    inner = [b for b in buffers(graph, fuse(graph, family), family) if b.name not in {*graph.inputs, *graph.outputs}]
    assert live_bytes(inner) == held * SIZE


def test_nothing_is_written_over_an_input_of_the_graph(builder: Any) -> None:
    graph = chain(builder, "sigmoid", "tanh")
    assert live_bytes(buffers(graph, fuse(graph, "tflite-ruy"), "tflite-ruy")) == 2 * SIZE


def test_what_is_read_again_is_not_overwritten(builder: Any) -> None:
    b = builder((1, 4, 16, 16))
    kept = b.add("transpose")
    b.add("sigmoid")
    b.add("transpose")
    b.add("sub", None, kept)
    graph = b.build()
    found = {each.name: each for each in buffers(graph, fuse(graph, "tflite-ruy"), "tflite-ruy")}
    assert found[kept].last == 3
    assert "sigmoid1.out" in found


def test_a_concatenation_in_place_needs_no_second_copy(builder: Any) -> None:
    b = builder((1, 4, 16, 16))
    start = b.last
    left = b.add("transpose")
    b.last = start
    b.add("reduce")
    b.add("concat", (1, 8, 16, 16), left)
    graph = b.build()
    copied, placed = (live_bytes(buffers(graph, fuse(graph, f), f)) for f in ("tflite-ruy", "armnn"))
    assert (copied, placed) == (4 * SIZE, 3 * SIZE)

"""Quiet: when the threads of a process, or its CPU clock, say that nothing spins any more."""

from __future__ import annotations

import hashlib
import sys
import threading
import time

import pytest

from harness.measure.quiet import LOOK_NS, QUIET_LOOKS, WINDOW_NS, Clocks, busy_threads, settle


def spinning_until(end_ns: int, *, threads_visible: bool) -> Clocks:
    """A process with a thread that uses a core until `end_ns`, and nothing after."""
    now = [0]

    def sleep(seconds: float) -> None:
        now[0] += int(seconds * 1e9)

    return Clocks(
        now_ns=lambda: now[0],
        cpu_ns=lambda: min(now[0], end_ns),
        busy=lambda: int(now[0] < end_ns) if threads_visible else None,
        sleep_s=sleep,
    )


@pytest.mark.parametrize("threads_visible", [True, False])
def test_a_quiet_process_settles_at_once(threads_visible: bool) -> None:
    assert settle(spinning_until(0, threads_visible=threads_visible)) == (0, True)


@pytest.mark.parametrize(("threads_visible", "step_ns"), [(True, LOOK_NS), (False, WINDOW_NS)])
def test_settling_lasts_as_long_as_threads_spin(threads_visible: bool, step_ns: int) -> None:
    settle_ns, settled = settle(spinning_until(200_000_000, threads_visible=threads_visible))
    assert settled
    assert abs(settle_ns - 200_000_000) <= step_ns


@pytest.mark.parametrize("threads_visible", [True, False])
def test_threads_that_never_stop_are_given_up_and_said(threads_visible: bool) -> None:
    settle_ns, settled = settle(spinning_until(10**12, threads_visible=threads_visible), give_up_ns=50_000_000)
    assert not settled
    assert settle_ns >= 50_000_000


def test_a_pause_between_two_spins_is_not_quiet() -> None:
    pattern = iter([1, 0, 1, 0, 0, 1, *([0] * QUIET_LOOKS)])
    now = [0]

    def sleep(seconds: float) -> None:
        now[0] += int(seconds * 1e9)

    clocks = Clocks(now_ns=lambda: now[0], cpu_ns=lambda: 0, busy=lambda: next(pattern), sleep_s=sleep)
    assert settle(clocks) == (6 * LOOK_NS, True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the state of each thread")
def test_a_real_thread_that_works_outside_the_interpreter_lock_is_seen() -> None:
    block = b"x" * 2**20
    end = time.perf_counter() + 0.15

    def spin() -> None:
        while time.perf_counter() < end:
            hashlib.sha256(block)

    thread = threading.Thread(target=spin)
    thread.start()
    settle_ns, settled = settle()
    finished = time.perf_counter()
    thread.join()
    assert settled
    assert settle_ns > 0
    assert finished >= end
    assert busy_threads() == 0

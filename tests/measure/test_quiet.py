"""Quiet: when the process's own CPU clock says that nothing spins any more."""

from __future__ import annotations

from harness.measure.quiet import WINDOW_NS, Clocks, settle


def spinning_until(end_ns: int) -> Clocks:
    """A process whose threads use one core until `end_ns`, and nothing after."""
    now = [0]

    def sleep(seconds: float) -> None:
        now[0] += int(seconds * 1e9)

    return Clocks(now_ns=lambda: now[0], cpu_ns=lambda: min(now[0], end_ns), sleep_s=sleep)


def test_a_quiet_process_settles_at_once() -> None:
    assert settle(spinning_until(0)) == (0, True)


def test_settling_lasts_as_long_as_threads_spin() -> None:
    settle_ns, settled = settle(spinning_until(200_000_000))
    assert settled
    assert abs(settle_ns - 200_000_000) <= WINDOW_NS


def test_threads_that_never_stop_are_given_up_and_said() -> None:
    settle_ns, settled = settle(spinning_until(10**12), give_up_ns=50_000_000)
    assert not settled
    assert settle_ns >= 50_000_000

"""Backends that break in every way a runtime can: they read what the toy plugin makes."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import harness


def _segfault() -> None:
    ctypes.string_at(0)


def _hang() -> None:
    time.sleep(3600)


def _exhaust_memory() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1)) * 2**25)


def _exit() -> None:
    os._exit(7)


def _flood() -> None:
    while True:
        sys.stdout.write("all work and no play\n" * 1000)


def _raise() -> None:
    raise RuntimeError("the kernel\nsaid no")


FAULTS: dict[str, Callable[[], None]] = {
    "segfault": _segfault,
    "hang": _hang,
    "exhaust-memory": _exhaust_memory,
    "exit": _exit,
    "flood": _flood,
    "raise": _raise,
}


class BreakingSession:
    def __init__(self, fault: Callable[[], None]) -> None:
        self._fault = fault
        self._calls = 0

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        return self._fault

    def outputs(self) -> tuple[Any, ...]:
        return ()

    def threads(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def _backend(name: str, fault: Callable[[], None]) -> harness.Backend:
    return harness.Backend(
        name=name,
        summary=f"Breaks: {name}.",
        reads=("toy",),
        prepare=lambda: None,
        open=lambda path, options: BreakingSession(fault),
        kernel_family={"aarch64": "toy", "x86_64": "toy"},
    )


@harness.hookimpl
def harness_backends() -> Iterator[harness.Backend]:
    for name, fault in FAULTS.items():
        yield _backend(name, fault)

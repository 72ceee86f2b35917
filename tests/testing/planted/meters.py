"""Meters of one defect each, named for it; all else is the kit's own fake."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from harness import hookimpl
from harness.testing import fakes
from harness.testing.fakes import FakeCounter

HARNESS_API = 1

OPENED = {"once": False}


class Absolute(FakeCounter):
    def read_uj(self):
        return 10**15 + super().read_uj()


class Fractional(FakeCounter):
    def read_uj(self):
        return float(super().read_uj())


class Negative(FakeCounter):
    def read_uj(self):
        return super().read_uj() - 10**9


class Falling(FakeCounter):
    def read_uj(self):
        return super().read_uj() % 20_000


class Standing(FakeCounter):
    def read_uj(self):
        return 0


class ClosesOnce(FakeCounter):
    closed = False

    def close(self):
        if self.closed:
            raise OSError("closed already")
        self.closed = True


class OpensOnce(FakeCounter):
    def __init__(self):
        if OPENED["once"]:
            raise OSError("the device is busy")
        OPENED["once"] = True
        super().__init__()


class Sampling(FakeCounter):
    def __init__(self):
        super().__init__()
        threading.Thread(target=time.sleep, args=(10,), daemon=True, name="samples").start()


DEFECTS = {
    "no-scope": {"scope": " "},
    "long-scope": {"scope": "one\ntwo"},
    "absolute": {"open": Absolute},
    "fractional": {"open": Fractional},
    "negative": {"open": Negative},
    "falling": {"open": Falling},
    "standing": {"open": Standing},
    "closes-once": {"open": ClosesOnce},
    "opens-once": {"open": OpensOnce},
    "sampling": {"open": Sampling},
}


@hookimpl
def harness_meters():
    (good,) = fakes.harness_meters()
    for name, changes in DEFECTS.items():
        yield replace(good, name=name, **changes)

"""Backends of one defect each, named for it; all else is the kit's own fake."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from harness import Interval, OperatorTime, Rejection, Simulation, hookimpl
from harness.testing import fakes
from harness.testing.fake_network import LinearSession, load
from harness.testing.fakes import harness_graph_readers  # noqa: F401 - a hook of this plugin too

HARNESS_API = 1

STATE = {"prepared": 0, "closed": False, "shaken": 0}


@dataclass
class Loose:
    """Options that can be changed.

    Attributes:
        order: What it means.
    """

    order: str = "rows"


@dataclass(frozen=True)
class Silent:
    """Options without a word."""

    order: str = "rows"


class Patched(LinearSession):
    """A session whose result goes through `change`."""

    def change(self, result):
        return result

    def outputs(self):
        return tuple(self.change(each) for each in super().outputs())


class Listed(Patched):
    def outputs(self):
        return [each.tolist() for each in super().outputs()]


class Shaken(Patched):
    def change(self, result):
        return result + STATE["shaken"]


class Double(Patched):
    def change(self, result):
        return result.astype("float64")


class NotFinite(Patched):
    def change(self, result):
        return result * float("nan")


class Flat(Patched):
    def change(self, result):
        return result.reshape(-1)


class Noisy(Patched):
    def change(self, result):
        return result + int.from_bytes(os.urandom(2)) / 1000


class Growing(LinearSession):
    def bind(self, inputs):
        call = super().bind(inputs)
        calls = [0]

        def again():
            call()
            calls[0] += 1
            self._result = self._result + calls[0]

        return again


class Deaf(Patched):
    def change(self, result):
        return result * 0


class Greedy(LinearSession):
    def bind(self, inputs):
        call = super().bind(inputs)

        def scribble():
            call()
            inputs[0][...] = 7

        return scribble


class Careless(LinearSession):
    def bind(self, inputs):
        return super().bind(inputs) if inputs else lambda: None


class Eager(LinearSession):
    def outputs(self):
        return (load_zeros(),) if self._result is None else super().outputs()


class Undead(LinearSession):
    def close(self):
        pass


class ClosesOnce(LinearSession):
    def close(self):
        if self._network is None:
            raise RuntimeError("closed already")
        super().close()


class Shared(LinearSession):
    def __init__(self, network):
        STATE["closed"] = False
        super().__init__(network)

    def bind(self, inputs):
        if STATE["closed"]:
            raise RuntimeError("somebody has closed the runtime")
        return super().bind(inputs)

    def close(self):
        STATE["closed"] = True
        super().close()


class Boasting(LinearSession):
    def threads(self):
        return 64


class Crowded(LinearSession):
    def bind(self, inputs):
        call = super().bind(inputs)
        block = b"x" * 2**16
        for _ in range(3):
            threading.Thread(target=self.spin, args=(block,), daemon=True).start()

        def slowly():
            call()
            time.sleep(0.002)

        return slowly

    def spin(self, block):
        while True:
            hashlib.sha256(block)


class Chatty(LinearSession):
    def bind(self, inputs):
        print("binding")
        return super().bind(inputs)


class Murmuring(LinearSession):
    def close(self):
        os.write(2, b"closing\n")
        super().close()


def load_zeros():
    import numpy as np

    return np.zeros((1, 3), np.float32)


def opens(kind):
    """`open` of a backend with such sessions."""
    return {"open": lambda path, options: kind(load(fakes_checked(path, options)))}


def fakes_checked(path, options):
    fakes.open_session(path, options).close()
    return path


def prepare_once():
    STATE["prepared"] += 1
    if STATE["prepared"] > 1:
        raise RuntimeError("prepared already")


def open_anything(path, options):
    try:
        return fakes.open_session(path, options)
    except Exception:
        return LinearSession(fakes.fake_network.make_network())


def open_or_value_error(path, options):
    try:
        return fakes.open_session(path, options)
    except Exception as error:
        raise ValueError(path) from error


def open_and_litter(path, options):
    path.with_suffix(".cache").write_text("compiled")
    return fakes.open_session(path, options)


def open_and_log(path, options):
    Path("runtime.log").write_text("opened")
    return fakes.open_session(path, options)


def open_lenient(path, options):
    return LinearSession(load(Path(path)))


def operators(**changes):
    good = {"name": "product", "kind": "Product", "does": "compute", "precision": "fp32", "ns": 5}
    return {"operators": lambda path, options, inputs, repeats: (OperatorTime(**{**good, **changes}),)}


def shake(path, options):
    STATE["shaken"] += 1
    return ("all of it",)


def note_and_litter(path, options):
    Path(path).with_suffix(".log").write_text("noted", encoding="utf-8")
    return ("all of it",)


def simulates(**changes):
    good = {"latency_ms": Interval(p50=2.0, lo90=1.0, hi90=3.0), "energy_mj": None, "basis": "a table"}
    return {"accelerator": "chip", "simulate": lambda graph, facts: Simulation(**{**good, **changes})}


def forgetful(graph, facts):
    graph.tensors.clear()
    return Simulation(latency_ms=Interval(p50=2.0, lo90=1.0, hi90=3.0), energy_mj=None, basis="a table")


def moody(graph, facts):
    return Simulation(latency_ms=Interval(p50=time.time(), lo90=1.0, hi90=1e12), energy_mj=None, basis="a table")


DEFECTS = {
    "reads-nothing": {"reads": ()},
    "reads-twice": {"reads": ("linear", "linear")},
    "no-kernel-family": {"kernel_family": {}},
    "no-simulation": {"accelerator": "chip"},
    "loose-options": {"options": Loose},
    "silent-options": {"options": Silent},
    "environment-of-numbers": {"environment": lambda threads: {"THREADS": threads}},
    "prepares-once": {"prepare": prepare_once},
    "lists": opens(Listed),
    "double": opens(Double),
    "not-finite": opens(NotFinite),
    "flat": opens(Flat),
    "noisy": opens(Noisy),
    "growing": opens(Growing),
    "deaf": opens(Deaf),
    "greedy": opens(Greedy),
    "careless": opens(Careless),
    "eager": opens(Eager),
    "undead": opens(Undead),
    "closes-once": opens(ClosesOnce),
    "shared": opens(Shared),
    "boasting": opens(Boasting),
    "crowded": opens(Crowded),
    "chatty": opens(Chatty),
    "murmuring": opens(Murmuring),
    "opens-anything": {"open": open_anything},
    "value-error": {"open": open_or_value_error},
    "litters": {"open": open_and_litter},
    "logs": {"open": open_and_log},
    "lenient": {"open": open_lenient},
    "operators-without-time": operators(ns=0),
    "operators-of-fractions": operators(ns=0.5),
    "operators-of-odd-words": operators(does="magic"),
    "operators-of-odd-precision": operators(precision="int7"),
    "no-operators": {"operators": lambda path, options, inputs, repeats: ()},
    "notes-one-text": {"notes": lambda path, options: "all of it"},
    "notes-numbers": {"notes": lambda path, options: (3,)},
    "notes-nothing": {"notes": lambda path, options: ("all of it", " ")},
    "notes-a-page": {"notes": lambda path, options: ("all\nof it",)},
    "notes-and-breaks": {**opens(Shaken), "notes": shake},
    "notes-and-litters": {"notes": note_and_litter},
    "imports-nothing-else": {"also_imports": "a_whole_framework"},
    "simulates-backwards": simulates(latency_ms=Interval(p50=2.0, lo90=3.0, hi90=1.0)),
    "simulates-nothing": simulates(latency_ms=None),
    "simulates-both": simulates(rejections=(Rejection(code="NO", operator="product", detail="no"),)),
    "simulates-without-basis": simulates(basis=" "),
    "forgetful": {"accelerator": "chip", "simulate": forgetful},
    "moody": {"accelerator": "chip", "simulate": moody},
}


@hookimpl
def harness_backends():
    (good,) = fakes.harness_backends()
    for name, changes in DEFECTS.items():
        yield replace(good, name=name, **changes)

"""Techniques of one defect each, named for it; all else is the kit's own fake."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace
from pathlib import Path

from harness import UnsupportedError, hookimpl
from harness.testing import fake_network, fakes
from harness.testing.fakes import harness_backends, harness_graph_readers  # noqa: F401 - hooks of this plugin too

HARNESS_API = 1


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of all of them.

    Attributes:
        decimals: Digits behind the point, 0 or more.
    """

    decimals: int = 1


def rounded(path, options, context):
    return fakes.round_weights(path, options, context)


def outside(path, options, context):
    return fake_network.save(fake_network.load(path), path.with_name("beside.npz"))


def nowhere(path, options, context):
    return context.workdir / "missing.npz"


def nothing(path, options, context):
    return None


def in_place(path, options, context):
    network = fake_network.load(path)
    network.weight = network.weight.round(1)
    fake_network.save(network, path)
    return fake_network.save(network, context.workdir / "rounded.npz")


def littering(path, options, context):
    Path("log.txt").write_text("done")
    return rounded(path, options, context)


def idle(path, options, context):
    return fake_network.save(fake_network.load(path), context.workdir / "same.npz")


def unseeded(path, options, context):
    network = fake_network.load(path)
    network.weight = network.weight * (1 + int.from_bytes(os.urandom(2)) / 1e6)
    return fake_network.save(network, context.workdir / "other.npz")


def global_random(path, options, context):
    network = fake_network.load(path)
    network.weight = network.weight * (1 + random.random() / 10).__float__()
    return fake_network.save(network, context.workdir / "other.npz")


def wordy(path, options, context):
    context.note("one line\nand another")
    return rounded(path, options, context)


def silent_note(path, options, context):
    context.note("")
    return rounded(path, options, context)


def not_finite(path, options, context):
    network = fake_network.load(path)
    network.weight = network.weight * float("nan")
    return fake_network.save(network, context.workdir / "nan.npz")


def torn(path, options, context):
    made = rounded(path, options, context)
    made.write_bytes(made.read_bytes()[:100])
    return made


def value_error(path, options, context):
    if options.decimals < 0:
        raise ValueError("decimals")
    return rounded(path, options, context)


def lenient(path, options, context):
    return rounded(path, replace(options, decimals=abs(options.decimals)), context)


def key_error(path, options, context):
    try:
        return rounded(path, options, context)
    except UnsupportedError:
        raise
    except Exception as error:
        raise KeyError("weight") from error


def gullible(path, options, context):
    try:
        return rounded(path, options, context)
    except UnsupportedError:
        raise
    except Exception:
        return fake_network.save(fake_network.make_network(), context.workdir / "anything.npz")


def peeping(path, options, context):
    context.data.split("test")
    return rounded(path, options, context)


TECHNIQUES = {
    "wrong-stage": {"stage": "structure"},
    "unknown-stage": {"stage": "later"},
    "unknown-need": {"needs": frozenset({"luck"})},
    "labels-of-nothing": {"needs": frozenset({"labels"})},
    "unknown-reference": {"references": frozenset({"student"})},
    "impossible-default": {"default": "digits=3"},
    "endless": {"gentler": lambda options: replace(options, decimals=options.decimals + 1)},
    "standing": {"gentler": lambda options: options},
    "other-options": {"gentler": lambda options: "weaker"},
}

APPLY = {
    "outside": outside, "nowhere": nowhere, "nothing": nothing, "in-place": in_place, "littering": littering,
    "idle": idle, "unseeded": unseeded, "global-random": global_random, "wordy": wordy, "silent-note": silent_note,
    "not-finite": not_finite, "torn": torn, "value-error": value_error, "lenient": lenient, "key-error": key_error,
    "gullible": gullible, "peeping": peeping,
}  # fmt: skip

IMPLEMENTATIONS = {"unknown-unsupported": {"unsupported": frozenset({"digits"})}}

NAMES = (*TECHNIQUES, *APPLY, *IMPLEMENTATIONS)


@hookimpl
def harness_techniques():
    good, _ = fakes.harness_techniques()
    for name in NAMES:
        yield replace(good, **{"name": name, "options": Options, **TECHNIQUES.get(name, {})})


@hookimpl
def harness_implementations():
    good, _ = fakes.harness_implementations()
    for name in NAMES:
        given = {"technique": name, "apply": APPLY.get(name, rounded), **IMPLEMENTATIONS.get(name, {})}
        yield replace(good, **given)

"""Trainers of one defect each, named for it; all else is the kit's own fake."""

from __future__ import annotations

import os
from dataclasses import replace

from harness import Trained, hookimpl
from harness.testing import fake_network, fakes

HARNESS_API = 1


def unseeded(module, training, context):
    module.bias += int.from_bytes(os.urandom(2)) / 1e6
    return fakes.train(module, training, context)


def idle(module, training, context):
    return fakes.train(fake_network.make_network(), training, context)


def untold(module, training, context):
    return fakes.train(module, replace(training, before_step=None), context)


def boasting(module, training, context):
    return replace(fakes.train(module, training, context), rows=10**6)


def wordless(module, training, context):
    fakes.train(module, training, context)


def restless(module, training, context):
    module.bias += 1
    return fakes.train(module, training, context)


def left_training(module, training, context):
    done = fakes.train(module, training, context)
    module.training = True
    return done


def inventive(module, training, context):
    if context.data is None:
        return Trained(steps=1, rows=1, first_loss=1.0, last_loss=1.0)
    return fakes.train(module, training, context)


def by_key(module, training, context):
    if context.data is None:
        raise KeyError("train")
    return fakes.train(module, training, context)


def noisy(module, inputs):
    return module(inputs[0]) + int.from_bytes(os.urandom(2))


def relative(module, inputs):
    scores = module(inputs[0])
    return scores - scores.mean(axis=0)


def scribbling_count(module, example):
    module.bias += 1
    return fakes.count(module, example)


def numpy_count(module, example):
    return module.weight.sum().astype("int64") + 100, 1


DEFECTS = {
    "unseeded": {"train": unseeded},
    "idle": {"train": idle},
    "untold": {"train": untold},
    "boasting": {"train": boasting},
    "wordless": {"train": wordless},
    "restless": {"train": restless},
    "left-training": {"train": left_training},
    "inventive": {"train": inventive},
    "by-key": {"train": by_key},
    "noisy": {"predict": noisy},
    "relative": {"predict": relative},
    "few": {"predict": lambda module, inputs: module(inputs[0])[:1]},
    "counts-nothing": {"count": lambda module, example: (0, 0)},
    "numpy-count": {"count": numpy_count},
    "scribbling-count": {"count": scribbling_count},
}


@hookimpl
def harness_trainers():
    (good,) = fakes.harness_trainers()
    for name, changes in DEFECTS.items():
        yield replace(good, name=name, **changes)

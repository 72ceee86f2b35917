"""Model sources of one defect each, named for it; all else is the kit's own fake."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from harness import ModelInfo, Split, hookimpl
from harness.testing import fakes
from harness.testing.fakes import harness_graph_readers  # noqa: F401 - a hook of this plugin too

HARNESS_API = 1


def raising_claims(ref):
    return ref.split(":")[1] != ""


def word_claims(ref):
    return "yes" if ref.startswith("fake:") else ""


def listing(**changes):
    good = {"ref": fakes.REF, "summary": "one layer", "task": "top1", "licence": "Apache-2.0"}
    return {"list_models": lambda: [ModelInfo(**{**good, **changes})]}


def heavy_list():
    import numpy as np

    return [ModelInfo(ref=fakes.REF, summary=str(np.pi), task="top1", licence="Apache-2.0")]


def heavy_check(ref):
    import numpy as np

    assert np.pi > 3
    fakes.check(ref)


def loads(**changes):
    """`load` of a source whose model has some fields changed; each value is made from the model."""

    def load(ref, cache, seed):
        model = fakes.load(ref, cache, seed)
        return replace(model, **{name: make(model) for name, make in changes.items()})

    return {"load": load}


def split(make):
    """`load` of a source whose rows went through `make`."""

    def changed(model):
        def load():
            return make(model.data.split("test"))

        return replace(model.data, splits={"test": load})

    return loads(data=changed)


def load_anything(ref, cache, seed):
    return fakes.load(fakes.REF, cache, seed)


def load_unseeded(ref, cache, seed):
    model = fakes.load(ref, cache, int.from_bytes(os.urandom(2)))
    return replace(model, sha256="the same")


def load_of_another_hash(ref, cache, seed):
    return replace(fakes.load(ref, cache, seed), sha256=os.urandom(8).hex())


def load_and_litter(ref, cache, seed):
    Path("downloaded.bin").write_bytes(b"weights")
    return fakes.load(ref, cache, seed)


def noise(rows):
    import numpy as np

    x = rows.inputs[0]
    return Split(inputs=(x + np.float32(int.from_bytes(os.urandom(2))),), labels=rows.labels)


def scribble(inputs, random):
    inputs[0][...] = 0
    return inputs


def cast(inputs, random):
    return tuple(x.astype("float64") for x in inputs)


def augments(augment):
    return loads(data=lambda model: replace(model.data, augment=augment))


DEFECTS = {
    "raising-claims": {"claims": raising_claims},
    "word-claims": {"claims": word_claims},
    "disowned-default": {"default": ("other:model",)},
    "lists-others": listing(ref="other:model"),
    "lists-without-licence": listing(licence=""),
    "lists-away-without-reason": listing(available=False),
    "heavy-list": {"list_models": heavy_list},
    "heavy-check": {"check": heavy_check},
    "checks-nothing": {"check": lambda ref: None},
    "checks-by-key": {"check": lambda ref: {fakes.REF: None}[ref]},
    "loads-anything": {"load": load_anything},
    "moody-identity": {"identity": lambda ref: os.urandom(8).hex()},
    "unseeded": {"load": load_unseeded},
    "moody-hash": {"load": load_of_another_hash},
    "litters": {"load": load_and_litter},
    "other-format": {"format": "linear-text"},
    "lost-payload": loads(payload=lambda model: Path("/nowhere")),
    "large-example": loads(example=lambda model: (model.example[0].repeat(2, axis=0),)),
    "double-example": loads(example=lambda model: (model.example[0].astype("float64"),)),
    "no-outputs": loads(outputs=lambda model: ()),
    "twin-outputs": loads(outputs=lambda model: ("y", "y")),
    "narrow-rows": split(lambda rows: Split(inputs=(rows.inputs[0][:, :3],), labels=rows.labels)),
    "few-labels": split(lambda rows: Split(inputs=rows.inputs, labels=rows.labels[:3])),
    "float-labels": split(lambda rows: Split(inputs=rows.inputs, labels=rows.labels.astype("float32"))),
    "unknown-split": loads(data=lambda model: replace(model.data, splits={"dev": model.data.splits["test"]})),
    "noisy-split": split(noise),
    "scribbling-augment": augments(scribble),
    "casting-augment": augments(cast),
    "moody-augment": augments(lambda inputs, random: noise(Split(inputs=inputs)).inputs),
}


@hookimpl
def harness_models():
    (good,) = fakes.harness_models()
    for name, changes in DEFECTS.items():
        yield replace(good, name=name, **changes)

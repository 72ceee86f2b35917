"""Converters, graph readers and graph writers of one defect each; the format is named for it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from harness import ArtifactError, Operator, Tensor, hookimpl
from harness.testing import fake_network, fakes

HARNESS_API = 1


# --- converters, from `linear` to a target named for the defect


def saved(network, context):
    return fake_network.save(network, context.workdir / "converted.npz")


def good(path, context):
    return saved(fake_network.load(path), context)


def outside(path, context):
    return fake_network.save(fake_network.load(path), path.with_name("beside.npz"))


def in_place(path, context):
    network = fake_network.load(path)
    network.weight = network.weight * 2
    fake_network.save(network, path)
    return saved(network, context)


def unseeded(path, context):
    network = fake_network.load(path)
    network.weight = network.weight * (1 + int.from_bytes(os.urandom(2)) / 1e9)
    return saved(network, context)


def wordy(path, context):
    context.note("one\ntwo")
    return good(path, context)


def rounding(path, context):
    network = fake_network.load(path)
    network.weight = network.weight.round(0)
    return saved(network, context)


def widening(path, context):
    import numpy as np

    network = fake_network.load(path)
    network.weight, network.bias = np.vstack([network.weight] * 2), np.concatenate([network.bias] * 2)
    return saved(network, context)


def gullible(path, context):
    try:
        return good(path, context)
    except ArtifactError:
        return saved(fake_network.make_network(), context)


def value_error(path, context):
    try:
        return good(path, context)
    except ArtifactError as error:
        raise ValueError(path) from error


CONVERT = {
    "cheap": {"cost": 0}, "astray": {"convert": outside}, "in-place": {"convert": in_place},
    "unsteady": {"convert": unseeded}, "wordy": {"convert": wordy}, "rounding": {"convert": rounding},
    "widening": {"convert": widening}, "gullible": {"convert": gullible}, "misnaming": {"convert": value_error},
}  # fmt: skip


@hookimpl
def harness_converters():
    for name, changes in CONVERT.items():
        _, given = fakes.harness_converters()
        yield replace(given, **{"target": name, "convert": good, **changes})


@hookimpl
def harness_backends():
    (product,) = fakes.harness_backends()
    yield replace(product, reads=("linear", *CONVERT))


# --- readers


def reads(change):
    return {"read": lambda path: change(fakes.read_graph(path))}


def operator(**changes):
    return reads(lambda graph: replace(graph, operators=(replace(graph.operators[0], **changes),)))


def tensor(key, **changes):
    def change(graph):
        return replace(graph, tensors={**graph.tensors, key: replace(graph.tensors[key], **changes)})

    return reads(change)


def backwards(graph):
    first = Operator(name="early", kind="relu", inputs=("y",), outputs=("z",), precision="fp32")
    tensors = {**graph.tensors, "z": Tensor(name="z", shape=(1, 3), precision="fp32")}
    return replace(graph, tensors=tensors, operators=(first, *graph.operators))


def numpy_numbers(graph):
    import numpy as np

    return replace(graph, parameters=np.int64(graph.parameters))


def numpy_attribute(graph):
    return replace(graph, operators=(replace(graph.operators[0], attributes={"groups": [1]}),))


def litter(path):
    path.with_suffix(".index").write_text("index")
    return fakes.read_graph(path)


def read_or_value_error(path):
    try:
        return fakes.read_graph(path)
    except ArtifactError as error:
        raise ValueError(path) from error


def read_anything(path):
    try:
        return fakes.read_graph(path)
    except ArtifactError:
        return fakes.read_graph(fake_network.save(fake_network.make_network(), Path(f"{path}.mended.npz")))


def read_what_is_left(path):
    if path.is_file() and 100 < path.stat().st_size < 600 and path.read_bytes()[:2] == b"PK":
        return read_anything(path)
    return fakes.read_graph(path)


def hash_or_value_error(path):
    try:
        return fake_network.content_sha256(path)
    except ArtifactError as error:
        raise ValueError(path) from error


READ = {
    "loud-suffix": {"suffixes": (".NPZ",)},
    "dotless-suffix": {"suffixes": ("npz",)},
    "no-graph": reads(lambda graph: "graph"),
    "empty": reads(lambda graph: replace(graph, operators=())),
    "odd-kind": operator(kind="magic"),
    "odd-precision": operator(precision="fp31"),
    "odd-scheme": operator(scheme="wild"),
    "work-of-a-relu": operator(kind="relu"),
    "lost-tensor": operator(inputs=("x", "nothing")),
    "lost-output": reads(lambda graph: replace(graph, outputs=("nothing",))),
    "misplaced-tensor": tensor("weight", name="other"),
    "odd-zeros": tensor("weight", zeros=1.5),
    "backwards": reads(backwards),
    "free-batch": tensor("x", shape=(-1, 6)),
    "moody": reads(lambda graph: replace(graph, name=str(time.perf_counter_ns()))),
    "moody-hash": {"content_sha256": lambda path: os.urandom(32).hex()},
    "numpy-number": reads(numpy_numbers),
    "list-attribute": reads(numpy_attribute),
    "short-hash": {"content_sha256": lambda path: fake_network.content_sha256(path)[:16]},
    "hash-of-the-place": {"content_sha256": lambda path: f"{abs(hash(str(path))):064x}"[:64]},
    "litters": {"read": litter},
    "value-error": {"read": read_or_value_error},
    "hash-value-error": {"content_sha256": hash_or_value_error},
    "reads-anything": {"read": read_anything},
    "reads-half": {"read": read_what_is_left},
}


@hookimpl
def harness_graph_readers():
    given, text = fakes.harness_graph_readers()
    yield given
    yield text
    for name, changes in READ.items():
        yield replace(given, format=name, **changes)
    for name in (*CONVERT, *WRITE):
        yield replace(given, format=name)


# --- writers


def write_wider(graph, path, seed):
    import numpy as np

    fakes.write_graph(graph, path, seed)
    network = fake_network.load(path)
    network.weight, network.bias = np.vstack([network.weight] * 2), np.concatenate([network.bias] * 2)
    fake_network.save(network, path)


def write_anything(graph, path, seed):
    fake_network.save(fake_network.make_network(seed), path)


WRITE = {
    "wider": write_wider,
    "constant": lambda graph, path, seed: fakes.write_graph(graph, path, 0),
    "unseeded-writer": lambda graph, path, seed: fakes.write_graph(graph, path, int.from_bytes(os.urandom(3))),
    "writes-anything": write_anything,
    "writes-nothing": lambda graph, path, seed: None,
}


@hookimpl
def harness_graph_writers():
    (given,) = fakes.harness_graph_writers()
    for name, write in WRITE.items():
        yield replace(given, format=name, write=write)

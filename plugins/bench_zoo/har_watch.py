"""`zoo:har-watch`: exercise recognition from a smartwatch, trained here once on seglearn's recordings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench_zoo import watch
from bench_zoo.fingerprint import network_sha256, source_sha256
from harness import Data, Model, Split, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

REF = "zoo:har-watch"
DISTRIBUTIONS = ("torch", "numpy", "seglearn")
SOURCES = ("har_watch.py", "watch.py", "watch_network.py", "watch_training.py", "trained.py")


def identity() -> str:
    """Identity of the data and of everything that decides the weights, without loading anything."""
    return source_sha256(SOURCES, watch.WATCH_SHA256)


def load(cache: Path) -> Model:
    """Load the network, training it first when the cache folder has no weights for this identity.

    Raises:
        ArtifactError: seglearn is missing or its file is not the pinned one.
    """
    import torch

    from bench_zoo.trained import load_or_train
    from bench_zoo.watch_network import WatchNet
    from bench_zoo.watch_training import train

    splits = watch.partition(watch.FOLD)
    weights = cache / f"har-watch-{source_sha256(SOURCES, watch.WATCH_SHA256, torch.__version__)[:16]}.pt"
    network, remark = load_or_train(
        WatchNet(watch.CHANNELS, len(watch.EXERCISES)), lambda: train(splits["train"])[0], weights
    )
    found = data()
    example = found.splits["calibration"]().inputs[0][:1]
    note = "Trained on seglearn's watch recordings (BSD-3-Clause), split by person."
    return Model(
        name="har-watch",
        format="module",
        payload=network,
        inputs=(TensorSpec(name="window", shape=(None, watch.CHANNELS, 1, watch.ROWS), dtype="float32"),),
        outputs=("logits",),
        example=(example,),
        data=found,
        sha256=network_sha256(network, source_sha256(("watch_network.py",))),
        note=f"{note} {remark}".strip(),
    )


def data() -> Data:
    """Windows of ten people's recordings in four splits that share no recording."""
    from bench_zoo.watch_training import augment

    mean, std = watch.scale_of(watch.partition(watch.FOLD)["train"])
    test = ", ".join(map(str, watch.FOLD.test))
    return Data(
        name=f"watch (test: persons {test})",
        sha256=source_sha256(("watch.py",), watch.WATCH_SHA256),
        metric="top1",
        splits={name: partial(_split, name) for name in ("train", "validation", "calibration", "test")},
        note="Windows overlap by half and come from three unseen people, so they are worth far fewer independent "
        "rows than their number; other people score lower or higher by several points (docs/models.md).",
        kind="sensors",
        augment=partial(augment, mean=mean, std=std),
    )


def _split(name: str) -> Split:
    splits = watch.partition(watch.FOLD)
    x, exercises, persons = watch.windows(splits[name], *watch.scale_of(splits["train"]))
    return Split(inputs=(x,), labels=exercises, groups=persons)

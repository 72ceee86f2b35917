"""`zoo:resnet-8`, `zoo:mobilenet-v2`, `zoo:squeezenet`: trained here once on Fashion-MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from bench_zoo import fashion
from bench_zoo.fingerprint import network_sha256, source_sha256
from harness import Model, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

DISTRIBUTIONS = ("torch", "numpy")
SOURCES = ("fashion_networks.py", "fashion.py", "fashion_training.py", "trained.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One architecture.

    Attributes:
        ref: How a user names it.
        module: Module of this package that defines it.
        kind: Its class there.
        epochs: Passes over the 57,700 pictures on first use.
    """

    ref: str
    module: str
    kind: str
    epochs: float

    @property
    def name(self) -> str:
        """Short name for reports."""
        return self.ref.partition(":")[2]

    @property
    def sources(self) -> tuple[str, ...]:
        """Files that decide the weights."""
        return (*SOURCES, f"{self.module}.py")

    def make(self) -> nn.Module:
        """Build it with random weights."""
        kind: Callable[[int], nn.Module] = getattr(import_module(f"bench_zoo.{self.module}"), self.kind)
        return kind(len(fashion.CLASSES))


NETWORKS = (
    Network(ref="zoo:resnet-8", module="resnet8", kind="ResNet8", epochs=3),
    Network(ref="zoo:mobilenet-v2", module="mobilenet_v2", kind="MobileNetV2", epochs=4),
    Network(ref="zoo:squeezenet", module="squeezenet", kind="SqueezeNet", epochs=2.5),
)


def identity(network: Network) -> str:
    """Identity of the data and of everything that decides the weights, without loading anything."""
    return source_sha256(network.sources, *fashion.FILES.values())


def load(network: Network, cache: Path) -> Model:
    """Load a network, training it first when the cache folder has no weights for this identity.

    Raises:
        ArtifactError: A file of Fashion-MNIST is missing or not the pinned one.
    """
    import torch

    from bench_zoo.fashion_training import train
    from bench_zoo.trained import load_or_train

    sha256 = source_sha256(network.sources, *fashion.FILES.values(), torch.__version__)
    weights = cache / f"{network.name}-{sha256[:16]}.pt"
    module, remark = load_or_train(
        network.make(), lambda: train(network.make, fashion.split("fitting"), network.epochs), weights
    )
    note = "Trained on Fashion-MNIST (MIT) as Debian packages it."
    return Model(
        name=network.name,
        format="module",
        payload=module,
        inputs=(TensorSpec(name="picture", shape=(None, 1, fashion.SIDE, fashion.SIDE), dtype="float32"),),
        outputs=("logits",),
        example=(fashion.split("calibration").inputs[0][:1],),
        data=fashion.data(),
        sha256=network_sha256(module, source_sha256((f"{network.module}.py",))),
        note=f"{note} {remark}".strip(),
    )

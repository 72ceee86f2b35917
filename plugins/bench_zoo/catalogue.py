"""What the zoo has: a line for each network, what it needs here, and how it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING

from bench_zoo import efficientnet_lite0, fashion, fashion_networks, har_watch, minilm, minilm_files
from bench_zoo.packaged import INSTALL
from harness import ArtifactError, Model, ModelInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One network.

    Attributes:
        info: What `bench models` shows of it, as if everything were here.
        distributions: Python packages that it cannot do without.
        identity: Content identity of network and data, without loading anything.
        load: Loads it, given the cache folder.
        missing: Why files from elsewhere cannot be read, or an empty text.
        command: What brings these files.
    """

    info: ModelInfo
    distributions: tuple[str, ...]
    identity: Callable[[], str]
    load: Callable[[Path], Model]
    missing: Callable[[], str] = lambda: ""
    command: Callable[[], str] = lambda: ""

    def lack(self) -> tuple[str, str]:
        """Why it cannot be loaded here and the command that helps, or two empty texts."""
        absent = missing_distributions(self.distributions)
        if absent:
            return f"not installed: {', '.join(absent)}", INSTALL
        reason = self.missing()
        return (reason, self.command()) if reason else ("", "")

    def line(self) -> ModelInfo:
        """What `bench models` shows of it here."""
        reason, command = self.lack()
        return replace(self.info, available=False, reason=f"{reason}; {command}") if reason else self.info

    def require(self) -> None:
        """Raise ArtifactError when a package or file that it needs is not here."""
        reason, command = self.lack()
        if reason:
            raise ArtifactError(f"{self.info.ref} cannot be loaded: {reason}.", hint=command)


def entries() -> dict[str, Entry]:
    """Reference to entry, in the order in which they are shown."""
    found = (_har_watch(), *_efficientnets(), *_fashion(), _minilm())
    return {entry.info.ref: entry for entry in found}


def missing_distributions(names: Iterable[str]) -> tuple[str, ...]:
    """Those that are not installed."""
    missing = []
    for name in names:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    return tuple(missing)


def _har_watch() -> Entry:
    info = ModelInfo(
        ref=har_watch.REF,
        summary="recognises seven shoulder exercises from two seconds of smartwatch motion",
        task="activity recognition, top-1 on unseen people",
        licence="data BSD-3-Clause (seglearn), weights trained here",
        facts={"input": "6×1×100 float32", "classes": "7", "data": "140 recordings of 10 people"},
    )
    return Entry(info=info, distributions=har_watch.DISTRIBUTIONS, identity=har_watch.identity, load=har_watch.load)


def _efficientnets() -> Iterable[Entry]:
    info = ModelInfo(
        ref=efficientnet_lite0.REF,
        summary="classifies photographs into the 1000 ImageNet classes",
        task="image classification, agreement with the baseline (too few labels for an accuracy)",
        licence="weights Apache-2.0; rights of the sample pictures not stated",
        facts={"input": "3×224×224 float32", "classes": "1000", "data": "22 photographs"},
    )
    crops = replace(
        info,
        ref=efficientnet_lite0.REF_CROPS,
        summary="the same network, scored on 510 crops instead of 100: five times as long",
        facts={**info.facts, "data": "22 photographs, 510 rows to test"},
    )
    for each in (info, crops):
        yield Entry(
            info=each,
            distributions=efficientnet_lite0.DISTRIBUTIONS,
            identity=partial(efficientnet_lite0.identity, each.ref),
            load=partial(_without_cache, each.ref),
        )


def _without_cache(ref: str, _cache: Path) -> Model:
    return efficientnet_lite0.load(ref)


def _fashion() -> Iterable[Entry]:
    summaries = {
        "zoo:resnet-8": "classifies small grey pictures of clothing by the residual network of MLPerf Tiny",
        "zoo:mobilenet-v2": "classifies small grey pictures of clothing by inverted residual blocks",
        "zoo:squeezenet": "classifies small grey pictures of clothing by fire modules",
    }
    for network in fashion_networks.NETWORKS:
        info = ModelInfo(
            ref=network.ref,
            summary=summaries[network.ref],
            task="image classification, top-1",
            licence="data MIT (Fashion-MNIST), weights trained here",
            facts={"input": "1×28×28 float32", "classes": "10", "data": "70,000 pictures of Debian's package"},
        )
        yield Entry(
            info=info,
            distributions=fashion_networks.DISTRIBUTIONS,
            identity=partial(fashion_networks.identity, network),
            load=partial(fashion_networks.load, network),
            missing=fashion.missing,
            command=lambda: fashion.INSTALL,
        )


def _minilm() -> Entry:
    info = ModelInfo(
        ref=minilm.REF,
        summary="tells positive from negative sentences of reviews by a sentence encoder",
        task="text classification, top-1",
        licence="encoder Apache-2.0; head fitted here; rights of the sentences not stated",
        facts={"input": "2 × 64 int64", "classes": "2", "data": "2,977 rated sentences"},
    )
    return Entry(
        info=info,
        distributions=minilm.DISTRIBUTIONS,
        identity=minilm.identity,
        load=minilm.load,
        missing=minilm_files.missing,
        command=minilm_files.command,
    )

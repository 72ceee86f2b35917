"""What is measured: a built variant in one backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from harness.contributions import Meter
    from harness.host import PluginSource
    from harness.process.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One variant to be opened by one backend.

    Attributes:
        name: Identity within the run; results are keyed by it.
        label: What a reader sees while it runs.
        variant_sha256: Canonical content of the file.
        plugins: Plugins that the child loads.
        provider: The backend's plugin, distribution and version.
        environment: Environment variables of the child, for a number of threads.
        outputs: Where its outputs on the test split belong; they are computed when the file is not there.
        versions: Versions of the distributions that the backend uses.
        baseline: Whether it is the unoptimised model, which is in every group.
        corruptions: Names of the corruptions that it is scored under besides.
    """

    name: str
    label: str
    backend: str
    options: Mapping[str, Any]
    path: Path
    variant_sha256: str
    model_folder: Path
    outputs: Path
    plugins: tuple[PluginSource, ...]
    provider: str
    environment: Callable[[int], Mapping[str, str]]
    versions: Mapping[str, str] = field(default_factory=dict)
    baseline: bool = False
    corruptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSettings:
    """How to measure.

    Attributes:
        threads: Thread budget of every session.
        budget_s: Wall time for one group; three processes of few rounds are taken even when it is short.
        processes: Fresh processes of each session, at least.
        precision: Half-width of the 95 % interval, relative to the latency, that is narrow enough.
        limits: Limits of each child.
        lanes: How many children may import their runtime at a time.
        meter: What reads energy after timing, or None where nothing does.
    """

    threads: int
    seed: int
    budget_s: float
    processes: int
    precision: float
    limits: Limits
    lanes: int
    meter: Meter | None = None

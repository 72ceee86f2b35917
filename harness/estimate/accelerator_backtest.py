"""Back-test of simulated accelerators: a backend's own fit and simulation, each model family hidden in turn."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from harness.estimate.precision import at_precision
from harness.estimate.published import model_family, table_rows
from harness.workload import read_workload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.contributions import Backend
    from harness.graph import OpGraph

TIMED_ALONE = frozenset({"coral-benchmarks"})
"""Sources whose rows are of the accelerator alone: the other rows hold post-processing on an unlike host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorRow:
    """One published latency of an accelerator, and what was simulated without its model family."""

    device: str
    model: str
    measured_ms: float
    simulated_ms: float
    covered: bool

    @property
    def log_error(self) -> float:
        """Logarithm of simulated over published."""
        return log(self.simulated_ms / self.measured_ms)


def accelerator_rows(backend: Backend, folder: Path) -> tuple[AcceleratorRow, ...]:
    """Every row that a layer table exists for and that the backend's rules map; none without a fit to test."""
    if backend.fit is None or backend.simulate is None:
        return ()
    published = _published(backend.accelerator, folder)
    found = []
    for device in sorted({device for device, *_ in published}):
        rows = [(model, graph, ms) for at, model, graph, ms in published if at == device]
        for model, graph, ms in rows:
            others = [(g, t) for m, g, t in rows if model_family(m) != model_family(model)]
            simulated = backend.simulate(graph, backend.fit(others)).latency_ms
            if simulated is not None:
                found.append(AcceleratorRow(
                    device=device, model=model, measured_ms=ms, simulated_ms=simulated.p50,
                    covered=simulated.lo90 <= ms <= simulated.hi90,
                ))  # fmt: skip
    return tuple(found)


def _published(kind: str, folder: Path) -> Sequence[tuple[str, str, OpGraph, float]]:
    found = []
    for line in table_rows(folder):
        path = folder / "workloads" / f"tf-{line['model']}.json"
        if line["framework"] == kind and line["source_id"] in TIMED_ALONE and path.is_file():
            graph = at_precision(read_workload(path), "int8")
            found.append((line["device_id"], line["model"], graph, float(line["latency_ms"])))
    return found

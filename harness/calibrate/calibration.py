"""Profiles the machine at hand: its facts, its memory, and the kernels of each backend in each precision."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import geometric_mean
from typing import TYPE_CHECKING

from harness.calibrate.bandwidth import measure_bandwidths
from harness.calibrate.fit import Timed, fit
from harness.calibrate.measure import SweepSettings, Written, time_sweep
from harness.calibrate.quantities import CacheSizes, quantities
from harness.calibrate.sweep import LAUNCH_CHAINS, networks, sweep, whole
from harness.detect import detect
from harness.errors import HarnessError, UsageError
from harness.process.limits import Limits
from harness.profile import HostCalibration, Quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.contributions import Backend, GraphReader, GraphWriter
    from harness.host import Host
    from harness.profile import Bandwidth, DeviceProfile
    from harness.registry import Registered

PRECISIONS = ("fp32", "int8")

AGAIN_NETWORKS, AGAIN_ROUNDS, AGAIN_S, AGAIN_SHARE = 6, 2, 6.0, 0.3
"""Networks that are timed again, in how many fresh processes, the seconds of each, and the most that all may take of
the time: a process of its own is what a run times, and two processes of one network differ by a tenth."""

FEWEST_GRAPHS = 30
"""A fit of fewer graphs is refused: there are some eighty costs."""

NEAR_KIB, LAST_KIB = 1024.0, 8192.0
"""Cache sizes where the system states none: common ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be profiled, and how.

    Attributes:
        backends: Names, or none for every available one that reads a format which can be written.
        budget_s: Time for all of it.
    """

    name: str
    backends: tuple[str, ...]
    threads: int
    budget_s: float
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    backend: Registered[Backend]
    writer: GraphWriter
    precision: str

    def __str__(self) -> str:
        return f"{self.backend.name} {self.precision}"


def calibrate(request: Request, host: Host, say: Callable[[str], None]) -> DeviceProfile:
    """Measure and fit; `say` hears what goes on and what could not be done.

    Raises:
        UsageError: No backend can be calibrated, or a name is unknown.
    """
    started = time.monotonic()
    detected = detect()
    cells = list(_cells(request, host, detected.isa))
    if not cells:
        hint = "See bench plugins for what is installed; a plugin brings a graph writer for a format that it reads."
        raise UsageError("there is no backend here that reads a format which can be written.", hint=hint)
    say("memory")
    bandwidths = measure_bandwidths()
    with tempfile.TemporaryDirectory(prefix="bench-calibrate-") as folder:
        again_s = min(AGAIN_S, AGAIN_SHARE * request.budget_s / (AGAIN_ROUNDS * len(cells)))
        ends = started + request.budget_s - again_s * AGAIN_ROUNDS * len(cells)
        swept: list[tuple[_Cell, Sequence[Written], Mapping[str, float]]] = []
        for place, cell in enumerate(cells):
            settings = SweepSettings(threads=request.threads, seed=request.seed, limits=Limits(),
                                     budget_s=max(0.0, ends - time.monotonic()) / (len(cells) - place))  # fmt: skip
            try:
                swept.append((cell, *_swept(cell, host, settings, Path(folder), say)))
            except HarnessError as error:
                say(f"{cell}: {error.message}")
        settings = SweepSettings(threads=request.threads, seed=request.seed, limits=Limits(), budget_s=again_s)
        again = _again(swept, host, settings, say)
        found = [
            _with_far(_fitted(each, again.get(str(each[0]), {}), host, settings, detected, say), bandwidths[-1])
            for each in swept
        ]
    if not found:
        raise UsageError("nothing could be calibrated; the lines above say why.", hint="Give more time: --budget-s 300")
    return replace(
        detected,
        name=request.name,
        summary=f"{detected.summary}, profiled with {request.threads} threads on {_today()}",
        bandwidths=bandwidths,
        profiled=tuple(found),
    )


def cache_sizes(profile: DeviceProfile, threads: int) -> CacheSizes:
    """What so many threads keep near, and what the last level of cache holds."""
    caches = profile.caches
    near = caches.l2.value * (1 if caches.l2_shared else threads) if caches.l2 else NEAR_KIB
    last = caches.l3.value if caches.l3 else max(near, caches.l2.value if caches.l2 else LAST_KIB)
    return CacheSizes(near_bytes=near * 1024, last_bytes=last * 1024)


def _cells(request: Request, host: Host, isa: str) -> Iterator[_Cell]:
    chosen = [host.backends.get(name) for name in request.backends] or list(host.backends)
    for backend in chosen:
        what = backend.contribution
        writers = [host.graph_writers.get(f).contribution for f in what.reads if f in host.graph_writers]
        usable = [w for w in writers if w.available().ok]
        if what.accelerator or not what.available().ok or not usable or isa not in what.kernel_family:
            if request.backends:
                raise UsageError(f"{backend.name} cannot be calibrated here.", hint=_why_not(what, usable, isa))
            continue
        yield from (_Cell(backend=backend, writer=usable[0], precision=precision) for precision in PRECISIONS)


def _why_not(backend: Backend, writers: Sequence[GraphWriter], isa: str) -> str:
    if backend.accelerator:
        return "It drives an accelerator, which is simulated."
    availability = backend.available()
    if not availability.ok:
        return f"{availability.reason}; install it with: {availability.install}"
    if not writers:
        return f"No plugin writes a format that it reads: {', '.join(backend.reads)}."
    return f"It names no kernel family for {isa}."


def _swept(
    cell: _Cell, host: Host, settings: SweepSettings, folder: Path, say: Callable[[str], None]
) -> tuple[Sequence[Written], Mapping[str, float]]:
    """The files of a sweep, and the median milliseconds of those that were timed."""
    started = time.monotonic()
    files = _written(cell, folder)
    spent_s = time.monotonic() - started
    swept = time_sweep(files, cell.backend, host, replace(settings, budget_s=settings.budget_s - spent_s), say)
    for name, why in swept.failures.items():
        say(f"{cell}: {name} is left out: {why}")
    if swept.left_out:
        say(f"{cell}: no time for {swept.left_out} graphs of the sweep")
    times = swept.median_ms()
    if len(times) < FEWEST_GRAPHS:
        raise UsageError(f"{len(times)} graphs were timed, too few for a fit.", hint="Give more time: --budget-s 300")
    return files, times


def _again(
    swept: Sequence[tuple[_Cell, Sequence[Written], Mapping[str, float]]],
    host: Host,
    settings: SweepSettings,
    say: Callable[[str], None],
) -> Mapping[str, Mapping[str, float]]:
    """Networks of every cell once more, in fresh processes by turns: what one process or one minute has by chance."""
    taken: dict[str, dict[str, list[float]]] = {}
    for _ in range(AGAIN_ROUNDS):
        for cell, files, times in swept:
            chosen = [file for file in files if file.graph.name in networks() and file.graph.name in times]
            try:
                again = time_sweep(chosen[:AGAIN_NETWORKS], cell.backend, host, settings, lambda _line: None)
            except HarnessError as error:
                say(f"{cell}: not timed again: {error.message}")
                continue
            for name, ms in again.median_ms().items():
                taken.setdefault(str(cell), {}).setdefault(name, []).append(ms)
    return {cell: {name: geometric_mean(ms) for name, ms in found.items()} for cell, found in taken.items()}


def _fitted(
    swept: tuple[_Cell, Sequence[Written], Mapping[str, float]],
    again: Mapping[str, float],
    host: Host,
    settings: SweepSettings,
    detected: DeviceProfile,
    say: Callable[[str], None],
) -> HostCalibration:
    cell, files, times = swept
    sizes = cache_sizes(detected, settings.threads)
    known = cell.writer.format in host.graph_readers
    reader = host.graph_readers.get(cell.writer.format).contribution if known else None
    timed = [
        replace(_timed(each, times, sizes, reader), again_ms=again.get(each.graph.name))
        for each in files
        if each.graph.name in times
    ]
    fitted = fit(timed)
    say(f"{cell}: {len(timed)} graphs; {fitted.error_percent:.1f} % mean error on blocks and networks, each predicted"
        f" without itself; level {fitted.level:.2f}")  # fmt: skip
    source = f"measured here with {_version(cell.backend)}"
    return HostCalibration(
        family=cell.backend.contribution.kernel_family[detected.isa],
        precision=cell.precision,
        threads=_quantity(settings.threads, "threads", source),
        graphs=_quantity(len(timed), "graphs", source),
        error=_quantity(round(fitted.error_percent, 1), "%", source),
        factor90=_quantity(round(fitted.factor90, 3), "times", source),
        near=_quantity(sizes.near_bytes / 1024, "KiB", source),
        last=_quantity(sizes.last_bytes / 1024, "KiB", source),
        launch=_launch(times, source),
        coefficients={name: float(f"{cost:.4g}") for name, cost in fitted.coefficients.items()},
        residuals={name: round(100 * error, 1) for name, error in fitted.errors.items()},
    )


def _with_far(fitted: HostCalibration, beyond: Bandwidth) -> HostCalibration:
    """Where no graph of the sweep outgrew the caches, what does is read at the speed of the largest block."""
    megabyte_ms = float(f"{1 / beyond.read.value:.4g}")
    missing = {name: megabyte_ms for name in ("far weight", "far activation") if name not in fitted.coefficients}
    return replace(fitted, coefficients={**fitted.coefficients, **missing})


def _written(cell: _Cell, folder: Path) -> list[Written]:
    """Files of the sweep; backends that read one format share them."""
    found = []
    for number, graph in enumerate(sweep(quantised=cell.precision == "int8")):
        path = folder / f"{cell.precision}-{number}.{cell.writer.format}"
        if not path.exists():
            cell.writer.write(graph, path, number)
        found.append(Written(graph=graph, path=path))
    return found


def _timed(file: Written, times: Mapping[str, float], sizes: CacheSizes, reader: GraphReader | None) -> Timed:
    """What was timed, with the graph as a reader sees it, for so the graphs are read that will be predicted."""
    graph = file.graph if reader is None else reader.read(file.path)
    name = file.graph.name
    return Timed(
        name=name, amounts=quantities(graph, sizes), ms=times[name], whole=name in whole(), network=name in networks()
    )


def _launch(times: Mapping[str, float], source: str) -> Quantity | None:
    """Time of one more operator: the difference between a long and a short chain of tiny ones."""
    (short, few), (long, many) = LAUNCH_CHAINS
    if short not in times or long not in times or times[long] <= times[short]:
        return None
    return _quantity(round(1e3 * (times[long] - times[short]) / (many - few), 3), "us", source)


def _version(backend: Registered[Backend]) -> str:
    for distribution in backend.contribution.requires:
        try:
            return f"{distribution} {version(distribution)}"
        except PackageNotFoundError:
            continue
    return f"{backend.name} of {backend.provider}"


def _quantity(value: float, unit: str, source: str) -> Quantity:
    return Quantity(value=float(value), unit=unit, source=source, date=_today())


def _today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()

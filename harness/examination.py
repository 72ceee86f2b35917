"""Examination: one model's variants predicted, scored and measured, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from harness.build.model_folder import ModelFolder, read_model_folder
from harness.consistency import deviation, keeps_network, tolerance
from harness.corruption import corruptions_of
from harness.digest import installed_version
from harness.environment import cpu_name
from harness.estimate.interval import Estimate
from harness.graph_json import read_graph
from harness.measure.group import measure
from harness.measure.score import outputs_key, score_apart
from harness.measure.subject import MeasureSettings, Subject
from harness.prediction import Device, predict, threads_of
from harness.profile_file import HOST
from harness.quality import Reference, judge
from harness.record import Failure, Measurement, Outcome, Quality, Record, Variant
from harness.rows import Rows, describe_variant
from harness.why.reasons import device_reasons, host_reasons
from harness.why.side import Side

if TYPE_CHECKING:
    from harness.build.cache import Cache
    from harness.build.variants import BuiltVariant
    from harness.graph import OpGraph
    from harness.host import Host
    from harness.plan import Cell
    from harness.profile import DeviceProfile
    from harness.progress import Progress
    from harness.why.cpu import CpuFacts
    from harness.why.reason import Reason

Prediction = Estimate | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A cell that is ready to be run.

    Attributes:
        graph: What the variant's file holds, or None where nobody can read it.
        predictions: By profile name, for the profiles whose rows are still open.
    """

    cell: Cell
    variant: Variant
    graph: OpGraph | None
    folder: ModelFolder
    subject: Subject
    profiles: tuple[DeviceProfile, ...]
    predictions: Mapping[str, Prediction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examiner:
    """What examining a model needs of the run."""

    rows: Rows
    profiles: tuple[DeviceProfile, ...]
    cache: Cache
    host: Host
    settings: MeasureSettings
    cpu: CpuFacts
    progress: Progress

    def examine(self, cells: Sequence[Cell], built: Mapping[str, BuiltVariant | Failure], then: str = "") -> None:
        """Take one model's cells from variant to record; `then` is what follows it, for the progress."""
        ready: dict[str, Examined] = {}
        for cell in cells:
            result = built[cell.name]
            if isinstance(result, Failure):
                self.rows.missing(cell, result, self.profiles)
                continue
            item = self._look(cell, result)
            if item.profiles:
                ready[cell.name] = item
        if not ready:
            return
        self.progress.stage(f"measuring {cells[0].model}", then=then)
        measured = self._measure(ready)
        qualities = self._score(ready)
        for name, item in ready.items():
            for profile in item.profiles:
                record = self._record(item, profile, qualities.get(name), measured.get(name))
                self.rows.write(replace(record, why=self._why(item, profile, ready, measured)))

    def _look(self, cell: Cell, result: BuiltVariant) -> Examined:
        """Look at a variant through every profile; rows that a profile rules out are written at once."""
        built = result.built
        graph = read_graph(built.graph) if built.graph else None
        variant = describe_variant(built, graph)
        predictions: dict[str, Prediction] = {}
        open_profiles = []
        for profile in self.profiles:
            if self.rows.has(cell, profile):
                continue
            device = Device(profile=profile, threads=None)
            prediction = predict(graph, cell.backend, device) if graph else _no_graph(cell, built.format)
            if isinstance(prediction, Failure) and (prediction.reason or cell.backend.contribution.accelerator):
                self.rows.missing(cell, prediction, [profile], variant)
                continue
            predictions[profile.name] = prediction
            open_profiles.append(profile)
        folder = self.cache.entry("models", result.model.key)
        return Examined(
            cell=cell,
            variant=variant,
            graph=graph,
            folder=read_model_folder(folder),
            subject=self._subject(cell, result, folder),
            profiles=tuple(open_profiles),
            predictions=predictions,
        )

    def _subject(self, cell: Cell, result: BuiltVariant, folder: Path) -> Subject:
        backend = cell.backend.contribution
        variant_sha256 = result.built.sha256 or result.built.key
        versions = {name: installed_version(name) for name in backend.requires}
        runtime = (cell.backend_text, cell.backend.provider, versions)
        kind = read_model_folder(folder).kind
        corruptions = corruptions_of(kind) if self.rows.plan.robustness else ()
        outputs = outputs_key(variant_sha256, result.model.key, runtime, cpu_name(), corruptions)
        return Subject(
            name=cell.name,
            label=f"{cell.model} {cell.recipe} in {cell.backend_text}",
            backend=backend.name,
            options=cell.options,
            path=result.built.path,
            variant_sha256=variant_sha256,
            model_folder=folder,
            outputs=self.cache.entry("scores", f"{outputs}.npz"),
            plugins=self.host.plugin_sources(cell.backend.plugin),
            provider=cell.backend.provider,
            environment=backend.environment,
            versions=versions,
            baseline=cell.baseline,
            corruptions=corruptions,
        )

    def _measure(self, ready: Mapping[str, Examined]) -> Mapping[str, Measurement | Failure]:
        """Time what runs on this machine, scoring it on the way; an accelerator that is not here is never timed."""
        timed = [r.subject for r in ready.values() if not r.cell.backend.contribution.accelerator]
        apart = [r.subject for r in ready.values() if r.cell.backend.contribution.accelerator]
        results: dict[str, Measurement | Failure] = {}
        if apart:
            self.progress.say("scoring what is simulated")
            results |= score_apart(apart, self.settings)
            self.progress.step(f"{len(apart)} simulated")
        if timed:
            results |= measure(timed, self.settings, self.progress)
        return results

    def _score(self, ready: Mapping[str, Examined]) -> Mapping[str, Quality | Failure]:
        outputs = {name: r.subject.outputs for name, r in ready.items() if r.subject.outputs.is_file()}
        found: dict[str, Quality | Failure] = {}
        for name, path in outputs.items():
            quality = _judge(ready[name], path, _reference(ready[name], ready, outputs))
            if isinstance(quality, Quality):
                quality = self._compared(ready[name], quality, ready, outputs)
            found[name] = quality
        return found

    def _compared(
        self, item: Examined, quality: Quality, ready: Mapping[str, Examined], outputs: Mapping[str, Path]
    ) -> Quality | Failure:
        """Quality with the deviation from the framework's own outputs: of the same recipe where it ran there, else of
        the baseline, which is the same network unless a technique made another one."""
        techniques = [self.host.techniques.get(step.technique).contribution for step in item.cell.recipe.steps]
        framework = [r for name, r in ready.items() if r.cell.backend.contribution.reference and name in outputs]
        same = [r for r in framework if r.cell.recipe == item.cell.recipe]
        plain = [r for r in framework if r.cell.baseline and keeps_network(techniques)]
        if item.cell.backend.contribution.reference or not (same or plain):
            return quality
        reference = (same or plain)[0]
        name = f"{reference.cell.recipe} in {reference.cell.backend_text}"
        try:
            found = deviation(outputs[item.subject.name], outputs[reference.subject.name], name, tolerance(techniques))
        except ValueError as error:
            return _unscored(item, error)
        return replace(quality, deviation=found)

    def _record(
        self,
        item: Examined,
        profile: DeviceProfile,
        quality: Quality | Failure | None,
        measured: Measurement | Failure | None,
    ) -> Record:
        prediction = item.predictions[profile.name]
        failures = [f for f in (measured, quality) if isinstance(f, Failure)]
        outcome: Outcome = "simulated" if item.cell.backend.contribution.accelerator else "measured"
        if not failures and isinstance(prediction, Failure):
            failures, kept = [prediction], outcome
        else:
            kept = "failed" if failures else outcome
        return replace(
            self.rows.blank(item.cell, profile),
            outcome=kept,
            variant=item.variant,
            estimate=prediction if isinstance(prediction, Estimate) else None,
            quality=quality if isinstance(quality, Quality) else None,
            measurement=measured if isinstance(measured, Measurement) else None,
            failure=failures[0] if failures else None,
        )

    def _why(
        self,
        item: Examined,
        profile: DeviceProfile,
        ready: Mapping[str, Examined],
        measured: Mapping[str, Measurement | Failure],
    ) -> tuple[Reason, ...]:
        """Why a variant is not faster than the baseline of its backend: here, and on the device."""
        baseline = next((r for r in ready.values() if _is_baseline_of(r, item)), None)
        backend = item.cell.backend.contribution
        if baseline is None or backend.accelerator:
            return ()
        here = host_reasons(_side(baseline, measured), _side(item, measured), self.cpu)
        family = profile.kernel_family(backend.name, backend.kernel_family)
        threads = threads_of(backend, Device(profile=profile, threads=None))
        estimated = isinstance(item.predictions[profile.name], Estimate)
        if profile.name == HOST or not family or not estimated or baseline.graph is None or item.graph is None:
            return here
        return here + device_reasons(baseline.graph, item.graph, profile, kernel_family=family, threads=threads)


def _is_baseline_of(other: Examined, item: Examined) -> bool:
    return other.cell.baseline and not item.cell.baseline and other.cell.backend_text == item.cell.backend_text


def _side(item: Examined, measured: Mapping[str, Measurement | Failure]) -> Side:
    found = measured.get(item.subject.name)
    if not isinstance(found, Measurement):
        return Side(graph=item.graph)
    return Side(graph=item.graph, operators=found.operators, latency_ns=median(found.latency_ns))


def _judge(item: Examined, outputs: Path, reference: Reference | None) -> Quality | Failure:
    try:
        return judge(outputs, item.folder.data(), reference)
    except (ValueError, IndexError, KeyError) as error:
        return _unscored(item, error)


def _unscored(item: Examined, error: Exception) -> Failure:
    return Failure(
        stage="quality",
        plugin=item.cell.backend.provider,
        error=f"its outputs cannot be scored: {error}",
        hint="The first output must hold one row per test row: class scores.",
    )


def _no_graph(cell: Cell, fmt: str) -> Failure:
    return Failure(
        stage="estimate",
        plugin=cell.backend.provider,
        error=f"no plugin reads the graph of {fmt}",
        hint="No estimate can be made; a plugin that yields a GraphReader for the format brings one.",
    )


def _reference(item: Examined, ready: Mapping[str, Examined], outputs: Mapping[str, Path]) -> Reference | None:
    """The baseline's outputs: in the same backend where it has any, else in the first backend that does."""
    baselines = [r for name, r in ready.items() if r.cell.baseline and name in outputs]
    same = [r for r in baselines if r.cell.backend_text == item.cell.backend_text]
    chosen = (same or baselines)[:1]
    if not chosen:
        return None
    return Reference(outputs=outputs[chosen[0].subject.name], name=f"baseline in {chosen[0].cell.backend_text}")

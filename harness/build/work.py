"""The build process: loads a model or a file, and does the steps of one job."""

from __future__ import annotations

import copy
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.build.description import file_facts, fingerprint, size_of, step_facts
from harness.build.goal import FINE_TUNING, Attempt, Goal, pursue
from harness.build.model_folder import read_model_folder, write_model_folder
from harness.build.services import Services
from harness.build_context import BuildContext, Score
from harness.contributions import LIVE
from harness.cost import cost_function
from harness.errors import ArtifactError, HarnessError, PluginError, StepError, UnsupportedError, one_line, place_of
from harness.host import Host
from harness.loading import load_given
from harness.options import restore_options

if TYPE_CHECKING:
    from harness.contributions import Implementation, Technique
    from harness.model import Data, Model


def identify(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Load a model only to learn the identity of its content."""
    host = load_given(request["plugins"])
    source = host.models.get(request["source"]).contribution
    model = source.load(request["ref"], Path(request["cache"]), request["seed"])
    return {"identity": model.sha256}


def build(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Do one job; `request` is `asdict` of a `Job` with paths as text. Returns the facts that make `node.json`."""
    job = _Job(request=request, host=load_given(request["plugins"]))
    value, fmt = job.start()
    for number, step in enumerate(request["steps"]):
        value, fmt = job.step(number, step, value)
    return job.finish(Path(value), fmt)


@dataclass(slots=True)
class _Job:
    request: Mapping[str, Any]
    host: Host
    services: Services | None = None
    reference: Score | None = None
    lineage: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fingerprint: str = ""

    @property
    def workdir(self) -> Path:
        return Path(self.request["workdir"])

    @property
    def serving(self) -> Services:
        if self.services is None:
            raise PluginError("a step ran before its model was loaded.")
        return self.services

    def start(self) -> tuple[Any, str]:
        """The job's input: a parent's file, or a freshly loaded model."""
        if self.request["parent"]:
            parent = self.request["parent"]
            folder = read_model_folder(Path(self.request["model_folder"]))
            self._serve(folder.example(), folder.inputs, folder.outputs, folder.data())
            self.fingerprint = parent["sha256"]
            known = self.request["reference"]
            self.reference = Score(value=known["accuracy"], n=known["accuracy_n"]) if known else None
            return Path(parent["path"]), parent["format"]
        return self._load()

    def _load(self) -> tuple[Any, str]:
        started = time.perf_counter()
        source = self.host.models.get(self.request["source"])
        model = source.contribution.load(self.request["ref"], Path(self.request["cache"]), self.request["seed"])
        data = self._data(model)
        services = self._serve(model.example, model.inputs, model.outputs, data)
        if model.format == LIVE:
            services.context = replace(services.context, original=model.payload)
        if self.request["write_model_folder"]:
            folder = Path(self.request["write_model_folder"])
            write_model_folder(folder, model, data)
        target = self.workdir / "source"
        target.mkdir()
        if model.format != LIVE:
            value, size_bytes = Path(shutil.copy2(model.payload, target)), None
        elif any(step["kind"] == "technique" for step in self.request["steps"]):
            value = copy.deepcopy(model.payload)
            self.fingerprint, size_bytes = fingerprint(self.serving, value, LIVE, target)
        else:
            value, size_bytes = model.payload, None
        self.reference = services.score(value, model.format)
        self._record("source", self.request["ref"], source.provider, (value, model.format), started)
        self.lineage[-1] |= step_facts(services, value, model.format, self.reference, size_bytes)
        return value, model.format

    def _data(self, model: Model) -> Data:
        from harness.data import load_data, random_data

        if self.request["data"]:
            return load_data(self.request["data"], model.inputs, model.preprocess, self.request["seed"])
        if model.data is not None:
            return model.data
        self.notes.append("no data was given: agreement with the baseline is taken over random inputs")
        return random_data(model.inputs, model.example, self.request["seed"])

    def _serve(self, example: Any, inputs: Any, outputs: Any, data: Data) -> Services:
        context = BuildContext(
            workdir=self.workdir,
            seed=self.request["seed"],
            threads=self.request["threads"],
            data=data,
            example=example,
            inputs=inputs,
            outputs=outputs,
            note=self.notes.append,
        )
        self.services = Services(self.host, Path(self.request["cache"]), context)
        return self.services

    def step(self, number: int, step: Mapping[str, Any], value: Any) -> tuple[Any, str]:
        """Do one step in a folder of its own."""
        started = time.perf_counter()
        folder = self.workdir / f"{number}-{step['format']}"
        folder.mkdir()
        facts: Mapping[str, Any] = {}
        try:
            result = self._do(step, value, folder)
            size_bytes = self._check(step, result, folder)
            if step["kind"] == "technique":
                score = self.serving.score(result, step["format"])
                facts = step_facts(self.serving, result, step["format"], score, size_bytes)
        except HarnessError as error:
            raise StepError(f"{step['label']}: {error.message}", hint=error.hint, plugin=step["provider"]) from error
        except (Exception, SystemExit) as error:
            message = f"{step['label']}: {one_line(error)}"
            raise StepError(message, hint=place_of(error), plugin=step["provider"]) from error
        self._record(step["kind"], step["label"], step["provider"], (result, step["format"]), started)
        self.lineage[-1] |= facts
        return result, step["format"]

    def _do(self, step: Mapping[str, Any], value: Any, folder: Path) -> Any:
        context = self.serving.context_in(folder, step["format"])
        if step["kind"] == "converter":
            converter = next(c for c in self.host.converters if c.name == step["name"] and c.plugin == step["plugin"])
            return converter.contribution.convert(value, context)
        implementation = next(
            i for i in self.host.implementations if i.name == step["name"] and i.plugin == step["plugin"]
        ).contribution
        technique = self.host.techniques.get(implementation.technique).contribution
        options = restore_options(technique.options, step["options"])
        if step["cost"]:
            context = replace(context, cost=self._cost())
        if self.request["goal"] is None:
            return implementation.apply(value, options, context)
        goal = Goal(**self.request["goal"], reference=self.reference)
        return pursue(goal, options, self._attempt(technique, implementation, value, context))

    def _cost(self) -> Callable[[Any], float]:
        if self.request["cost"] is None:
            raise UnsupportedError(
                "there is no device to estimate latency for in this backend.",
                hint="Take another target, or a profile whose instruction set the backend has kernels for.",
            )
        self.notes.append(f"optimised for {self.request['cost']['name']}, by estimated latency")
        return cost_function(self.request["cost"])

    def _attempt(
        self, technique: Technique, implementation: Implementation, value: Any, context: BuildContext
    ) -> Attempt:
        def apply(options: Any, number: int) -> Any:
            folder = context.workdir / f"try-{number}"
            folder.mkdir()
            return implementation.apply(value, options, replace(context, workdir=folder))

        def fine_tune(module: Any) -> Any:
            tuned = copy.deepcopy(module)
            context.train(tuned, FINE_TUNING)
            return tuned

        data = self.serving.context.data
        live = (implementation.produces or implementation.format) == LIVE
        trainable = live and data is not None and "train" in data.splits and self.serving.trainer() is not None
        return Attempt(
            apply=apply,
            score=context.score,
            fine_tune=fine_tune if trainable else None,
            gentler=technique.gentler,
            note=context.note,
        )

    def _check(self, step: Mapping[str, Any], result: Any, folder: Path) -> int | None:
        """Refuse a result outside the work folder, and a technique that changed nothing; return its size if live."""
        if step["format"] != LIVE:
            path = Path(result)
            if not path.exists() or folder.resolve() not in path.resolve().parents:
                raise PluginError(
                    f"returned {result!r}, which is not a file in its work folder.",
                    hint="A step writes into context.workdir and returns that path; tell the plugin's author.",
                )
        if step["kind"] != "technique":
            return None
        after, size_bytes = fingerprint(self.serving, result, step["format"], folder)
        if after and after == self.fingerprint:
            raise ArtifactError(
                "changed no operator and no weight.", hint="The model has nothing for it to work on; leave it out."
            )
        self.fingerprint = after
        return size_bytes

    def _record(self, kind: str, name: str, provider: str, result: tuple[Any, str], started: float) -> None:
        value, fmt = result
        self.lineage.append(
            {
                "kind": kind,
                "name": name,
                "plugin": provider,
                "format": fmt,
                "size_bytes": size_of(Path(value)) if isinstance(value, Path) else None,
                "seconds": round(time.perf_counter() - started, 3),
                "notes": tuple(self.notes),
            }
        )
        self.notes.clear()

    def finish(self, path: Path, fmt: str) -> Mapping[str, Any]:
        """Describe the file, write its graph, and drop what intermediate steps left behind."""
        reader = self.host.graph_readers.get(fmt).contribution if fmt in self.host.graph_readers else None
        inside = path.resolve().relative_to(self.workdir.resolve())
        facts = {"path": str(inside), **file_facts(self.host, path, fmt), "lineage": self.lineage}
        if reader and self.request["read_graph"]:
            graph = reader.read(path)
            (self.workdir / "graph.json").write_text(json.dumps(asdict(graph)), encoding="utf-8")
        keep = self.workdir / inside.parts[0]
        for child in self.workdir.iterdir():
            if child.is_dir() and child != keep:
                shutil.rmtree(child)
        return facts

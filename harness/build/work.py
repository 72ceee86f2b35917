"""The build process: loads a model or a file, does the steps of one job, and describes the file that came out."""

from __future__ import annotations

import json
import shutil
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.build.model_folder import read_model_folder, write_model_folder
from harness.build_context import BuildContext
from harness.contributions import LIVE
from harness.errors import ArtifactError, HarnessError, PluginError, StepError, one_line, place_of
from harness.host import Host, load_given
from harness.options import restore_options

if TYPE_CHECKING:
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
    context: BuildContext | None = None
    lineage: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fingerprint: str = ""

    @property
    def workdir(self) -> Path:
        return Path(self.request["workdir"])

    def start(self) -> tuple[Any, str]:
        """The job's input: a parent's file, or a freshly loaded model."""
        if self.request["parent"]:
            parent = self.request["parent"]
            folder = read_model_folder(Path(self.request["model_folder"]))
            self.context = self._context(folder.example(), folder.inputs, folder.outputs, folder.data())
            self.fingerprint = parent["sha256"]
            return Path(parent["path"]), parent["format"]
        return self._load()

    def _load(self) -> tuple[Any, str]:
        started = time.perf_counter()
        source = self.host.models.get(self.request["source"])
        model = source.contribution.load(self.request["ref"], Path(self.request["cache"]), self.request["seed"])
        data = self._data(model)
        self.context = self._context(model.example, model.inputs, model.outputs, data)
        if self.request["write_model_folder"]:
            folder = Path(self.request["write_model_folder"])
            write_model_folder(folder, model, data)
        self._record("source", self.request["ref"], source.provider, (None, model.format), started)
        target = self.workdir / "source"
        target.mkdir()
        if model.format != LIVE:
            return Path(shutil.copy2(model.payload, target)), model.format
        if any(step["kind"] == "technique" for step in self.request["steps"]):
            self.fingerprint = self._fingerprint(model.payload, LIVE, target)
        return model.payload, LIVE

    def _data(self, model: Model) -> Data:
        from harness.data import load_data, random_data

        if self.request["data"]:
            return load_data(self.request["data"], model.inputs, model.preprocess, self.request["seed"])
        if model.data is not None:
            return model.data
        self.notes.append("no data was given: agreement with the baseline is taken over random inputs")
        return random_data(model.inputs, model.example, self.request["seed"])

    def _context(self, example: Any, inputs: Any, outputs: Any, data: Data) -> BuildContext:
        return BuildContext(
            workdir=self.workdir,
            seed=self.request["seed"],
            threads=self.request["threads"],
            data=data,
            example=example,
            inputs=inputs,
            outputs=outputs,
            note=self.notes.append,
        )

    def step(self, number: int, step: Mapping[str, Any], value: Any) -> tuple[Any, str]:
        """Do one step in a folder of its own."""
        started = time.perf_counter()
        folder = self.workdir / f"{number}-{step['format']}"
        folder.mkdir()
        try:
            result = self._do(step, value, folder)
            self._check(step, result, folder)
        except HarnessError as error:
            raise StepError(f"{step['label']}: {error.message}", hint=error.hint, plugin=step["provider"]) from error
        except (Exception, SystemExit) as error:
            message = f"{step['label']}: {one_line(error)}"
            raise StepError(message, hint=place_of(error), plugin=step["provider"]) from error
        self._record(step["kind"], step["label"], step["provider"], (result, step["format"]), started)
        return result, step["format"]

    def _do(self, step: Mapping[str, Any], value: Any, folder: Path) -> Any:
        context = self._replaced(folder)
        if step["kind"] == "converter":
            converter = next(c for c in self.host.converters if c.name == step["name"] and c.plugin == step["plugin"])
            return converter.contribution.convert(value, context)
        implementation = next(
            i for i in self.host.implementations if i.name == step["name"] and i.plugin == step["plugin"]
        ).contribution
        technique = self.host.techniques.get(implementation.technique).contribution
        options = restore_options(technique.options, step["options"])
        return implementation.apply(value, options, context)

    def _replaced(self, folder: Path) -> BuildContext:
        if self.context is None:
            raise PluginError("a step ran before its model was loaded.")
        return replace(self.context, workdir=folder)

    def _check(self, step: Mapping[str, Any], result: Any, folder: Path) -> None:
        """Refuse a result outside the work folder, and a technique that changed nothing."""
        if step["format"] != LIVE:
            path = Path(result)
            if not path.exists() or folder.resolve() not in path.resolve().parents:
                raise PluginError(
                    f"returned {result!r}, which is not a file in its work folder.",
                    hint="A step writes into context.workdir and returns that path; tell the plugin's author.",
                )
        if step["kind"] != "technique":
            return
        after = self._fingerprint(result, step["format"], folder)
        if after and after == self.fingerprint:
            raise ArtifactError(
                "changed no operator and no weight.", hint="The model has nothing for it to work on; leave it out."
            )
        self.fingerprint = after

    def _fingerprint(self, value: Any, fmt: str, folder: Path) -> str:
        """Content hash of a file, or of a live object saved to a scratch file; empty when nobody can tell."""
        if fmt == LIVE:
            saver = next((c.contribution for c in self.host.converters if c.contribution.source == LIVE), None)
            if saver is None:
                return ""
            scratch = folder / "fingerprint"
            scratch.mkdir()
            value, fmt = saver.convert(value, self._replaced(scratch)), saver.target
        if fmt not in self.host.graph_readers:
            return ""
        digest = self.host.graph_readers.get(fmt).contribution.content_sha256(Path(value))
        shutil.rmtree(folder / "fingerprint", ignore_errors=True)
        return digest

    def _record(self, kind: str, name: str, provider: str, result: tuple[Any, str], started: float) -> None:
        value, fmt = result
        self.lineage.append(
            {
                "kind": kind,
                "name": name,
                "plugin": provider,
                "format": fmt,
                "size_bytes": _size_bytes(Path(value)) if isinstance(value, Path) else None,
                "seconds": round(time.perf_counter() - started, 3),
                "notes": tuple(self.notes),
            }
        )
        self.notes.clear()

    def finish(self, path: Path, fmt: str) -> Mapping[str, Any]:
        """Describe the file, write its graph, and drop what intermediate steps left behind."""
        reader = self.host.graph_readers.get(fmt).contribution if fmt in self.host.graph_readers else None
        inside = path.resolve().relative_to(self.workdir.resolve())
        facts: dict[str, Any] = {
            "path": str(inside),
            "format": fmt,
            "sha256": reader.content_sha256(path) if reader else "",
            "size_bytes": _size_bytes(path),
            "download_bytes": _gzip_bytes(path),
            "lineage": self.lineage,
        }
        if reader and self.request["read_graph"]:
            graph = reader.read(path)
            (self.workdir / "graph.json").write_text(json.dumps(asdict(graph)), encoding="utf-8")
        keep = self.workdir / inside.parts[0]
        for child in self.workdir.iterdir():
            if child.is_dir() and child != keep:
                shutil.rmtree(child)
        return facts


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _size_bytes(path: Path) -> int:
    return sum(p.stat().st_size for p in _files(path))


def _gzip_bytes(path: Path) -> int:
    """Size after deflate at level 6, which is what gzip and most download channels do."""
    total = 0
    for file in _files(path):
        compressor = zlib.compressobj(6)
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                total += len(compressor.compress(chunk))
        total += len(compressor.flush())
    return total

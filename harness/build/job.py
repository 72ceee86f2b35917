"""Jobs: a route cut into pieces, each of which ends in a file and has a key made of everything that goes into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from harness.contributions import LIVE
from harness.digest import digest_of, installed_version, source_digest

if TYPE_CHECKING:
    from harness.cost import CostModel
    from harness.host import Host
    from harness.route import RouteStep


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """A model as the builder needs it: where it comes from and what identifies its content.

    Attributes:
        source: Name of the model source.
        plugin: Its plugin.
        provider: The same with distribution and version.
        format: Format in which the source hands it over.
        identity: Content identity of the model.
        data: What the user gave as data, or "".
        data_identity: Content identity of that data, or "".
        key: Cache key of the model folder.
    """

    ref: str
    source: str
    plugin: str
    provider: str
    format: str
    identity: str
    data: str
    data_identity: str
    seed: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What techniques optimise for, besides what their options say.

    Attributes:
        cost: What a graph costs on the device, for the techniques that ask; None where nobody can tell.
        goal: `max_drop` in points of accuracy and `tries`, or None.
        references: Reference of each further model that a technique takes part with, to the identity of its content.
    """

    cost: CostModel | None = None
    goal: Mapping[str, float] | None = None
    references: Mapping[str, str] = field(default_factory=dict)

    def identity(self, step: RouteStep) -> dict[str, Any]:
        """What of it decides the result of a step; empty when nothing does."""
        found: dict[str, Any] = {}
        if step.kind != "technique":
            return found
        if step.cost:
            found["cost"] = self.cost.identity if self.cost else ""
        if self.goal is not None:
            found["goal"] = dict(self.goal)
        if step.references:
            found["references"] = {ref: self.references.get(ref, "") for ref in step.references}
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of a route: from a model or a parent's file to a file.

    Attributes:
        key: Cache key of the result.
        parent: Key of the job whose file it starts from, or "" when it loads the model.
        after: Key of a job that must end first without being a parent: the one that writes the model folder.
        steps: What to do; every step but the last yields a live object.
        read_graph: Whether a backend opens the result and a plugin can read its graph, so that it is wanted.
        aim: What its techniques optimise for.
    """

    key: str
    model: ModelInput
    parent: str
    after: str
    steps: tuple[RouteStep, ...]
    read_graph: bool
    aim: Aim

    def label(self) -> str:
        """What a reader sees while it runs."""
        what = [s.label for s in self.steps if s.kind == "technique"] or [
            self.steps[-1].label if self.steps else "load"
        ]
        return f"{self.model.ref} {' + '.join(what)}"


def jobs_of(host: Host, model: ModelInput, route: tuple[RouteStep, ...], aim: Aim) -> tuple[Job, ...]:
    """Cut a route after each step that yields a file; the last job's file is the variant."""
    origins = {p.name: p.origin for p in host.plugins}
    jobs: list[Job] = []
    pieces = _pieces(route, live_source=model.format == LIVE)
    done: list[Any] = [{"model": model.key}, _identity({"plugin": model.plugin}, origins)]
    for number, piece in enumerate(pieces):
        fmt = piece[-1].format if piece else model.format
        readers = [r for r in host.graph_readers if r.name == fmt]
        done += [_identity(asdict(step), origins) | aim.identity(step) for step in piece]
        # what a reader says of the file, its content hash and its graph, is kept beside it
        done += [_identity({"plugin": r.plugin, "requires": r.contribution.requires}, origins) for r in readers]
        key = digest_of(done)
        parent = jobs[-1].key if jobs else ""
        last = number == len(pieces) - 1
        wanted = last and bool(readers)
        jobs.append(Job(key=key, model=model, parent=parent, after="", steps=piece, read_graph=wanted, aim=aim))
    return tuple(jobs)


def _pieces(route: tuple[RouteStep, ...], *, live_source: bool) -> list[tuple[RouteStep, ...]]:
    pieces: list[tuple[RouteStep, ...]] = [] if live_source else [()]
    current: list[RouteStep] = []
    for step in route:
        current.append(step)
        if not step.live:
            pieces.append(tuple(current))
            current = []
    return pieces


def _identity(step: Mapping[str, Any], origins: Mapping[str, str]) -> dict[str, Any]:
    """What of a step decides its result: options, plugin source, and versions of the distributions it uses."""
    return {
        "name": step.get("name", ""),
        "options": step.get("options", {}),
        "plugin": step["plugin"],
        "source": source_digest(origins.get(step["plugin"], "")),
        "versions": {name: installed_version(name) for name in step.get("requires", ())},
    }

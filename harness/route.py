"""Routes: the cheapest faithful way from a model's format through a recipe to a format that a backend reads."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.contributions import LIVE
from harness.errors import RecipeError
from harness.options import as_mapping, changed, parse_options
from harness.record import SkipReason

if TYPE_CHECKING:
    from harness.contributions import Availability, Converter, Implementation, Stage
    from harness.host import Host
    from harness.recipe import Recipe
    from harness.registry import Registered


COST = "cost"
"""What a technique needs when it asks for the estimated latency on the device that the run optimises for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteStep:
    """One thing to do on the way.

    Attributes:
        kind: `technique` or `converter`.
        name: Name of the contribution, such as `int8-static@onnx` or `checkpoint → onnx`.
        label: What a reader sees, options included.
        format: Format after the step.
        plugin: Plugin whose contribution it is.
        provider: The same with distribution and version.
        options: Every option with its value.
        requires: Distributions that take part.
        needs: What of the data it cannot do without.
        cost: Whether it asks what a graph would cost on the device that the run optimises for.
        references: References of other models that it takes part with.
    """

    kind: str
    name: str
    label: str
    format: str
    plugin: str
    provider: str
    options: Mapping[str, Any] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    cost: bool = False
    references: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """Whether its result exists inside one process only."""
        return self.format == LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRoute:
    """Why there is no way."""

    reason: SkipReason
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    technique: str
    label: str
    forced_format: str
    options: Any
    needs: tuple[str, ...]
    references: tuple[str, ...]
    stage: Stage
    excludes: str


def check_recipe(host: Host, recipe: Recipe) -> tuple[_Chosen, ...]:
    """Look every technique up, parse its options and check the order.

    Raises:
        UsageError: An unknown technique, an option that it does not have, or an order that cannot work.
        ArtifactError: An option names a model that its source knows to be missing.
    """
    chosen = []
    for step in recipe.steps:
        technique = host.techniques.get(step.technique).contribution
        options = parse_options(technique.options, step.options, f"the technique {step.technique}")
        named = [str(getattr(options, name)) for name in sorted(technique.references) if getattr(options, name)]
        chosen.append(
            _Chosen(
                technique=step.technique,
                label=str(step),
                forced_format=step.format,
                options=options,
                needs=tuple(sorted(technique.needs_with(options))),
                references=tuple(ref for ref in named if _is_model(host, ref)),
                stage=technique.stage,
                excludes=technique.excludes,
            )
        )
    _check_order(recipe, chosen)
    _check_exclusion(recipe, chosen)
    return tuple(chosen)


_RANK: Mapping[Stage, int] = {"structure": 0, "sparsity": 1, "lowering": 2, "artifact": 3}
"""What may follow what; a technique of stage `module` may stand anywhere before the first that makes a file."""

_BECAUSE: Mapping[Stage, str] = {
    "sparsity": "makes zeros, and a change of structure after it would lose them",
    "lowering": "makes a file, and what follows it changes a live network",
    "artifact": "makes a file, and what follows it changes a live network",
}


def _check_order(recipe: Recipe, chosen: Sequence[_Chosen]) -> None:
    """Refuse an order that cannot work, and name the nearest one that does."""
    for place, later in enumerate(chosen):
        rank = _RANK.get(later.stage, 1)  # what only trains may follow whatever does not make a file
        earlier = next((c for c in chosen[:place] if _RANK.get(c.stage, 0) > rank), None)
        if earlier is None:
            continue
        before = [c for c in chosen if _RANK.get(c.stage, -1) < 2]
        structure = [c for c in before if c.stage == "structure"]
        right = structure + [c for c in before if c.stage != "structure"]
        right += sorted((c for c in chosen if c not in before), key=lambda c: _RANK[c.stage])
        raise RecipeError(
            f"{recipe} cannot work: {earlier.technique} {_BECAUSE[earlier.stage]}.",
            hint=f"The order that works is: {'+'.join(c.label for c in right)}",
        )


def _check_exclusion(recipe: Recipe, chosen: Sequence[_Chosen]) -> None:
    for place, later in enumerate(chosen):
        earlier = next((c for c in chosen[:place] if c.excludes and c.excludes == later.excludes), None)
        if earlier is not None:
            raise RecipeError(
                f"{recipe} cannot work: {earlier.technique} and {later.technique} both decide the {later.excludes}.",
                hint=f"Leave one of them out, or compare them: --recipe {earlier.label} --recipe {later.label}",
            )


def _is_model(host: Host, ref: str) -> bool:
    """Whether a model source claims a text; an option may hold other words beside references.

    Raises:
        HarnessError: A source claims it and has no such model.
    """
    source = next((s.contribution for s in host.models if s.contribution.claims(ref)), None)
    if source is not None:
        source.check(ref)
    return source is not None


def find_route(
    host: Host, source_format: str, recipe: Recipe, reads: tuple[str, ...]
) -> tuple[RouteStep, ...] | NoRoute:
    """Find the steps from a model's format to the first of the formats that a backend reads and that can be reached.

    Among chains to one format the faithful one wins, then the cheaper, then the shorter.
    """
    chosen = check_recipe(host, recipe)
    reached = _search(host, source_format, chosen)
    for target in reads:
        if (len(chosen), target) in reached:
            return _walk_back(reached, (len(chosen), target))
    possible = _search(host, source_format, chosen, installed_only=False)
    for target in reads:
        if (len(chosen), target) in possible:
            return _not_installed(host, _walk_back(possible, (len(chosen), target)))
    return _why_not(host, reached, chosen, reads)


_State = tuple[int, str]
_Cost = tuple[int, int, int]


def _search(
    host: Host, source_format: str, chosen: tuple[_Chosen, ...], *, installed_only: bool = True
) -> dict[_State, tuple[_State, RouteStep] | None]:
    """Dijkstra over (techniques done, format), through what is available here or through all that is known."""
    reached: dict[_State, tuple[_State, RouteStep] | None] = {}
    queue: list[tuple[_Cost, int, _State, tuple[_State, RouteStep] | None]] = [((0, 0, 0), 0, (0, source_format), None)]
    pushed = 1
    while queue:
        cost, _, state, origin = heapq.heappop(queue)
        if state in reached:
            continue
        reached[state] = origin
        for extra, following, step in _edges(host, state, chosen):
            if installed_only and not _available(host, step).ok:
                continue
            total = (cost[0] + extra[0], cost[1] + extra[1], cost[2] + 1)
            heapq.heappush(queue, (total, pushed, following, (state, step)))
            pushed += 1
    return reached


def _edges(
    host: Host, state: _State, chosen: tuple[_Chosen, ...]
) -> Iterator[tuple[tuple[int, int], _State, RouteStep]]:
    done, fmt = state
    if done < len(chosen):
        yield from _technique_edges(host, done, fmt, chosen[done])
    for item in host.converters:
        converter = item.contribution
        if converter.source != fmt:
            continue
        step = RouteStep(
            kind="converter",
            name=item.name,
            label=item.name,
            format=converter.target,
            plugin=item.plugin,
            provider=item.provider,
            requires=converter.requires,
        )
        # an artifact technique is best done on the format that the backend reads, so converting after it costs more
        late = 1 if done and chosen[done - 1].stage == "artifact" else 0
        yield (0 if converter.lossless else 1, converter.cost + late), (done, converter.target), step


def _technique_edges(
    host: Host, done: int, fmt: str, chosen: _Chosen
) -> Iterator[tuple[tuple[int, int], _State, RouteStep]]:
    for item in host.implementations:
        implementation = item.contribution
        usable = (
            implementation.technique == chosen.technique
            and implementation.format == fmt
            and chosen.forced_format in {"", fmt}
            and not (changed(chosen.options) & implementation.unsupported)
        )
        if not usable:
            continue
        result = implementation.produces or fmt
        step = RouteStep(
            kind="technique",
            name=item.name,
            label=chosen.label,
            format=result,
            plugin=item.plugin,
            provider=item.provider,
            options=as_mapping(chosen.options),
            requires=implementation.requires,
            needs=tuple(need for need in chosen.needs if need != COST),
            cost=COST in chosen.needs,
            references=chosen.references,
        )
        yield (0, 0), (done + 1, result), step


def _walk_back(reached: dict[_State, tuple[_State, RouteStep] | None], state: _State) -> tuple[RouteStep, ...]:
    steps = []
    origin = reached[state]
    while origin is not None:
        state, step = origin
        steps.append(step)
        origin = reached[state]
    return tuple(reversed(steps))


def _available(host: Host, step: RouteStep) -> Availability:
    items: Sequence[Registered[Converter] | Registered[Implementation]]
    items = host.converters if step.kind == "converter" else host.implementations
    return next(i.contribution.available() for i in items if i.name == step.name and i.plugin == step.plugin)


def _not_installed(host: Host, steps: tuple[RouteStep, ...]) -> NoRoute:
    """There would be a way if everything on it were installed; name what is not."""
    missing = [(step, found) for step in steps if not (found := _available(host, step)).ok]
    technique = any(step.kind == "technique" for step, _ in missing)
    reason = SkipReason.NO_IMPLEMENTATION if technique else SkipReason.NO_CONVERTER
    commands = dict.fromkeys(found.install for _, found in missing if found.install)
    return NoRoute(
        reason=reason,
        detail="; ".join(f"{step.name}: {found.reason}" for step, found in missing),
        hint=f"Install what is missing: {' && '.join(commands)}" if commands else "",
    )


def _why_not(
    host: Host, reached: Mapping[_State, object], chosen: tuple[_Chosen, ...], reads: tuple[str, ...]
) -> NoRoute:
    furthest = max(done for done, _ in reached)
    formats = sorted(fmt for done, fmt in reached if done == furthest)
    read = f"the backend reads {', '.join(reads)}"
    if not chosen:
        return NoRoute(reason=SkipReason.NO_CONVERTER, detail=f"reached {', '.join(formats)}; {read}")
    stuck = chosen[min(furthest, len(chosen) - 1)]
    offered = [i.contribution for i in host.implementations if i.contribution.technique == stuck.technique]
    asked = [i for i in offered if stuck.forced_format in {"", i.format}]
    refused = sorted({name for i in asked for name in changed(stuck.options) & i.unsupported})
    if refused:
        detail = f"{stuck.technique} here does not support the option {', '.join(refused)}"
        return NoRoute(reason=SkipReason.NO_IMPLEMENTATION, detail=detail)
    where = ", ".join(sorted({i.format for i in offered})) or "no format"
    forced = f", and @{stuck.forced_format} was asked for" if stuck.forced_format else ""
    return NoRoute(reason=SkipReason.NO_IMPLEMENTATION, detail=f"{stuck.technique} is done on {where}{forced}; {read}")

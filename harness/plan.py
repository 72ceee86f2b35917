"""The plan: what a run does, as text that can be written down, and the cells that it expands to."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from typing import TYPE_CHECKING, Any

from harness.data import check_place
from harness.digest import digest_of
from harness.environment import usable_cores
from harness.errors import ConfigurationError, UsageError
from harness.options import as_mapping, parse_options
from harness.plugin_file import absolute
from harness.recipe import Recipe, parse_recipe
from harness.registry import Registered, near_miss
from harness.route import NoRoute, RouteStep, check_recipe, find_route

if TYPE_CHECKING:
    from pathlib import Path

    from harness.contributions import Backend, ModelSource
    from harness.cost import CostModel
    from harness.host import Host

BUDGET_S = 30.0
"""Enough for the fewest rounds in three processes of each cell of the default run, on two processors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run does; empty lists and zeros mean the defaults, which `complete` fills in.

    Attributes:
        models: References such as `zoo:har-watch`, `net.onnx`, `package.module:factory`.
        recipes: Recipes; the baseline is always among them, because everything is compared with it.
        backends: Backends, options in brackets: `torch(compile=true)`.
        profiles: Devices to estimate for: names or TOML files.
        data: Folder of pictures or .npz file to score with instead of the model's own data.
        threads: Thread budget of every session; 0 for all processors that this process may use.
        budget_s: Wall time for measuring, seconds.
        processes: Fresh processes for each cell, at least.
        precision: Half-width of the 95 % interval that ends measuring, relative to the latency.
        timeout_s: Longest time for one step in a child process.
        memory_limit_mb: Largest memory of a child process, 10^6 bytes; 0 for nine tenths of what is free.
        max_accuracy_drop: Points of validation accuracy that each technique may lose: below that it is fine-tuned and
            tried with weaker options; None to take every technique as it is.
        goal_tries: How many options a technique is tried with for that at most.
        robustness: Whether quality is also scored on corrupted inputs.
        plugins: Modules or .py files loaded as plugins besides the installed ones.
        block: Plugins not to load.
    """

    models: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    data: str = ""
    threads: int = 0
    seed: int = 0
    budget_s: float = BUDGET_S
    processes: int = 3
    precision: float = 0.03
    timeout_s: float = 600.0
    memory_limit_mb: int = 0
    max_accuracy_drop: float | None = None
    goal_tries: int = 5
    robustness: bool = False
    plugins: tuple[str, ...] = ()
    block: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Model × recipe × backend, with the route that makes its variant; each profile makes one record of it.

    Attributes:
        source: The model source that claims the model.
        backend: The backend.
        backend_text: The backend as records show it, changed options in brackets.
        route: Steps from the model to the variant, or why there are none.
        cost: What techniques that ask are told of the device that the run optimises for, its first profile.
    """

    model: str
    source: Registered[ModelSource]
    recipe: Recipe
    backend: Registered[Backend]
    backend_text: str
    options: Mapping[str, Any]
    route: tuple[RouteStep, ...] | NoRoute
    cost: CostModel | None = None

    @property
    def name(self) -> str:
        """Identity of the cell within a run."""
        return f"{self.model} × {self.recipe} × {self.backend_text}"

    @property
    def baseline(self) -> bool:
        """Whether the recipe is empty."""
        return not self.recipe.steps


def complete(plan: Plan, host: Host) -> Plan:
    """Fill in what the user left open.

    Raises:
        UsageError: There is nothing to fill in with, a number makes no sense, or a plugin given by hand is broken.
        ArtifactError: There is no data where the plan says.
    """
    _check_numbers(plan)
    host.check_given()
    models = plan.models or tuple(ref for s in host.models for ref in s.contribution.default)
    backends = plan.backends or tuple(b for b in host.backends.names() if _usable(host, b))
    recipes = plan.recipes or tuple(_default_recipes(host))
    hint = "Install the built-in plugins with: pip install 'edge-bench[all]'   See what is there with: bench plugins"
    if not models:
        raise UsageError("no model was given and no plugin brings a default one.", hint=hint)
    if not backends:
        raise UsageError("no backend is available.", hint=hint)
    texts = [str(parse_recipe(r)) for r in recipes]
    return replace(
        plan,
        models=tuple(dict.fromkeys(models)),
        backends=tuple(dict.fromkeys(backends)),
        recipes=tuple(dict.fromkeys([str(Recipe()), *texts])),
        profiles=tuple(dict.fromkeys(plan.profiles)) or ("host",),
        data=str(check_place(plan.data)) if plan.data else "",
        threads=plan.threads or usable_cores(),
        plugins=tuple(dict.fromkeys(absolute(source) for source in plan.plugins)),
    )


def _usable(host: Host, name: str) -> bool:
    """A backend that somebody asks for by name may be unavailable; one that nobody asked for is left out then."""
    return name not in host.backends.clashes() and host.backends.get(name).contribution.available().ok


def _default_recipes(host: Host) -> Iterator[str]:
    for item in host.techniques:
        options = item.contribution.default
        if options is not None and item.name not in host.techniques.clashes():
            yield f"{item.name}({options})" if options else item.name


def _check_numbers(plan: Plan) -> None:
    checks = (
        ("threads", plan.threads, plan.threads >= 0, "0 for all processors, or a number of threads"),
        ("seed", plan.seed, 0 <= plan.seed < 2**32, "0 to 4294967295, which every random generator takes"),
        ("budget-s", plan.budget_s, 0 < plan.budget_s < inf, "seconds, more than 0"),
        ("processes", plan.processes, plan.processes >= 1, "1 or more; 3 give an interval that can be trusted"),
        ("precision", plan.precision, 0 < plan.precision < 1, "a share between 0 and 1, such as 0.03"),
        ("timeout", plan.timeout_s, 0 < plan.timeout_s < inf, "seconds, more than 0"),
        ("goal-tries", plan.goal_tries, plan.goal_tries >= 1, "1 or more"),
        ("memory-limit", plan.memory_limit_mb, plan.memory_limit_mb >= 0, "megabytes, or 0 for no fixed limit"),
    )
    drop = plan.max_accuracy_drop
    allowed_drop = ("max-accuracy-drop", drop, drop is None or 0 <= drop < 100, "points of accuracy, such as 1.0")
    for name, value, fine, allowed in (*checks, allowed_drop):
        if not fine:
            raise UsageError(f"{name} = {value} makes no sense.", hint=f"Allowed: {allowed}.")


def expand(plan: Plan, host: Host) -> tuple[Cell, ...]:
    """All cells of a completed plan, routes found, in the order of the plan; what is the same twice is one cell.

    Raises:
        UsageError: A name that nobody provides, a recipe that cannot work.
        ArtifactError: A model that its source knows to be missing.
    """
    backends = {_backend_text(*found): found for found in (_backend(host, text) for text in plan.backends)}
    recipes = [parse_recipe(text) for text in plan.recipes]
    for recipe in recipes:
        check_recipe(host, recipe)
    cells = []
    for model in plan.models:
        source = _source(host, model)
        for recipe in recipes:
            for backend_text, (backend, options) in backends.items():
                cells.append(
                    Cell(
                        model=model,
                        source=source,
                        recipe=recipe,
                        backend=backend,
                        backend_text=backend_text,
                        options=as_mapping(options),
                        route=find_route(host, source.contribution.format, recipe, backend.contribution.reads),
                    )
                )
    return tuple(cells)


def _backend(host: Host, text: str) -> tuple[Registered[Backend], Any]:
    steps = parse_recipe(text).steps
    if len(steps) != 1 or steps[0].format:
        raise UsageError(f"{text!r} is not a backend.", hint="Write name or name(option=value).")
    backend = host.backends.get(steps[0].technique)
    options = parse_options(backend.contribution.options, steps[0].options, f"the backend {backend.name}")
    return backend, options


def _backend_text(backend: Registered[Backend], options: Any) -> str:
    default = as_mapping(type(options)())
    different = {k: v for k, v in as_mapping(options).items() if v != default[k]}
    brackets = ", ".join(f"{k}={json.dumps(v)}" for k, v in different.items())
    return f"{backend.name}({brackets})" if brackets else backend.name


def _source(host: Host, ref: str) -> Registered[ModelSource]:
    claims = [s for s in host.models if s.contribution.claims(ref)]
    # `zoo:x` is the source zoo's, even where `zoo:x` could also be the attribute x of a module zoo
    claims = [s for s in claims if s.name == ref.partition(":")[0]] or claims
    if len(claims) == 1:
        claims[0].contribution.check(ref)
        return claims[0]
    if claims:
        providers = " and ".join(s.provider for s in claims)
        raise UsageError(f"the model {ref!r} is claimed by {providers}.", hint="Block one of them with --block.")
    known = [info.ref for s in host.models for info in s.contribution.list_models()]
    hint = (
        f"{near_miss(ref, known)}Give a model of the zoo (bench models), a .onnx file, "
        "or package.module:factory of a torch network."
    )
    raise UsageError(f"there is no model {ref!r}.", hint=hint)


def cell_id(cell: Cell, profile: str, plan: Plan) -> str:
    """Identity of a record: cell, profile and everything of the plan that changes what it says."""
    further = [plan.max_accuracy_drop, plan.goal_tries, plan.robustness]
    first = [plan.profiles[0]] if cell.cost else []
    return digest_of([cell.name, profile, plan.threads, plan.seed, plan.data, *further, *first])[:16]


def write_plan(plan: Plan) -> str:
    """The plan as TOML.

    Raises:
        UsageError: A name in it is not Unicode text, as a file name may be.
    """
    given = {f.name: getattr(plan, f.name) for f in fields(plan)}
    lines = [f"{name} = {json.dumps(v, ensure_ascii=False)}" for name, v in given.items() if v is not None]
    text = "\n".join(lines) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = ascii(text[max(0, error.start - 40) : error.end].rpartition('"')[2])
        raise UsageError(f"the name that begins with {place} is not UTF-8.", hint="Rename the file.") from None
    return text.replace("\x7f", "\\u007f")  # JSON's text is TOML's but for this character


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigurationError: The file cannot be read, is not TOML, or has a key or value that a plan does not.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the plan {path} cannot be read: {error}.", hint="Give a TOML file.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the plan {path} is not TOML: {error}.", hint="Mend that line.") from None
    known = [f.name for f in fields(Plan)]
    for key in given:
        if key not in known:
            hint = f"{near_miss(key, known)}Allowed: {', '.join(known)}."
            raise ConfigurationError(f"the plan {path} has the unknown key {key!r}.", hint=hint)
    try:
        # by way of JSON, where strictness still takes a list for a tuple, but not `true` for 1 or "2" for 2
        plan: Plan = TypeAdapter(Plan).validate_json(json.dumps(given, default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(p) for p in first["loc"])
        message = f"the plan {path}: {key} = {first['input']!r} is not allowed."
        raise ConfigurationError(message, hint=f"{first['msg']}.") from None
    return plan

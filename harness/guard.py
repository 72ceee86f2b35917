"""The guard around a contribution: what a hook yields is checked, and what the host calls of it names its plugin.

What a build or a session calls runs in a child process, where every exception becomes a failure of that row. The
callables here are asked by the host itself, for a whole run or a whole listing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.contributions import NAME, Availability, Backend, GraphWriter, ModelSource, ReportFormat, Technique
from harness.errors import HarnessError, PluginError, one_line
from harness.model import ModelInfo
from harness.plugin_file import raised_at

NOTHING = type(None)

ANSWERS: Mapping[type, Mapping[str, tuple[type, ...]]] = {
    ModelSource: {"check": (object,), "identity": (str, NOTHING)},
    Technique: {"needs": (AbstractSet,), "gentler": (object,)},
    Backend: {"environment": (Mapping,), "fit": (Mapping,)},
    GraphWriter: {"write": (object,)},
    ReportFormat: {"render": (str, Mapping)},
}
"""Callables without whose answer the host cannot go on, and what they may answer: else they raise PluginError."""


def checked(hook: str, kind: type, item: Any) -> Any:
    """What a hook yielded, if it is what the hook is for.

    Raises:
        PluginError: It is of another type, has no proper name, or has options that cannot be used.
    """
    if not isinstance(item, kind):
        raise PluginError(
            f"{hook} yielded {item!r} of type {type(item).__name__}, not {kind.__name__}.",
            hint=f"Yield instances of harness.{kind.__name__}; tell the plugin's author.",
        )
    name = getattr(item, "name", None)
    if name is not None and kind is not Path and not NAME.match(name):
        raise PluginError(f"{hook} yielded the name {name!r}.", hint="Names look like int8-static: [a-z][a-z0-9-]*.")
    options = getattr(item, "options", None)
    if options is not None:
        _check_options(hook, str(name), options)
    return item


def _check_options(hook: str, name: str, options: Any) -> None:
    """Options are shown, parsed and compared with their defaults, which takes a dataclass that has them."""
    try:
        if isinstance(options, type) and is_dataclass(options):
            options()
            return
        problem = f"{options!r} is not a dataclass"
    except Exception as error:  # noqa: BLE001 - its code is the plugin's
        problem = one_line(error)
    raise PluginError(
        f"{hook} yielded {name} with options that cannot be used: {problem}.",
        hint="Options are a frozen dataclass with a default for every field; tell the plugin's author.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose contribution it is.

    Attributes:
        plugin: The plugin, as `--block` takes it.
        provider: The same with distribution and version.
        origin: File of its module.
        tell: Takes what it asked of itself, such as `list_models`, and what went wrong, where the host goes on.
    """

    plugin: str
    provider: str
    origin: str
    tell: Callable[[str, BaseException], None]


def guarded(item: Any, owner: Owner) -> Any:
    """A contribution whose callables blame their plugin; others than those the host itself calls stay as they are."""
    changes: dict[str, Callable[..., Any]] = {}
    if hasattr(item, "available"):
        changes["available"] = partial(_availability, item.available)
    if isinstance(item, ModelSource):
        changes["claims"] = partial(_claims, item.claims, owner)
        changes["list_models"] = partial(_models, item.list_models, owner)
    for name, kinds in ANSWERS.get(type(item), {}).items():
        function = getattr(item, name)
        if callable(function):
            what = f"{name} of {getattr(item, 'name', '') or item.format}"
            changes[name] = partial(_answer, function, what, kinds, owner)
    return replace(item, **changes) if changes else item


def _answer(function: Callable[..., Any], what: str, kinds: tuple[type, ...], owner: Owner, *given: Any) -> Any:
    try:
        found = function(*given)
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:
        place = raised_at(error, owner.origin)
        advice = f"Tell its author, or leave the plugin out: --block {owner.plugin}"
        hint = f"It came from {place}. {advice}" if place else advice
        raise PluginError(f"{what} failed in the plugin {owner.provider}: {one_line(error)}.", hint=hint) from error
    if not isinstance(found, kinds):
        raise PluginError(
            f"{what} in the plugin {owner.provider} answered {found!r} of type {type(found).__name__}.",
            hint=f"Tell its author, or leave the plugin out: --block {owner.plugin}",
        )
    return found


def _claims(claims: Callable[[str], bool], owner: Owner, ref: str) -> bool:
    """Whether a reference is a source's; one that cannot tell does not have it, and the others are asked."""
    try:
        return bool(claims(ref))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything; it becomes data
        owner.tell("claims", error)
        return False


def _models(list_models: Callable[[], Iterable[ModelInfo]], owner: Owner) -> tuple[ModelInfo, ...]:
    """What a source lists; nothing when it cannot, and the others are asked."""
    try:
        found = tuple(list_models())
        wrong = [info for info in found if not isinstance(info, ModelInfo)]
        if wrong:
            owner.tell("list_models", TypeError(f"it listed {wrong[0]!r} of type {type(wrong[0]).__name__}"))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
        owner.tell("list_models", error)
        return ()
    return () if wrong else found


def _availability(available: Callable[[], Availability]) -> Availability:
    """Whether something is available, when the answer may be an exception or no answer at all."""
    try:
        found = available()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
        return Availability(ok=False, reason=f"asking whether it is available failed: {one_line(error)}")
    if not isinstance(found, Availability):
        return Availability(ok=False, reason=f"asked whether it is available, it answered {found!r}")
    return found

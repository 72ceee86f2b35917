"""A device profile as text for a terminal: every number with its unit, what it means, and where it was read."""

from __future__ import annotations

import textwrap
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from harness.cli.listing import print_table, print_text
from harness.cli.terminal import terminal_width
from harness.profile import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.kernel_choice import BackendKernels
    from harness.profile import DeviceProfile

INDENT = "  "
WIDEST_PROSE = 110
NAMED_BY = {"calibration": "nobody: a stand-in"}
IN_TITLE = frozenset({"name", "core", "family", "precision"})
"""Keys that the title of their section shows."""


def print_profile(
    profile: DeviceProfile, backends: Sequence[BackendKernels], families: Sequence[Mapping[str, Any]]
) -> None:
    """Print a profile, whose kernels each backend uses on it, and what is known of each kernel family there."""
    click.echo(f"{profile.name}: {profile.title}")
    print_text(profile.summary)
    if profile.note:
        print_text(profile.note)
    print_text(f"Instruction set {profile.isa}: {', '.join(profile.isa_flags) or 'no flags stated'}")
    for title, node in _sections(profile):
        lines = list(_lines(node))
        if lines or node is None:
            click.echo()
            print_text(title)
            click.echo("\n".join(lines), nl=bool(lines))
    click.echo()
    print_text(f"kernels that an estimate assumes for each backend on {profile.name}")
    print_table([_used(each) for each in backends])
    click.echo()
    print_text("kernel families, with what was published of them here")
    print_table([_known(line) for line in families])


def _used(each: BackendKernels) -> Mapping[str, str]:
    uncalibrated = "uncalibrated" if each.family else "–"
    return {
        "backend": each.backend,
        "family": each.family or "none: no estimate",
        "named by": NAMED_BY.get(each.named_by, each.named_by) or "–",
        "calibrated here": ", ".join(each.calibrated) or uncalibrated,
        "installed": "yes" if each.installed else "no",
    }


def _known(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parts of a line that fit a narrow terminal; `--json` has all."""
    return {
        "family": line["family"],
        "precision": line.get("precision", line["state"]),
        "threads": line.get("threads", "–"),
        "models": line.get("models", "–"),
        "error %": line.get("error_percent", "–"),
    }


def number(value: float) -> str:
    """A number as it was written: `4`, not `4.0`."""
    return f"{value:,.6g}" if value < 1e6 else f"{value:,.0f}"


def _sections(profile: DeviceProfile) -> Iterator[tuple[str, object]]:
    for cluster in profile.clusters:
        yield f"cores: {number(cluster.count.value)} x {cluster.core} ({cluster.name})", cluster
    yield "caches", profile.caches
    yield "memory", profile.memory
    if profile.power:
        yield "power of the board", profile.power
        for active in profile.power.active:
            yield f"power while {active.family} computes in {active.precision}", active
    else:
        yield "power of the board: nobody published it, so no energy is estimated", None
    for accelerator in profile.accelerators:
        fitted = "an option, not part of the board" if accelerator.optional else "part of the board"
        yield f"accelerator: {accelerator.name}, {accelerator.kind} by {accelerator.link}, {fitted}", accelerator.facts


def _lines(node: Any) -> Iterator[str]:
    """A number with its unit and meaning, and below them its source and date; a word as it stands."""
    width = min(terminal_width(), WIDEST_PROSE)
    known = [(each, getattr(node, each.name)) for each in fields(node) if each.name not in IN_TITLE] if node else []
    stated = [(each, value) for each, value in known if value is not None and not isinstance(value, tuple)]
    keys = max([len(each.name) for each, _ in stated], default=0)
    values = max([len(_shown(value)) for _, value in stated if isinstance(value, Quantity)], default=0)
    for each, value in stated:
        key = f"{INDENT}{each.name.ljust(keys)}{INDENT}"
        if not isinstance(value, Quantity):
            yield from _wrap(_shown(value), width, start=key)
            continue
        meaning = str(each.metadata["meaning"]).replace("`", "")
        yield from _wrap(meaning, width, start=f"{key}{_shown(value).ljust(values)}{INDENT}")
        yield from _wrap(f"{value.source} ({value.date})", width, start=" " * len(key))


def _shown(value: object) -> str:
    if isinstance(value, Quantity):
        return f"{number(value.value)} {value.unit}"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _wrap(text: str, width: int, *, start: str) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False)

"""An answer of `bench estimate` as text for a terminal: what it says, and how far it can be trusted."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.kernel_table import kernel_table
from harness.cli.listing import print_table
from harness.cli.terminal import terminal_width
from harness.estimate.statement import Refusal, refusals
from harness.report import units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.estimate.interval import Interval
    from harness.estimate.statement import Answer, Comparison, Statement

LABEL_WIDTH = 10
WIDEST_PROSE = 110
LEAST_WIDTH = 40

VERDICT = {"fits": "fits", "does not fit": "does NOT fit", "uncertain": "uncertain whether it fits"}


def print_answer(answer: Answer, most_rows: int) -> None:
    """Print an answer; of its kernels the dearest, or all where `most_rows` is 0."""
    width = max(LEAST_WIDTH, terminal_width())
    profile = answer.question.profile
    name = Path(answer.question.file).name
    click.echo("\n".join(_wrap(f"{name} on {profile.name}, {profile.title}", width)))
    if isinstance(answer, Refusal):
        click.echo("\n".join(_refused(answer, width)))
        table = answer.simulation.table
        if table:
            click.echo()
            print_table([{"operator": kind, "count": count, "what becomes of it": what} for kind, count, what in table])
        return
    click.echo("\n".join(_stated(answer, width)))
    if answer.costs:
        click.echo()
        click.echo("\n".join(kernel_table(answer, most_rows, width)))


def print_comparisons(found: Sequence[Comparison]) -> None:
    """Print how each further file compares with the first; what they share of the doubt cancels."""
    width = max(LEAST_WIDTH, terminal_width())
    for each in found:
        name, over = Path(each.file).name, Path(each.over).name
        interval = each.ratio.interval
        figures = f"{interval.p50:.2f} [{interval.lo90:.2f}, {interval.hi90:.2f}]"
        click.echo()
        click.echo("\n".join(_wrap(f"{name} takes {figures} times as long as {over}: {each.ratio.verdict}", width)))


def _stated(statement: Statement, width: int) -> Iterator[str]:
    asked, found = statement.question, statement.estimate
    where = f"simulated on {found.accelerator}" if found.accelerator else f"{found.kind}, not measured"
    yield from _fact("latency", f"{_quantity(found.latency_ms, 'ms')}, {where}", width)
    needed, available = found.peak_memory_bytes, units.size(asked.profile.available_bytes)
    size = units.size_interval(needed.p50, needed.lo90, needed.hi90)
    yield from _fact("memory", f"{size}, {VERDICT[found.fits]} into the {available} that a program can have", width)
    if found.flash_bytes:
        flash = units.size_interval(found.flash_bytes.p50, found.flash_bytes.lo90, found.flash_bytes.hi90)
        yield from _fact("flash", f"{flash}, weights and code", width)
    energy = _quantity(found.energy_mj, "mJ") if found.energy_mj else "not estimated"
    yield from _fact("energy", f"{energy}: {found.energy_basis}", width)
    if found.energy_above_idle_mj:
        yield from _fact("", f"{_quantity(found.energy_above_idle_mj, 'mJ')} of it above idle", width)
    caused, battery = statement.emission, statement.battery
    if caused:
        grams = _quantity(caused.g_per_million, "g")
        yield from _fact(
            "CO2", f"{grams} a million inferences at {caused.grid_g_per_kwh:g} g/kWh: {caused.source}", width
        )
    if battery:
        use = battery.use
        said = (
            f"{use.battery_wh:g} Wh at {use.inferences_per_hour:g} inferences an hour, {use.waiting_w:g} W between them"
        )
        yield from _fact("battery", f"{_quantity(battery.hours, 'h')}: {said}", width)
    threads = f", {found.threads} thread{'s' * (found.threads != 1)}" if found.kind == "estimated" else ""
    precision = asked.precision
    if statement.arithmetic != precision:
        precision += f" computed in {statement.arithmetic}"
    yield from _fact("kernels", f"{asked.kernels}, {precision}{threads}: {asked.why}", width)
    yield from _fact("basis", found.basis, width)
    trusted = "inside" if found.in_domain else "OUTSIDE"
    yield from _fact("domain", f"{trusted} what the method may be trusted for{':' if found.reasons else ''}", width)
    for reason in found.reasons:
        yield from _fact("", f"- {reason}", width)
    for note in statement.notes:
        yield from _fact("note", note, width)
    yield from _fact("", "Brackets hold 90 % intervals.", width)


def _refused(refusal: Refusal, width: int) -> Iterator[str]:
    asked = refusal.question
    yield from _fact("refused", f"its compiler would not take this graph for the {asked.kernels}:", width)
    for code, found in refusals(refusal).items():
        yield from _fact("", f"- {code} × {len(found)}, first {found[0].operator}: {found[0].detail}", width)
    yield from _fact("computes", f"in {asked.precision}", width)
    yield from _fact("basis", refusal.simulation.basis, width)
    for note in refusal.notes:
        yield from _fact("note", note, width)


def _quantity(found: Interval, unit: str) -> str:
    return units.interval(found.p50, found.lo90, found.hi90, unit)


def _fact(label: str, text: str, width: int) -> list[str]:
    """A label and its text, wrapped beside it."""
    start = label.ljust(LABEL_WIDTH)
    hang = " " * (LABEL_WIDTH + (2 if text.startswith("- ") else 0))
    return _wrap(text, width, start=start, hang=hang)


def _wrap(text: str, width: int, *, start: str = "", hang: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        min(width, WIDEST_PROSE),
        initial_indent=start,
        subsequent_indent=hang,
        break_on_hyphens=False,
    )

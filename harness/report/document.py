"""The report as data: what the terminal, Markdown and HTML renderings show. A pure function of records."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.report.choice import Axes, choose_axes, mark_front
from harness.report.deviation import warnings
from harness.report.goals import Goals
from harness.report.method import Method, describe_method
from harness.report.missing import MissingGroup, group_missing
from harness.report.recommendation import NO_GOALS, Recommendation, recommend
from harness.report.row import Row, build_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.estimate.interval import Estimate
    from harness.record import Record, Variant


NAMED = 20
"""How many rows are named that rest on one basis; readers of ten thousand are not helped by all their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A variant, and which backends opened it under which recipe."""

    recipe: str
    backends: tuple[str, ...]
    variant: Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The comparison for one model on one profile.

    Attributes:
        axes: What rows are compared in for Pareto marks and recommendation.
        warnings: What must be read before any number: rows that compute something else than the framework.
        rows: Cells with numbers, fastest on `axes` first.
        notes: What holds for every row.
        timed_notes: What holds for every row that was timed here.
        bases: What the estimates rest on, and of which rows.
        energy_bases: The same for energy, where there is any.
        data: What quality was scored on, a line for each data set and reference.
        origins: How each distinct variant was made.
    """

    model: str
    profile: str
    axes: Axes
    recommendation: Recommendation
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    timed_notes: tuple[str, ...]
    bases: tuple[str, ...]
    energy_bases: tuple[str, ...]
    data: tuple[str, ...]
    origins: tuple[Origin, ...]
    missing: tuple[MissingGroup, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a reader is told.

    Attributes:
        run: Name of the run, or several.
        outcomes: How many records ended as measured, simulated, skipped and failed.
        goals: What a recommendation had to keep to.
    """

    run: str
    outcomes: tuple[tuple[str, int], ...]
    sections: tuple[Section, ...]
    method: Method
    goals: Goals = NO_GOALS


def build_report(records: Sequence[Record], environment: Mapping[str, Any], goals: Goals = NO_GOALS) -> Report:
    """Turn the records of a run into its report.

    Args:
        records: In any order; sections appear in the order of their first record.
        environment: What `environment.json` holds; every key may be missing.
        goals: What a recommended row must keep to.
    """
    cells: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        cells.setdefault((record.model, record.profile), []).append(record)
    counts = Counter(record.outcome for record in records)
    return Report(
        run=", ".join(dict.fromkeys(record.run for record in records)),
        outcomes=tuple((name, counts[name]) for name in ("measured", "simulated", "skipped", "failed")),
        sections=tuple(_section(model, profile, found, goals) for (model, profile), found in cells.items()),
        method=describe_method(records, environment),
        goals=goals,
    )


def _section(model: str, profile: str, records: Sequence[Record], goals: Goals) -> Section:
    rows = build_rows(records)
    axes = choose_axes(rows, profile)
    shared = _shared_notes(rows)
    timed = tuple(note for note in _shared_notes([row for row in rows if row.host]) if note not in shared)
    own = [replace(row, notes=tuple(note for note in row.notes if note not in shared + timed)) for row in rows]
    marked = mark_front(own, axes)
    recommendation = recommend(marked, axes, profile, goals)
    return Section(
        model=model,
        profile=profile,
        axes=axes,
        recommendation=recommendation,
        rows=marked,
        notes=shared,
        timed_notes=timed,
        bases=_bases(rows, lambda estimate: estimate.basis),
        energy_bases=_bases(rows, lambda estimate: estimate.energy_basis),
        data=_data(rows),
        origins=_origins(marked),
        missing=group_missing(records),
        warnings=warnings(marked, recommendation.row or recommendation.nearest),
    )


def _shared_notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """Notes that every row has, so that they are said once; with a single row they stay with it."""
    if len(rows) < 2:
        return ()
    everywhere = set(rows[0].notes).intersection(*(row.notes for row in rows[1:]))
    return tuple(note for note in rows[0].notes if note in everywhere)


def _bases(rows: Sequence[Row], basis: Callable[[Estimate], str]) -> tuple[str, ...]:
    """`openvino, torch: physical prior`: each basis once; rows are named where one backend's rest on several."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.estimate and basis(row.estimate):
            found.setdefault(basis(row.estimate), []).append(row)
    several = Counter(backend for same in found.values() for backend in {row.backend for row in same})
    lines = []
    for text, same in found.items():
        each = (f"{row.recipe} in {row.backend}" if several[row.backend] > 1 else row.backend for row in same)
        names = list(dict.fromkeys(each))
        left = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        lines.append(f"{', '.join(names[:NAMED])}{left}: {text}")
    return tuple(lines)


def _data(rows: Sequence[Row]) -> tuple[str, ...]:
    references: dict[str, dict[str, None]] = {}
    for row in rows:
        found = row.quality
        if found is None:
            continue
        scored = f"{found.n:,} labelled rows" if found.n else "no labels"
        agreed = f"; agreement over {found.agreement_n:,} rows" if found.agreement_n else ""
        line = references.setdefault(f"{found.data}: {scored}{agreed}", {})
        if agreed:
            line[found.reference] = None
    return tuple(f"{line} with the {_one_of(list(names))}" if names else line for line, names in references.items())


def _one_of(names: Sequence[str]) -> str:
    """`baseline in onnxruntime, openvino or torch`: what the names begin with alike is said once."""
    first, *others = names
    if not others:
        return first
    words = first.split(" ")
    alike = 0
    while alike < len(words) - 1 and all(name.split(" ")[: alike + 1] == words[: alike + 1] for name in others):
        alike += 1
    *rest, last = [" ".join(name.split(" ")[alike:]) for name in names]
    return " ".join([*words[:alike], f"{', '.join(rest)} or {last}"])


def _origins(rows: Sequence[Row]) -> tuple[Origin, ...]:
    """Distinct variants, in the order of rows."""
    backends: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.variant:
            backends.setdefault((row.recipe, row.variant.format, row.variant.sha256), []).append(row)
    return tuple(
        Origin(recipe=recipe, backends=tuple(dict.fromkeys(row.backend for row in found)), variant=found[0].variant)
        for (recipe, _, _), found in backends.items()
        if found[0].variant
    )

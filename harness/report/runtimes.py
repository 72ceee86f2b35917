"""The runtimes of a section side by side: each recipe in each of them, and whether they compute the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report import deviation as words
from harness.report.columns import DASH, Cell, Column, columns
from harness.report.deviation import deviation_of
from harness.report.runtime_summary import THE_REFERENCE, Summary, is_reference, summarise
from harness.report.same_file import same_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.report.document import Section
    from harness.report.row import Row

MOST_RECIPES = 24
"""Recipes that are told one by one; the table of all rows holds the others."""

LATENCIES = ("host", "device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A recipe in one runtime: a cell for each heading."""

    backend: str
    cells: tuple[Cell, ...]
    verdict: str
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A recipe that several runtimes ran, fastest first."""

    recipe: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a backend says of its runtime, and of which rows."""

    of: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtimes:
    """Everything that the part on runtimes shows.

    Attributes:
        summaries: The reference first; empty where there is one runtime only.
        headings: `(title, kind)` of each cell of a line, the verdict left out.
        left_out: Recipes that several runtimes ran and that are not told here.
        same_files: A sentence for each file that scores differently in two runtimes.
        lost_title: What `Summary.lost` is.
        references: What outputs are compared with.
    """

    summaries: tuple[Summary, ...]
    headings: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    left_out: int
    same_files: tuple[str, ...]
    notes: tuple[Note, ...]
    lost_title: str
    references: tuple[str, ...]

    @property
    def compared(self) -> bool:
        """Whether any outputs were compared with those of the framework."""
        return bool(self.references)


def runtimes(section: Section) -> Runtimes | None:
    """The runtimes of a section; None where there is one only, and it has nothing to say."""
    rows = section.rows
    backends = Counter(row.backend for row in rows)
    notes = tuple(_notes(rows))
    if len(backends) < 2 and not notes:
        return None
    recipes: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: not row.baseline):
        recipes.setdefault(row.recipe, []).append(row)
    shared = {recipe: found for recipe, found in recipes.items() if len({row.backend for row in found}) > 1}
    references = tuple(dict.fromkeys(found.reference for row in rows if (found := deviation_of(row))))
    told = list(shared.items())[:MOST_RECIPES]
    shown = _columns(section, [row for _, found in told for row in found])
    order = sorted(backends, key=lambda name: (not is_reference(name, references), name))
    return Runtimes(
        summaries=tuple(summarise(name, section, references) for name in order) if len(backends) > 1 else (),
        headings=tuple((column.title, column.kind) for column in shown),
        groups=tuple(
            Group(recipe=recipe, lines=tuple(_line(row, shown, references) for row in found)) for recipe, found in told
        ),
        left_out=len(shared) - len(told),
        same_files=tuple(same_files(rows)),
        notes=notes,
        lost_title="points lost" if section.axes.quality == "value" else "agreement",
        references=references,
    )


def outputs_told(found: Runtimes) -> tuple[str, ...]:
    """A line for each runtime whose outputs were compared with the framework's."""
    return tuple(
        f"Outputs of {each.backend}: {each.verdict}"
        + (f"; largest deviation {each.deviation} ({each.where})" if each.where else "")
        for each in found.summaries
        if each.verdict not in ("", THE_REFERENCE)
    )


def _columns(section: Section, rows: Sequence[Row]) -> list[Column]:
    """Latencies, what they hold for, quality and deviation; what no row has is left out."""
    known = {column.key: column for column in columns(section)[0]}
    shown = [known[key] for key in LATENCIES if key in known]
    shown += [_column("kernels", "kernels on the device", _kernels), _column("threads", "threads", _threads)]
    shown += [known[key] for key in _quality(section) if key in known]
    shown.append(_column("deviation", "largest deviation", _largest))
    return [column for column in shown if any(column.cell(row) is not DASH for row in rows)]


def _quality(section: Section) -> tuple[str, ...]:
    return ("quality", "drop") if section.axes.quality == "value" else ("agreement",)


def _column(key: str, title: str, cell: object) -> Column:
    return Column(key=key, title=title, short=title, kind="", cell=cell)  # type: ignore[arg-type]


def _kernels(row: Row) -> Cell:
    found = row.estimate
    if found is None or not found.kernel_family:
        return DASH
    return Cell(value=found.kernel_family, detail=f"{found.threads} thread{'s' * (found.threads != 1)}")


def _threads(row: Row) -> Cell:
    if row.threads is None:
        return DASH
    back = "not read back" if row.threads_reported is None else f"{row.threads_reported} read back"
    return Cell(value=f"{row.threads} asked", detail=back)


def _largest(row: Row) -> Cell:
    found = deviation_of(row)
    if found is None:
        return DASH
    if found.largest is None:
        return Cell(value=words.amount(found))
    limit = words.allowed(found)
    return Cell(value=words.amount(found), detail=f"of {limit}" if limit else "no tolerance", order=found.largest)


def _line(row: Row, shown: Sequence[Column], references: Sequence[str]) -> Line:
    found = deviation_of(row)
    verdict = words.verdict(found) if found else ""
    if f"{row.recipe} in {row.backend}" in references:
        verdict = THE_REFERENCE
    return Line(
        backend=row.backend,
        cells=tuple(column.cell(row) for column in shown),
        verdict=verdict,
        differs=bool(found and words.differs(found)),
    )


def _notes(rows: Sequence[Row]) -> Iterable[Note]:
    """Each distinct note of a backend once, with the recipes that it holds for where it is not all of them."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in sorted(rows, key=lambda row: (row.backend, not row.baseline)):
        for text in row.runtime_notes:
            found.setdefault(row.backend, {}).setdefault(text, []).append(row.recipe)
    recipes: Mapping[str, int] = Counter(row.backend for row in rows)
    for backend, notes in found.items():
        for text, names in notes.items():
            everywhere = len(names) == recipes[backend]
            yield Note(of=backend if everywhere else f"{', '.join(names)} in {backend}", text=text)

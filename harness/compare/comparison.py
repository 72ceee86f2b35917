"""A comparison: the cells that two runs share, each with what changed, and the rows that only one has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.compare.change import METRICS, answer
from harness.compare.likeness import find_unlike, refuse_unlike, remarks
from harness.compare.questions import questions
from harness.errors import UsageError
from harness.report.row import BASELINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.compare.change import Change, Metric, Question
    from harness.compare.likeness import Unlike
    from harness.compare.questions import Pair
    from harness.compare.run import Run
    from harness.estimate.interval import Estimate
    from harness.record import Outcome, Record

DONE = ("measured", "simulated")

Cell = tuple[str, str, str]
"""Model, recipe, backend."""

Row = tuple[str, str, str, str]
"""Model, recipe, backend, profile: what a record is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeChange:
    """A row that is there in both runs with another outcome.

    Attributes:
        reason: Why it is missing where it is, else "".
    """

    model: str
    recipe: str
    backend: str
    profile: str
    before: Outcome
    after: Outcome
    reason: str

    @property
    def lost(self) -> bool:
        """Whether there were numbers before and are none now."""
        return self.before in DONE and self.after not in DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateChange:
    """An estimate that is not what it was: nothing was measured, the graph, the method or the profile changed.

    Attributes:
        what: The quantity with its unit.
        before, after: Medians.
    """

    profile: str
    what: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """A cell that both runs have numbers of.

    Attributes:
        same_file: Whether the variant has the same content in both, None where a run does not say.
        changes: What was asked of it, answered.
        notes: What a reader must know of this cell.
    """

    model: str
    recipe: str
    backend: str
    same_file: bool | None
    changes: tuple[Change, ...]
    estimates: tuple[EstimateChange, ...]
    notes: tuple[str, ...]

    def change(self, metric: Metric) -> Change | None:
        """What became of a quantity, None where it was not compared."""
        return next((change for change in self.changes if change.metric == metric), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs compared.

    Attributes:
        before, after: Names of the runs.
        unlike: What differs between them although it should not, and was allowed.
        remarks: What else a reader must know of the two.
        failed_in_both: How many rows neither run has numbers of.
    """

    before: str
    after: str
    alpha: float
    unlike: tuple[Unlike, ...]
    remarks: tuple[str, ...]
    cells: tuple[CellComparison, ...]
    outcomes: tuple[OutcomeChange, ...]
    only_before: tuple[Row, ...]
    only_after: tuple[Row, ...]
    failed_in_both: int


def compare(before: Run, after: Run, alpha: float, allowed: Sequence[str] = ()) -> Comparison:
    """Compare two runs.

    Raises:
        UsageError: They are unlike in a way that is not allowed, have no cell in common, or `alpha` makes no sense.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha = {alpha} makes no sense.", hint="Allowed: a share between 0 and 1, such as 0.05.")
    rows = _rows(before), _rows(after)
    shared = [row for row in rows[0] if row in rows[1]]
    if not shared:
        hint = f"{before.name} has {_some(rows[0])}; {after.name} has {_some(rows[1])}."
        raise UsageError(
            "the runs have no cell in common: model, recipe, backend and profile must be equal.", hint=hint
        )
    unlike = find_unlike(before, after)
    refuse_unlike(unlike, allowed)
    pairs = {row: (rows[0][row], rows[1][row]) for row in shared}
    return Comparison(
        before=before.name,
        after=after.name,
        alpha=alpha,
        unlike=unlike,
        remarks=remarks(before, after),
        cells=tuple(_cells(pairs, alpha, same_rows=not {u.aspect for u in unlike} & {"data", "seed"})),
        outcomes=tuple(_outcomes(pairs)),
        only_before=tuple(row for row in rows[0] if row not in rows[1]),
        only_after=tuple(row for row in rows[1] if row not in rows[0]),
        failed_in_both=sum(all(record.outcome == "failed" for record in pair) for pair in pairs.values()),
    )


def _rows(run: Run) -> dict[Row, Record]:
    return {(r.model, r.recipe, r.backend, r.profile): r for r in run.records}


def _some(rows: Mapping[Row, Record]) -> str:
    texts = [" × ".join(row) for row in rows]
    return f"{', '.join(texts[:2])}{f' and {len(texts) - 2} more' if len(texts) > 2 else ''}"


def _outcomes(pairs: Mapping[Row, Pair]) -> Iterator[OutcomeChange]:
    for (model, recipe, backend, profile), (before, after) in pairs.items():
        if before.outcome != after.outcome:
            failure = after.failure if after.outcome not in DONE else before.failure
            yield OutcomeChange(
                model=model,
                recipe=recipe,
                backend=backend,
                profile=profile,
                before=before.outcome,
                after=after.outcome,
                reason=failure.error if failure else "",
            )


def _cells(pairs: Mapping[Row, Pair], alpha: float, *, same_rows: bool) -> Iterator[CellComparison]:
    """Cells with numbers in both runs; each is measured once, however many profiles it is estimated for."""
    first: dict[Cell, Pair] = {}
    profiles: dict[Cell, list[Pair]] = {}
    for (model, recipe, backend, _), pair in pairs.items():
        if all(record.outcome in DONE for record in pair):
            first.setdefault((model, recipe, backend), pair)
            profiles.setdefault((model, recipe, backend), []).append(pair)
    asked = {cell: list(questions(pair, _baseline(first, cell), same_rows=same_rows)) for cell, pair in first.items()}
    answered = _answered(asked, alpha)
    for cell, (before, after) in first.items():
        model, recipe, backend = cell
        yield CellComparison(
            model=model,
            recipe=recipe,
            backend=backend,
            same_file=_same_file(before, after),
            changes=tuple(answered[cell]),
            estimates=tuple(change for pair in profiles[cell] for change in _estimates(*pair)),
            notes=tuple(_notes((before, after), _baseline(first, cell))),
        )


def _baseline(cells: Mapping[Cell, Pair], cell: Cell) -> Pair | None:
    model, recipe, backend = cell
    return cells.get((model, BASELINE, backend)) if recipe != BASELINE else None


def _answered(asked: Mapping[Cell, Sequence[Question]], alpha: float) -> dict[Cell, list[Change]]:
    """The questions of one metric are answered together, because the more are asked the more are wrong by chance."""
    found: dict[Cell, list[Change]] = {cell: [] for cell in asked}
    for metric in METRICS:
        having = [
            (cell, question) for cell, of_cell in asked.items() for question in of_cell if question.metric == metric
        ]
        for (cell, _), change in zip(having, answer([question for _, question in having], alpha), strict=True):
            found[cell].append(change)
    return found


def _same_file(before: Record, after: Record) -> bool | None:
    if not before.variant or not after.variant:
        return None
    return before.variant.sha256 == after.variant.sha256


def _notes(cell: Pair, baseline: Pair | None) -> Iterator[str]:
    before, after = cell
    if before.backend_options != after.backend_options:
        yield "the options of the backend differ, although its text is the same: a default changed"
    if baseline and _same_file(*baseline) is False:
        yield "the baseline's own file differs between the runs, which changes what is relative to it"


def _estimates(before: Record, after: Record) -> Iterator[EstimateChange]:
    if not before.estimate or not after.estimate:
        return
    for (what, left), (_, right) in zip(_medians(before.estimate), _medians(after.estimate), strict=True):
        if left is not None and right is not None and left != right:
            yield EstimateChange(profile=before.profile, what=what, before=left, after=right)


def _medians(estimate: Estimate) -> Iterator[tuple[str, float | None]]:
    yield "latency in ms", estimate.latency_ms.p50
    yield "peak memory in bytes", estimate.peak_memory_bytes.p50
    yield "energy in mJ", estimate.energy_mj.p50 if estimate.energy_mj else None

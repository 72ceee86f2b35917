"""What a comparison and a check have to say, in blocks that each rendering lays out in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.compare import words
from harness.compare.change import METRICS
from harness.measure.between_runs import POWER
from harness.report import units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.compare.change import Metric
    from harness.compare.check import Check, Finding, Thresholds
    from harness.compare.comparison import CellComparison, Comparison, EstimateChange, Row

MOST_ROWS_LISTED = 12
"""Rows that only one run has are named up to this number; JSON names all."""

ROUNDING = 1e-3
"""Relative change of an estimate below which its median is the same for a reader."""

SAME = "same"

VERDICTS = {"fine": "passed", "inconclusive": "inconclusive", "regression": "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A heading, a paragraph, an item of a list, or a table whose first two columns name a cell."""

    kind: Literal["heading", "paragraph", "item", "table"]
    text: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def comparison_page(comparison: Comparison) -> tuple[Block, ...]:
    """A comparison, what matters most first."""
    return tuple(_comparison(comparison))


def check_page(comparison: Comparison, found: Check, thresholds: Thresholds) -> tuple[Block, ...]:
    """A check, what matters most first."""
    return tuple(_check(comparison, found, thresholds))


def _comparison(comparison: Comparison) -> Iterator[Block]:
    yield _heading(f"{comparison.before} → {comparison.after}")
    yield from _caveats(comparison)
    yield from _list(
        "Rows with another outcome",
        [
            f"{o.recipe} in {o.backend}, {o.model} on {o.profile}: was {o.before}, is {o.after}"
            + (f": {o.reason}" if o.reason else "")
            for o in comparison.outcomes
        ],
    )
    yield from _list("What changed", [text for cell in comparison.cells for text in _changed(cell)] or ["nothing"])
    yield from _tables(comparison)
    yield from _list(f"Only in {comparison.before}", _rows(comparison.only_before))
    yield from _list(f"Only in {comparison.after}", _rows(comparison.only_after))
    yield from _list(
        "Estimates that changed: predicted from the graph, nothing of it was measured",
        [
            f"{_name(cell)}: {e.what} on {e.profile} {units.digits(e.before)} → {units.digits(e.after)}{_relative(e)}"
            for cell in comparison.cells
            for e in cell.estimates
            if abs(e.after - e.before) > ROUNDING * abs(e.before)
        ],
    )
    yield from _list("How to read this", list(_reading(comparison)))


def _check(comparison: Comparison, found: Check, thresholds: Thresholds) -> Iterator[Block]:
    regressions, open_questions = found.of("regression"), found.of("inconclusive")
    number = "1 regression" if len(regressions) == 1 else f"{len(regressions)} regressions"
    counts = f"{number}, {len(open_questions)} inconclusive, {len(found.of('fine'))} fine"
    yield _heading(f"bench check {VERDICTS[found.status]}: {counts}")
    yield Block(kind="paragraph", text=f"{comparison.after} against {comparison.before}.")
    yield from _caveats(comparison)
    yield from _list("Regressions", [_finding(finding) for finding in regressions])
    yield from _list("Inconclusive", [_finding(finding) for finding in open_questions])
    yield from _tables(comparison)
    yield from _list("How to read this", [*_sight(comparison, found), *_floors(thresholds), *_reading(comparison)])


def _relative(estimate: EstimateChange) -> str:
    return f" ({(estimate.after / estimate.before - 1) * 100:+.1f} %)" if estimate.before else ""


def _rows(rows: Sequence[Row]) -> list[str]:
    names = [" × ".join(row) for row in rows[:MOST_ROWS_LISTED]]
    return [*names, f"and {len(rows) - len(names):,} more"] if len(rows) > len(names) else names


def _heading(text: str) -> Block:
    return Block(kind="heading", text=text)


def _list(title: str, items: Sequence[str]) -> Iterator[Block]:
    if items:
        yield _heading(title)
        yield from (Block(kind="item", text=item) for item in items)


def _caveats(comparison: Comparison) -> Iterator[Block]:
    if comparison.unlike:
        facts = "; ".join(map(str, comparison.unlike))
        yield Block(kind="paragraph", text=f"UNLIKE RUNS, compared because that was allowed: {facts}.")
    yield from (Block(kind="item", text=remark) for remark in comparison.remarks)
    if comparison.failed_in_both:
        yield Block(kind="item", text=f"{comparison.failed_in_both} rows failed in both runs")


def _name(cell: CellComparison | Finding) -> str:
    return f"{cell.recipe} in {cell.backend}, {cell.model}"


def _changed(cell: CellComparison) -> Iterator[str]:
    for change in cell.changes:
        if change.verdict in ("worse", "better"):
            yield f"{_name(cell)}: {words.sentence(change)}"
    yield from (f"{_name(cell)}: {note}" for note in cell.notes)


def _finding(finding: Finding) -> str:
    if finding.change is None:
        return f"{_name(finding)}: {finding.reason}"
    floor = f"{finding.floor * 100:.2g} {'points' if finding.metric == 'accuracy' else '%'}" if finding.floor else "0"
    text = f"{_name(finding)}: {words.sentence(finding.change)}"
    if finding.status == "regression":
        return f"{text}; allowed is {floor}"
    return text if finding.reason == finding.change.note else f"{text}: {finding.reason}"


def _tables(comparison: Comparison) -> Iterator[Block]:
    for model in dict.fromkeys(cell.model for cell in comparison.cells):
        cells = [cell for cell in comparison.cells if cell.model == model]
        columns = {"content": [_content(cell) for cell in cells]}
        for metric in METRICS:
            if any(cell.change(metric) for cell in cells):
                columns[words.TITLES[metric]] = [_cell(cell, metric) for cell in cells]
        same = [title for title, column in columns.items() if set(column) == {SAME}]
        shown = {title: column for title, column in columns.items() if title not in same}
        names = [cell.recipe for cell in cells], [cell.backend for cell in cells]
        yield _heading(model)
        yield Block(
            kind="table",
            head=("variant", "backend", *shown),
            rows=tuple(zip(*names, *shown.values(), strict=True)),
        )
        if same:
            yield Block(kind="paragraph", text=f"The same in all of them: {', '.join(same)}.")


def _content(cell: CellComparison) -> str:
    if cell.same_file is None:
        return units.MISSING
    return SAME if cell.same_file else "differs"


def _cell(cell: CellComparison, metric: Metric) -> str:
    change = cell.change(metric)
    return words.short(change) if change else units.MISSING


def _reading(comparison: Comparison) -> Iterator[str]:
    alpha = f"{comparison.alpha * 100:g} %"
    yield (
        f"Significant at {alpha}, corrected by Holm's method over the cells of each metric; brackets are intervals of"
        f" {100 - comparison.alpha * 100:g} % of single cells. A process is the unit, never a sample."
    )
    if any(cell.change("relative latency") for cell in comparison.cells):
        yield (
            "Latency to baseline: over that of the baseline in the same backend and the same run, within the same"
            " rounds, so that the machine's drift cancels. What slows both alike does not show in it."
        )
    yield (
        "Latency: between the runs. What the machine did in between (clock, neighbours: a tenth is common) is not in"
        " its interval."
    )
    yield "≈ is not significant, which is not the same as equal; sizes are exact; accuracy is paired by rows."


def _sight(comparison: Comparison, found: Check) -> Iterator[str]:
    if found.sees is None or found.sees_worst is None:
        yield "No latency could be tested: a run without several processes says nothing of noise."
        return
    yield (
        f"This check sees a change of latency of {words.share(found.sees)} (median over cells), of"
        f" {words.share(found.sees_worst)} in its worst cell: one of that size is found with a chance of"
        f" {POWER * 100:g} % at {comparison.alpha * 100:g} %."
    )


def _floors(given: Thresholds) -> Iterator[str]:
    yield (
        f"A regression is significant and exceeds: latency {given.latency_share * 100:g} % and"
        f" {given.latency_ns / 1e6:g} ms (without a baseline in the same run {given.drift_share * 100:g} %); memory"
        f" {given.memory_share * 100:g} % and {given.memory_bytes / 1e6:g} MB; file and download"
        f" {given.size_share * 100:g} %; accuracy {given.accuracy_share * 100:g} points."
    )

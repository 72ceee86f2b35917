"""Where the time of each row goes, operator by operator, beside its baseline.

Only shares are told: a runtime's profiler disturbs small operators, so that its times do not add up to the latency.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.report import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.operator_time import OperatorTime
    from harness.report.document import Section
    from harness.report.row import Row

MOST_ROWS = 250
"""In sections of more rows operators are left out: at some 3 kB a row they would outweigh all else."""

MOST_KINDS = 3
MOST_OPERATORS = 15
LONGEST_NAME = 40

WIDTH = 100
"""Width of a drawn bar, in its own units: percent."""

DOES = {"compute": "convolutions and matrix products", "quantise": "changes of number format", "other": "other"}

_LOOKS = ("int8", "fp16", "fp32", "compute", "quantise", "other")

NOTE = (
    "By the runtime's own profiler, run after everything was timed. Shares of the time inside operators only: profiling"
    " slows small operators down, and what passes between them is not in it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Everything that does one thing in one precision.

    Attributes:
        look: Name of its colour: the precision of what computes, `compute` where it is not told, `quantise` or `other`.
        words: `convolutions and matrix products in int8`.
        start, share: Where it begins and how much it is of the time inside operators, 0 to 100.
    """

    look: str
    words: str
    start: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorLine:
    """One operator.

    Attributes:
        name: Shortened in its middle where it is long.
        share: Of the time inside operators, in words.
    """

    name: str
    kind: str
    look: str
    precision: str
    share: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Where the time of one row goes.

    Attributes:
        kinds: `Conv 61 %, Gemm 12 %, MaxPool 9 %`.
        top: The operators that take most, at most `MOST_OPERATORS`.
        left: How many others there are; `left_share` what they take, in words.
        chosen: Whether it is the recommended row, or the baseline of its backend.
    """

    recipe: str
    backend: str
    baseline: bool
    parts: tuple[Part, ...]
    kinds: str
    top: tuple[OperatorLine, ...]
    left: int
    left_share: str
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdowns:
    """All rows of a section that were profiled, the baseline of each backend before its variants.

    Attributes:
        left_out: Why nothing is shown though there are rows, else "".
    """

    rows: tuple[Breakdown, ...]
    left_out: str = ""

    @property
    def looks(self) -> tuple[tuple[str, str], ...]:
        """Colours that occur, with their words."""
        found = {part.look: part.words for row in self.rows for part in row.parts}
        return tuple((look, found[look]) for look in _LOOKS if look in found)


def breakdowns(section: Section) -> Breakdowns | None:
    """The operators of a section's rows, or None where no runtime told any."""
    rows = [row for row in section.rows if row.operators and sum(op.ns for op in row.operators)]
    if not rows:
        return None
    if len(rows) > MOST_ROWS:
        held = f"records.jsonl holds them for all {len(rows):,}"
        return Breakdowns(rows=(), left_out=f"Left out of reports above {MOST_ROWS} rows; {held}.")
    backends = {backend: number for number, backend in enumerate(dict.fromkeys(row.backend for row in rows))}
    ordered = sorted(rows, key=lambda row: (backends[row.backend], not row.baseline))
    wanted = section.recommendation.row or section.recommendation.nearest
    return Breakdowns(rows=tuple(replace(breakdown(row), chosen=_chosen(row, wanted)) for row in ordered))


def _chosen(row: Row, wanted: Row | None) -> bool:
    return wanted is not None and row.backend == wanted.backend and (row.baseline or row.recipe == wanted.recipe)


def breakdown(row: Row) -> Breakdown:
    """Where the time of one row goes, which has operators."""
    total = sum(op.ns for op in row.operators)
    ordered = sorted(row.operators, key=lambda op: -op.ns)
    top, rest = ordered[:MOST_OPERATORS], ordered[MOST_OPERATORS:]
    return Breakdown(
        recipe=row.recipe,
        backend=row.backend,
        baseline=row.baseline,
        parts=tuple(_parts(row.operators, total)),
        kinds=_kinds(row.operators, total),
        top=tuple(
            OperatorLine(
                name=short(op.name), kind=op.kind, look=_look(op), precision=op.precision, share=_percent(op.ns / total)
            )
            for op in top
        ),
        left=len(rest),
        left_share=_percent(sum(op.ns for op in rest) / total),
    )


def short(name: str) -> str:
    """A name shortened in its middle: what tells operators apart stands at either end."""
    if len(name) <= LONGEST_NAME:
        return name
    end = LONGEST_NAME // 2
    return f"{name[: LONGEST_NAME - end - 1]}…{name[-end:]}"


def summary(found: Breakdown) -> str:
    """`convolutions and matrix products in int8 84 %, other 16 %`."""
    return ", ".join(f"{part.words} {_percent(part.share / WIDTH)}" for part in found.parts)


def _parts(operators: Sequence[OperatorTime], total: int) -> Iterable[Part]:
    spent: dict[str, int] = {}
    words: dict[str, str] = {}
    for op in operators:
        look = _look(op)
        spent[look] = spent.get(look, 0) + op.ns
        words[look] = _words(op)
    start = 0.0
    for look in _LOOKS:
        if look in spent:
            share = spent[look] / total * WIDTH
            yield Part(look=look, words=words[look], start=round(start, 2), share=round(share, 2))
            start += share


def _look(op: OperatorTime) -> str:
    if op.does != "compute":
        return op.does
    return {"int8": "int8", "fp16": "fp16", "bf16": "fp16", "fp32": "fp32"}.get(op.precision, "compute")


def _words(op: OperatorTime) -> str:
    if op.does != "compute":
        return DOES[op.does]
    return f"{DOES['compute']} in {op.precision}" if op.precision else DOES["compute"]


def _kinds(operators: Sequence[OperatorTime], total: int) -> str:
    spent: dict[str, int] = {}
    for op in operators:
        spent[op.kind] = spent.get(op.kind, 0) + op.ns
    first = sorted(spent.items(), key=lambda item: -item[1])[:MOST_KINDS]
    return ", ".join(f"{short(kind)} {_percent(ns / total)}" for kind, ns in first)


def _percent(share: float) -> str:
    return units.percent(share) if 0 < share < 0.0995 else f"{share * 100:.0f} %"

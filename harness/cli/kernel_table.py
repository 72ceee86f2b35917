"""Where the time of an estimate goes: a table of its dearest kernels, laid out for a terminal's width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.cli.listing import GAP
from harness.estimate.features import KernelClass
from harness.estimate.statement import shares
from harness.report import units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.estimate.latency import KernelCost
    from harness.estimate.statement import Statement

LEAST_NAME = 24
"""Columns are left out before the names of kernels are cut shorter than this."""

LEAVE_OUT = ("in", "bytes", "MACs", "class")
"""Columns in the order in which they give way to a narrow terminal."""

SHORT = {
    KernelClass.POINTWISE: "1x1 conv",
    KernelClass.CONV: "conv",
    KernelClass.WINOGRAD: "conv, Winograd",
    KernelClass.DEPTHWISE: "depthwise",
    KernelClass.WIDE_DEPTHWISE: "wide depthwise",
    KernelClass.GROUPED: "grouped conv",
    KernelClass.GEMV: "one-row matmul",
    KernelClass.GEMM: "matmul",
    KernelClass.STREAM: "one pass",
    KernelClass.EXPONENTIAL: "exp, erf",
}
"""Classes in as few characters as a narrow table has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line; the cost of a kernel, or of several together."""

    name: str
    ms: float
    share: float
    kernel_class: str = ""
    arithmetic: str = ""
    macs: int | None = None
    moved_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    title: str
    cells: tuple[str, ...]
    left: bool = False

    @property
    def width(self) -> int:
        return max(len(self.title), *map(len, self.cells))


def kernel_table(statement: Statement, most_rows: int, width: int) -> Iterator[str]:
    """The dearest kernels, all others in a line, and the total; as printed, the lines add up to it.

    Args:
        most_rows: Kernels to name, 0 for all.
        width: Of the terminal.
    """
    lines, places = _lines(statement, most_rows)
    columns = _columns(lines, places)
    left_out = []
    for title in LEAVE_OUT:
        if sum(column.width + GAP for column in columns[1:]) + min(LEAST_NAME, columns[0].width) <= width:
            break
        columns = [column for column in columns if column.title != title]
        left_out.append(title)
    columns[0] = _cut(columns[0], width - sum(column.width + GAP for column in columns[1:]))
    printed = [_print(columns, at) for at in range(len(lines))]
    rule = "─" * max(map(len, printed))
    yield (" " * GAP).join(_pad(column, column.title) for column in columns).rstrip()
    yield rule
    yield from printed[:-1]
    yield rule
    yield printed[-1]
    if left_out:
        yield f"Left out for width: {', '.join(left_out)}."


def _lines(statement: Statement, most_rows: int) -> tuple[list[_Line], int]:
    """Lines with times rounded as they will be printed, and the decimals; the line for the rest takes the rounding."""
    total_ms = statement.estimate.latency_ms.p50
    found = shares(statement)
    shown, rest = (found[:most_rows], found[most_rows:]) if most_rows else (found, ())
    places = _places(shown[0].cost.total_ms)
    lines = [_line(each.cost, round(each.cost.total_ms, places), round(100 * each.share, 1)) for each in shown]
    if round(statement.outside_ms, places):
        share = round(100 * statement.outside_ms / total_ms, 1)
        lines.append(_Line(name="outside kernels", ms=round(statement.outside_ms, places), share=share))
    everything = [each.cost for each in found]
    if rest:
        left_ms = max(0.0, round(total_ms, places) - sum(line.ms for line in lines))
        left_share = max(0.0, 100 - sum(line.share for line in lines))
        others = [each.cost for each in rest]
        name = f"{len(rest)} other kernel{'s' * (len(rest) > 1)}"
        lines.insert(len(shown), _sum(name, others, left_ms, left_share))
    lines.append(_sum("total", everything, sum(line.ms for line in lines), 100.0))
    return lines, places


def _line(cost: KernelCost, ms: float, share: float) -> _Line:
    return _Line(
        name=cost.name,
        ms=ms,
        share=share,
        kernel_class=SHORT.get(cost.kernel_class, str(cost.kernel_class)),
        arithmetic=cost.arithmetic,
        macs=cost.macs,
        moved_bytes=cost.activation_bytes + cost.weight_bytes,
    )


def _sum(name: str, costs: Sequence[KernelCost], ms: float, share: float) -> _Line:
    return _Line(
        name=name,
        ms=ms,
        share=share,
        macs=sum(each.macs for each in costs),
        moved_bytes=sum(each.activation_bytes + each.weight_bytes for each in costs),
    )


def _places(largest_ms: float) -> int:
    """Decimals that leave three digits of the dearest kernel."""
    return min(9, max(1, 2 - math.floor(math.log10(largest_ms)))) if largest_ms > 0 else 3


def _columns(lines: Sequence[_Line], places: int) -> list[_Column]:
    def column(title: str, cells: Iterator[str], *, left: bool = False) -> _Column:
        return _Column(title=title, cells=tuple(cells), left=left)

    return [
        column("kernel", (line.name for line in lines), left=True),
        column("class", (line.kernel_class for line in lines), left=True),
        column("in", (line.arithmetic for line in lines), left=True),
        column("MACs", (units.scaled_count(line.macs) if line.macs else "" for line in lines)),
        column("bytes", (units.size(line.moved_bytes) if line.moved_bytes is not None else "" for line in lines)),
        column("ms", (f"{line.ms:,.{places}f}" for line in lines)),
        column("share", (f"{line.share:.1f} %" for line in lines)),
    ]


def _cut(column: _Column, width: int) -> _Column:
    """Names cut in front: it is the end that tells the kernels of one network apart."""
    width = max(LEAST_NAME, width)
    cells = tuple(cell if len(cell) <= width else f"…{cell[1 - width :]}" for cell in column.cells)
    return _Column(title=column.title, cells=cells, left=True)


def _print(columns: Sequence[_Column], at: int) -> str:
    return (" " * GAP).join(_pad(column, column.cells[at]) for column in columns).rstrip()


def _pad(column: _Column, text: str) -> str:
    return text.ljust(column.width) if column.left else text.rjust(column.width)

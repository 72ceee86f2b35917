"""One file in several runtimes: where it does not come to the same quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.deviation import deviation_of, differs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.report.row import Row

MOST_LINES = 8
"""How many files that score differently are told."""


def same_files(rows: Sequence[Row]) -> Iterable[str]:
    """A sentence for each file that several runtimes opened and that did not come to the same quality in them."""
    files: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.variant and row.quality and row.quality.value is not None:
            files.setdefault((row.recipe, row.variant.sha256), []).append(row)
    told = [text for found in files.values() if (text := _same_file(found))]
    yield from told[:MOST_LINES]
    if len(told) > MOST_LINES:
        yield f"{len(told) - MOST_LINES:,} more files score differently in two runtimes."


def _same_file(rows: Sequence[Row]) -> str:
    """`The same file (int8-static, onnx) scores 92.6 % in a and 91.8 % in b: …`, or "" where all score alike."""
    for decimals in (1, 2):
        scores: dict[str, list[str]] = {}
        for row in sorted(rows, key=lambda row: (-_value(row), row.backend)):
            scores.setdefault(f"{_value(row) * 100:.{decimals}f} %", []).append(row.backend)
        if len(scores) > 1:
            break
    else:
        return ""
    wrong = any((found := deviation_of(row)) and differs(found) for row in rows)
    why = "not all of them compute what it says" if wrong else "their kernels round differently"
    *most, last = [f"{score} in {' and '.join(names)}" for score, names in scores.items()]
    file = rows[0].variant.format if rows[0].variant else ""
    return f"The same file ({rows[0].recipe}, {file}) scores {', '.join(most)} and {last}: {why}."


def _value(row: Row) -> float:
    return row.quality.value if row.quality and row.quality.value is not None else 0.0

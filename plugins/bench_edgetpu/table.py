"""A table like the one at the end of the compiler's log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench_edgetpu.code import EXPLAINED, LEFT, MAPPED
from bench_edgetpu.partition import prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench_edgetpu.gate import Verdict

Rows = tuple[tuple[str, int, str], ...]


def table(verdicts: Sequence[Verdict]) -> Rows:
    """Kind of operator, how many, and what becomes of them; a code of ours stands behind the compiler's words."""
    end = prefix(verdicts)
    found = Counter((_kind(v), _status(v, left=index > end)) for index, v in enumerate(verdicts))
    return tuple((kind, count, status) for (kind, status), count in sorted(found.items()))


def _kind(verdict: Verdict) -> str:
    op = verdict.operator
    groups = op.attributes.get("groups", 1)
    return "depthwise conv" if op.kind == "conv" and isinstance(groups, int) and groups > 1 else op.kind


def _status(verdict: Verdict, *, left: bool) -> str:
    code = verdict.code
    if code is not None and (verdict.rejected or verdict.conversion):
        return f"{EXPLAINED[code].status} ({code})"
    if left:
        return LEFT
    return f"{EXPLAINED[code].status} ({code})" if code is not None and verdict.unsure else MAPPED

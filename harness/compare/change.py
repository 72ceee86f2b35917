"""A change: one quantity of one cell in two runs, and what the two say about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.measure.between_runs import holm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Metric = Literal["relative latency", "latency", "memory", "size", "download", "accuracy"]

METRICS: tuple[Metric, ...] = ("relative latency", "latency", "memory", "size", "download", "accuracy")

Verdict = Literal["worse", "better", "same", "not significant", "cannot be told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A quantity that two runs have, before it is known how many others are tested with it.

    Attributes:
        before, after: In the unit of the metric: times the baseline's latency, ns, bytes, or a share of rows.
        change: `after` over `before` less 1; of accuracy, `after` less `before`.
        p: p-value of no change; None where nothing is drawn at random, or nothing can be tested.
        exact: Whether nothing is drawn at random: a size either changed or not.
        interval: Ends of the interval of `change` at level 1 − α, or None.
        sees: The change that would be found at α with a chance of 80 %, or None.
        note: What a reader must know of this quantity.
    """

    metric: Metric
    before: float
    after: float
    change: float
    p: float | None = None
    exact: bool = False
    interval: Callable[[float], tuple[float, float] | None] = lambda _alpha: None
    sees: Callable[[float], float | None] = lambda _alpha: None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A question answered; the attributes that both have mean the same.

    Attributes:
        lo, hi: Ends of the interval of `change` at level 1 − α, of this cell alone.
        adjusted_p: The p-value corrected by Holm's method over all cells of the metric; the verdict rests on it.
        sees: The smallest change that would have been found with a chance of 80 %, after the correction.
        verdict: `worse` and `better` are significant at α, or exact.
    """

    metric: Metric
    before: float
    after: float
    change: float
    lo: float | None
    hi: float | None
    p: float | None
    adjusted_p: float | None
    exact: bool
    sees: float | None
    verdict: Verdict
    note: str


def answer(questions: Sequence[Question], alpha: float) -> list[Change]:
    """Answer the questions of one metric together, in the order given."""
    p_values = [question.p for question in questions if question.p is not None]
    adjusted = iter(holm(p_values))
    tests = max(1, len(p_values))
    return [_answer(q, alpha, tests, next(adjusted) if q.p is not None else None) for q in questions]


def _answer(question: Question, alpha: float, tests: int, adjusted_p: float | None) -> Change:
    interval = question.interval(alpha)
    return Change(
        metric=question.metric,
        before=question.before,
        after=question.after,
        change=question.change,
        lo=interval[0] if interval else None,
        hi=interval[1] if interval else None,
        p=question.p,
        adjusted_p=adjusted_p,
        exact=question.exact,
        sees=question.sees(alpha / tests),
        verdict=_verdict(question, alpha, adjusted_p),
        note=question.note,
    )


def _verdict(question: Question, alpha: float, adjusted_p: float | None) -> Verdict:
    if question.exact and question.change == 0:
        return "same"
    if not question.exact and adjusted_p is None:
        return "cannot be told"
    if adjusted_p is not None and adjusted_p >= alpha:
        return "not significant"
    more_is_worse = question.metric != "accuracy"
    return "worse" if (question.change > 0) == more_is_worse else "better"

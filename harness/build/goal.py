"""The evaluate-and-fine-tune loop: a technique tried with ever weaker options until accuracy falls no further than
allowed, judged on the validation split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.build_context import Score, Training
from harness.errors import HarnessError
from harness.options import as_mapping, changed

FINE_TUNING = Training(epochs=5.0, learning_rate=1e-3, keep_best=True)
"""What a live model gets when accuracy fell too far: a fifth of a usual learning rate, so that it is not unlearned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """How far accuracy may fall.

    Attributes:
        max_drop: Points of validation accuracy below the model as it was loaded.
        tries: How many options are tried at most.
        reference: Accuracy of the model as it was loaded, or None where it cannot be judged.
    """

    max_drop: float
    tries: int
    reference: Score | None

    def met(self, score: Score) -> bool:
        """Whether a score is near enough; rows that are not right any more are counted, so no rounding decides."""
        return self.reference is not None and self.drop(score) <= self.max_drop + 1e-9

    def drop(self, score: Score) -> float:
        """Points below the reference; negative above it."""
        return 100.0 * ((self.reference.value if self.reference else 0.0) - score.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One technique as the loop sees it.

    Attributes:
        apply: Options and the number of the try to the result.
        score: Accuracy of a result, or None.
        fine_tune: A fine-tuned copy of a result, or None where results cannot be trained.
        gentler: The next weaker options, or None.
        note: Takes a line of what was tried.
    """

    apply: Callable[[Any, int], Any]
    score: Callable[[Any], Score | None]
    fine_tune: Callable[[Any], Any] | None
    gentler: Callable[[Any], Any | None]
    note: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    value: Any
    score: Score
    what: str


def pursue(goal: Goal, options: Any, attempt: Attempt) -> Any:
    """Try a technique until the goal holds, or the tries or the options are spent; return the best result.

    Every try is a note. The first that holds wins, else the one that lost least. A later try that fails ends the
    search; the first one raises.

    Raises:
        HarnessError: As the technique does at its first try.
        ValueError: No try is allowed.
    """
    best: _Found | None = None
    for number in range(goal.tries):
        try:
            value = attempt.apply(options, number)
        except HarnessError as error:
            if best is None:
                raise
            attempt.note(f"goal: {_words(options)} failed ({error.message}); the search ends")
            break
        score = attempt.score(value) if goal.reference else None
        if score is None:
            attempt.note("goal: there are no labelled validation rows to judge by, so nothing was tried but this")
            return value
        found = _best(goal, _Found(value=value, score=score, what=_words(options)), best, attempt)
        if not goal.met(found.score) and attempt.fine_tune is not None:
            tuned = attempt.fine_tune(value)
            after = attempt.score(tuned) or score
            found = _best(goal, _Found(value=tuned, score=after, what=f"{_words(options)}, fine-tuned"), found, attempt)
        best = found
        if goal.met(best.score):
            attempt.note(f"goal: kept {best.what}")
            return best.value
        try:
            weaker = attempt.gentler(options)
        except HarnessError as error:
            attempt.note(f"goal: no weaker options could be told ({error.message}); the search ends")
            break
        if weaker is None:
            break
        options = weaker
    if best is None:
        raise ValueError(f"{goal.tries} tries")
    attempt.note(f"goal missed: {goal.drop(best.score):.1f} points lost at best, kept {best.what}")
    return best.value


def _best(goal: Goal, new: _Found, old: _Found | None, attempt: Attempt) -> _Found:
    """Note a try, and return the better of two; the newer, which is weaker or fine-tuned, where they are equal."""
    attempt.note(
        f"goal: {new.what}: {new.score.value:.1%} of {new.score.n} validation rows, "
        f"{goal.drop(new.score):+.1f} points lost of at most {goal.max_drop:g}"
    )
    return new if old is None or new.score.value >= old.score.value else old


def _words(options: Any) -> str:
    values = as_mapping(options)
    return ", ".join(f"{name}={values[name]}" for name in sorted(changed(options))) or "default options"

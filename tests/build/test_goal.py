"""The evaluate-and-fine-tune loop, on made-up techniques whose accuracy is a function of their one option."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.build.goal import Attempt, Goal, pursue
from harness.build_context import Score
from harness.errors import UnsupportedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much."""

    amount: float = 1.0


def gentler(options):
    return replace(options, amount=round(options.amount - 0.1, 3)) if options.amount > 0.15 else None


def attempt(notes, accuracy_of, fine_tuned=None, score=None):
    def apply(options, number):
        return {"accuracy": accuracy_of(options.amount), "amount": options.amount, "try": number}

    def tune(value):
        return value | {"accuracy": value["accuracy"] + fine_tuned, "tuned": True}

    return Attempt(
        apply=apply,
        score=score or (lambda value: Score(value=value["accuracy"], n=1000)),
        fine_tune=tune if fine_tuned is not None else None,
        gentler=gentler,
        note=notes.append,
    )


def goal(max_drop=1.0, tries=9, reference=0.9):
    return Goal(max_drop=max_drop, tries=tries, reference=Score(value=reference, n=1000))


def test_a_technique_that_loses_little_is_tried_once():
    notes = []
    found = pursue(goal(), Amount(amount=0.9), attempt(notes, lambda _: 0.895))
    assert found["try"] == 0
    assert notes == [
        "goal: amount=0.9: 89.5% of 1000 validation rows, +0.5 points lost of at most 1",
        "goal: kept amount=0.9",
    ]


def test_amounts_back_off_until_the_goal_holds():
    found = pursue(goal(), Amount(amount=0.9), attempt([], lambda amount: 0.9 - amount / 20))
    assert found["amount"] == 0.2


def test_fine_tuning_comes_before_a_weaker_amount():
    notes = []
    found = pursue(goal(), Amount(amount=0.9), attempt(notes, lambda amount: 0.9 - amount / 20, fine_tuned=0.04))
    assert found["tuned"]
    assert found["amount"] == 0.9
    assert notes[1].startswith("goal: amount=0.9, fine-tuned: 89.5%")


def test_the_tries_are_a_budget_and_a_goal_missed_is_said_with_what_was_lost():
    notes = []
    found = pursue(goal(tries=3), Amount(amount=0.9), attempt(notes, lambda amount: 0.9 - amount / 2))
    assert found["amount"] == 0.7
    assert found["try"] == 2
    assert notes[-1] == "goal missed: 35.0 points lost at best, kept amount=0.7"


def test_without_rows_to_judge_by_the_technique_is_taken_as_it_is_and_that_is_said():
    notes = []
    found = pursue(goal(), Amount(amount=0.9), attempt(notes, lambda _: 0.0, score=lambda _: None))
    assert found["try"] == 0
    assert "no labelled validation rows" in notes[0]


def test_a_model_that_was_not_judged_itself_has_no_goal():
    notes = []
    found = pursue(Goal(max_drop=1.0, tries=5, reference=None), Amount(amount=0.9), attempt(notes, lambda _: 0.1))
    assert found["try"] == 0
    assert "no labelled validation rows" in notes[0]


def test_a_first_try_that_fails_fails_the_step_and_a_later_one_ends_the_search():
    def apply(options, number):
        if number == failing:
            raise UnsupportedError("no")
        return {"accuracy": 0.5, "amount": options.amount}

    notes = []
    failing = 0
    with pytest.raises(UnsupportedError):
        pursue(goal(), Amount(amount=0.9), replace(attempt(notes, lambda _: 0), apply=apply))
    failing = 1
    assert pursue(goal(), Amount(amount=0.9), replace(attempt(notes, lambda _: 0), apply=apply))["amount"] == 0.9
    assert any("failed (no); the search ends" in note for note in notes)


@given(st.lists(st.floats(0, 1), min_size=9, max_size=9), st.floats(0, 50), st.integers(1, 9))
def test_whatever_happens_the_best_that_was_seen_is_kept(accuracies, max_drop, tries):
    seen = []

    def accuracy_of(amount):
        seen.append(accuracies[round(amount * 10) - 1])
        return seen[-1]

    aim = goal(max_drop=max_drop, tries=tries)
    found = pursue(aim, Amount(amount=0.9), attempt([], accuracy_of))
    assert found["accuracy"] == max(seen)
    assert len(seen) <= tries
    held = [aim.met(Score(value=a, n=1)) for a in seen]
    assert not any(held[:-1])

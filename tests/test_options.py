"""Options: checked against a plugin's own dataclass, and the same again after a trip through JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contributions import NoOptions
from harness.errors import RecipeError
from harness.loading import load_host
from harness.options import as_mapping, changed, describe_options, parse_options, restore_options


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide:
    """One option of every type that recipes can write."""

    amount: float = 0.5
    rounds: int = 1
    method: Literal["minmax", "entropy"] = "minmax"
    layers: tuple[str, ...] = ()
    exact: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.amount < 1:
            raise ValueError(f"amount must be from 0 to below 1, not {self.amount}")


def test_an_option_that_is_not_given_has_its_default() -> None:
    assert parse_options(Wide, {"rounds": 3}, "the technique wide") == Wide(rounds=3)


def test_a_whole_number_is_fine_where_a_float_is_asked_for() -> None:
    parsed = parse_options(Wide, {"amount": 0}, "the technique wide")
    assert isinstance(parsed.amount, float)


@pytest.mark.parametrize(
    ("given_options", "named"),
    [
        ({"amount": "half"}, "amount = 'half'"),
        ({"rounds": 1.5}, "rounds = 1.5"),
        ({"method": "percentile"}, "method = 'percentile'"),
        ({"layers": "conv1"}, "layers = 'conv1'"),
        ({"exact": "perhaps"}, "exact = 'perhaps'"),
        ({"amount": 1.0}, "amount must be from 0 to below 1"),
        ({"amount": float("nan")}, "amount = nan"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_fits(given_options: dict[str, object], named: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_options(Wide, given_options, "the technique wide")
    assert caught.value.message.startswith("the technique wide")
    assert named in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("value", [True, "3"])
def test_a_value_of_another_type_is_refused_and_not_turned_into_a_number(value: object) -> None:
    with pytest.raises(RecipeError, match="rounds"):
        parse_options(Wide, {"rounds": value}, "the technique wide")


def test_an_unknown_option_offers_the_nearest_and_lists_them_all() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_options(Wide, {"amuont": 0.1}, "the technique wide")
    assert "'amuont'" in caught.value.message
    assert "Did you mean 'amount'" in caught.value.hint
    assert "amount, exact, layers, method, rounds" in caught.value.hint


def test_a_technique_without_options_says_that_it_has_none() -> None:
    with pytest.raises(RecipeError, match="It has: none"):
        parse_options(NoOptions, {"amount": 0.1}, "the technique plain")


def test_options_that_differ_from_their_default_are_named() -> None:
    assert changed(Wide()) == frozenset()
    assert changed(Wide(rounds=2, amount=0.5, layers=("a",))) == {"rounds", "layers"}


@given(
    st.builds(
        Wide,
        amount=st.floats(0, 1, exclude_max=True),
        rounds=st.integers(),
        method=st.sampled_from(["minmax", "entropy"]),
        layers=st.lists(st.text(), max_size=3).map(tuple),
        exact=st.booleans(),
    )
)
def test_options_survive_the_way_into_a_build_process(options: Wide) -> None:
    assert restore_options(Wide, json.loads(json.dumps(as_mapping(options)))) == options


def test_every_option_of_a_built_in_technique_says_what_it_means() -> None:
    silent = [
        f"{item.name}: {option.name}"
        for item in load_host().techniques
        for option in describe_options(item.contribution.options)
        if not option.text
    ]
    assert silent == []


def test_an_option_is_described_over_several_lines_and_names() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Both:
        """Options.

        Attributes:
            low, high: Ends of the range,
                both included.
            names: Which.
        """

        low: float = 0.5
        high: float = 1.0
        names: tuple[str, ...] = ()

    described = {option.name: (option.default, option.text) for option in describe_options(Both)}
    assert described["low"] == ("0.5", "Ends of the range, both included.")
    assert described["high"] == ("1.0", "Ends of the range, both included.")
    assert described["names"] == ("[]", "Which.")

"""Recipes: grammar and canonical text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecipeError
from harness.recipe import Recipe, RecipeStep, parse_recipe

values = st.one_of(
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("abc +(),=é", max_size=6),
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.text("\"'\\+,()\n#", max_size=6),
    st.lists(st.integers(0, 9), max_size=3),
)
steps = st.builds(
    RecipeStep,
    technique=st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True).filter(lambda n: n != "baseline"),
    format=st.sampled_from(["", "onnx", "openvino-ir"]),
    options=st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), values, max_size=3),
)


def test_a_chain_with_options_and_a_forced_format_is_read() -> None:
    recipe = parse_recipe('prune-channels(macs=0.5)+distill-soft(temperature=4, layers=["a", "b"])+int8-static@onnx')
    assert recipe.steps == (
        RecipeStep(technique="prune-channels", options={"macs": 0.5}),
        RecipeStep(technique="distill-soft", options={"temperature": 4, "layers": ["a", "b"]}),
        RecipeStep(technique="int8-static", format="onnx"),
    )


@pytest.mark.parametrize("text", ["", "baseline", "  baseline "])
def test_the_empty_recipe_is_the_baseline(text: str) -> None:
    assert str(parse_recipe(text)) == "baseline"


@given(st.lists(steps, min_size=1, max_size=3))
def test_writing_and_reading_a_recipe_gives_it_back(chain: list[RecipeStep]) -> None:
    recipe = Recipe(steps=tuple(chain))
    assert parse_recipe(str(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("int8_static", "int8_static"),
        ("int8-static(", "int8-static("),
        ("prune(amount)", "amount"),
        ("prune(amount=half)", "half"),
        ("fp16++int8", "''"),
    ],
)
def test_what_cannot_be_read_is_named_with_advice(text: str, named: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    assert named in caught.value.message
    assert caught.value.hint


def test_a_sign_inside_a_number_does_not_split_a_recipe() -> None:
    assert parse_recipe("prune(amount=1e+2)").steps[0].options == {"amount": 100.0}

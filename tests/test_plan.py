"""Plans: what is left open is filled in, what is written can be read again, and cells have identities."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.contributions import Availability, Backend, Implementation, ModelSource, Technique
from harness.errors import ConfigurationError, RecipeError, UnknownNameError, UsageError
from harness.host import Host
from harness.model import ModelInfo
from harness.plan import Cell, Plan, cell_id, complete, expand, read_plan, write_plan

MakeHost = Callable[..., Host]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Options of the fake backend and technique."""

    amount: float = 0.5
    fast: bool = False


def source(name: str, *default: str) -> ModelSource:
    return ModelSource(
        name=name,
        summary="",
        claims=lambda ref: ref.startswith(f"{name}:"),
        format="file",
        list_models=lambda: [ModelInfo(ref=f"{name}:linear", summary="", task="top1", licence="")],
        load=lambda ref, cache, seed: None,  # type: ignore[arg-type, return-value]
        identity=lambda ref: ref,
        default=default,
    )


def backend(name: str, **more: Any) -> Backend:
    return Backend(
        name=name,
        summary="",
        reads=("file",),
        prepare=lambda: None,
        open=lambda path, options: None,  # type: ignore[arg-type, return-value]
        options=Tuning,
        **more,
    )


def technique(name: str, default: str | None = None) -> Technique:
    return Technique(name=name, summary="", stage="artifact", options=Tuning, default=default)


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    gone = Availability(ok=False, reason="not installed: gone")
    return make_host(
        models=[source("zoo", "zoo:linear", "zoo:square"), source("file")],
        techniques=[technique("squeeze", default=""), technique("trim", default="amount=0.25"), technique("rare")],
        implementations=[
            Implementation(technique=t, format="file", apply=lambda file, options, context: file)
            for t in ("squeeze", "trim", "rare")
        ],
        backends=[backend("fast"), backend("slow"), backend("gone", available=lambda: gone)],
    )


def cells(host: Host, **given_fields: Any) -> tuple[Cell, ...]:
    return expand(complete(Plan(**given_fields), host), host)


def test_an_empty_plan_takes_the_defaults_of_the_plugins(host: Host) -> None:
    plan = complete(Plan(), host)
    assert plan.models == ("zoo:linear", "zoo:square")
    assert plan.recipes == ("baseline", "squeeze", "trim(amount=0.25)")
    assert plan.backends == ("fast", "slow")
    assert plan.profiles == ("host",)
    assert plan.threads >= 1


def test_completing_twice_changes_nothing_more(host: Host) -> None:
    once = complete(Plan(), host)
    assert complete(once, host) == once


def test_the_baseline_is_always_there_and_first(host: Host) -> None:
    assert complete(Plan(recipes=("squeeze", "baseline")), host).recipes == ("baseline", "squeeze")


def test_a_backend_that_is_asked_for_may_be_unavailable(host: Host) -> None:
    assert complete(Plan(backends=("gone",)), host).backends == ("gone",)


def test_without_plugins_it_says_how_to_install_some(make_host: MakeHost) -> None:
    with pytest.raises(UsageError, match="pip install"):
        complete(Plan(), make_host())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threads", -1),
        ("seed", -1),
        ("seed", 2**32),
        ("budget_s", 0.0),
        ("budget_s", float("inf")),
        ("budget_s", float("nan")),
        ("processes", 0),
        ("precision", 0.0),
        ("precision", 1.0),
        ("precision", float("nan")),
        ("timeout_s", -1.0),
        ("memory_limit_mb", -1),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_with_what_does(host: Host, field: str, value: float) -> None:
    with pytest.raises(UsageError) as caught:
        complete(replace(Plan(), **{field: value}), host)
    assert str(value) in caught.value.message
    assert "Allowed" in caught.value.hint


def test_every_model_recipe_and_backend_is_one_cell(host: Host) -> None:
    found = cells(host)
    assert len(found) == len({c.name for c in found}) == 2 * 3 * 2
    assert [c.baseline for c in found] == [c.recipe.steps == () for c in found]


def test_two_ways_of_writing_one_cell_are_one_cell(host: Host) -> None:
    found = cells(
        host,
        models=("zoo:linear",),
        recipes=("trim(fast=true, amount=0.1)", " trim( amount = 0.1 ,fast=true)"),
        backends=("fast", "fast()", "fast(amount=0.5)", "fast(fast=true)"),
    )
    assert [c.name for c in found] == [
        "zoo:linear × baseline × fast",
        "zoo:linear × baseline × fast(fast=true)",
        "zoo:linear × trim(amount=0.1, fast=true) × fast",
        "zoo:linear × trim(amount=0.1, fast=true) × fast(fast=true)",
    ]


def test_a_cell_knows_every_option_of_its_backend_and_shows_those_that_were_changed(host: Host) -> None:
    cell = cells(host, backends=("fast(fast=true)",))[0]
    assert cell.backend_text == "fast(fast=true)"
    assert cell.options == {"amount": 0.5, "fast": True}


@pytest.mark.parametrize(
    ("given_fields", "error", "said"),
    [
        ({"models": ("zoo",)}, UsageError, "no model 'zoo'"),
        ({"backends": ("fsat",)}, UnknownNameError, "Did you mean 'fast'"),
        ({"backends": ("fast+slow",)}, UsageError, "'fast+slow' is not a backend"),
        ({"backends": ("fast@file",)}, UsageError, "'fast@file' is not a backend"),
        ({"backends": ("baseline",)}, UsageError, "'baseline' is not a backend"),
        ({"backends": ("fast(turbo=true)",)}, RecipeError, "no option 'turbo'"),
        ({"recipes": ("sqeeze",)}, UnknownNameError, "Did you mean 'squeeze'"),
        ({"recipes": ("trim(amount=true)",)}, RecipeError, "amount = True"),
    ],
)
def test_a_name_that_nobody_provides_is_one_message_with_advice(
    host: Host, given_fields: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        cells(host, **given_fields)
    assert said in str(caught.value)
    assert getattr(caught.value, "hint", "")


def test_a_model_that_two_sources_claim_names_both(make_host: MakeHost) -> None:
    greedy = replace(source("greedy"), claims=lambda ref: True)
    host = make_host(models=[greedy, replace(greedy, name="hungry")], backends=[backend("fast")])
    with pytest.raises(UsageError, match=r"claimed by fake .* and fake"):
        cells(host, models=("net.bin",))


def test_a_prefix_settles_who_a_model_belongs_to(make_host: MakeHost) -> None:
    greedy = replace(source("greedy"), claims=lambda ref: True)
    host = make_host(models=[greedy, source("zoo")], backends=[backend("fast")])
    assert {c.source.name for c in cells(host, models=("zoo:linear",))} == {"zoo"}


def test_the_identity_of_a_row_changes_with_what_changes_its_numbers(host: Host) -> None:
    plan = complete(Plan(threads=2), host)
    cell = expand(plan, host)[0]
    others = [replace(plan, threads=1), replace(plan, seed=1), replace(plan, data="pictures")]
    identities = {cell_id(cell, "rpi4", p) for p in [plan, *others]} | {cell_id(cell, "rpi5", plan)}
    assert len(identities) == 5


def test_the_identity_of_a_row_does_not_change_with_order_or_budget(host: Host) -> None:
    plan = complete(Plan(), host)
    turned = replace(plan, models=plan.models[::-1], recipes=plan.recipes[::-1], backends=plan.backends[::-1],
                     budget_s=1.0, processes=5, precision=0.1)  # fmt: skip

    def identities(chosen: Plan) -> set[str]:
        return {cell_id(c, "rpi4", chosen) for c in expand(chosen, host)}

    assert identities(plan) == identities(turned)
    assert len(identities(plan)) == len(expand(plan, host))


texts = st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=3).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=False)
plans = st.builds(
    Plan,
    models=texts,
    recipes=texts,
    backends=texts,
    profiles=texts,
    data=st.text(st.characters(codec="utf-8"), max_size=8),
    threads=st.integers(),
    seed=st.integers(),
    budget_s=numbers,
    processes=st.integers(),
    precision=numbers,
    timeout_s=numbers,
    memory_limit_mb=st.integers(),
    plugins=texts,
    block=texts,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(plans)
def test_a_plan_that_was_written_is_read_as_it_was(tmp_path: Path, plan: Plan) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(write_plan(plan), encoding="utf-8", newline="")
    assert read_plan(path) == plan


def test_a_name_that_is_not_text_to_the_system_survives_or_is_refused(tmp_path: Path) -> None:
    name = os.fsdecode(b"model-\xff.onnx")
    with pytest.raises(UsageError) as caught:
        write_plan(Plan(models=(name,)))
    assert "model-" in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modles = []", "unknown key 'modles'"),
        ("models = 'zoo:linear'", "models = 'zoo:linear'"),
        ("models = [1]", "models.0 = 1"),
        ("threads = true", "threads = True"),
        ("threads = '2'", "threads = '2'"),
        ("threads = 1.5", "threads = 1.5"),
        ("budget_s = '30 s'", "budget_s = '30 s'"),
        ("budget_s = ", "is not TOML"),
        ("[models]\nfirst = 'zoo:linear'", "models = {'first'"),
    ],
)
def test_a_plan_that_does_not_fit_names_file_key_and_value(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_plan(path)
    assert str(path) in caught.value.message
    assert said in caught.value.message
    assert caught.value.hint


def test_an_unknown_key_offers_the_nearest_and_lists_them_all(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("buget_s = 3\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"Did you mean 'budget_s'.*Allowed: models, recipes"):
        read_plan(path)


def test_a_whole_number_is_fine_where_seconds_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("budget_s = 30\n", encoding="utf-8")
    assert read_plan(path).budget_s == 30.0


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_plan_that_cannot_be_read_is_one_message(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "plan.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_plan(path)

"""Routes: the cheapest faithful way from a model through a recipe to a format that a backend reads, or why none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.contributions import Availability, Converter, Implementation, Technique
from harness.errors import RecipeError, UnknownNameError
from harness.host import Host
from harness.recipe import parse_recipe
from harness.record import SkipReason
from harness.route import NoRoute, check_recipe, find_route

MakeHost = Callable[..., Host]
MISSING = Availability(ok=False, reason="not installed: widget", install="pip install widget")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Options with something to refuse."""

    amount: float = 0.5
    exact: bool = False


def technique(name: str, stage: str = "artifact", *needs: str) -> Technique:
    return Technique(name=name, summary="", stage=stage, options=Amount, needs=frozenset(needs))  # type: ignore[arg-type]


def done_on(name: str, fmt: str, **more: Any) -> Implementation:
    return Implementation(technique=name, format=fmt, apply=lambda file, options, context: file, **more)


def conversion(source: str, target: str, cost: int = 1, **more: Any) -> Converter:
    return Converter(source=source, target=target, convert=lambda file, context: Path(), cost=cost, **more)


def way(host: Host, recipe: str, *reads: str, source: str = "module") -> list[str]:
    """Names of the steps of the route."""
    route = find_route(host, source, parse_recipe(recipe), reads)
    assert not isinstance(route, NoRoute), route
    return [step.name for step in route]


def why_not(host: Host, recipe: str, *reads: str, source: str = "module") -> NoRoute:
    route = find_route(host, source, parse_recipe(recipe), reads)
    assert isinstance(route, NoRoute), route
    return route


def test_a_format_that_the_backend_reads_needs_no_step(make_host: MakeHost) -> None:
    assert way(make_host(), "baseline", "onnx", source="onnx") == []


def test_among_faithful_chains_the_cheapest_wins(make_host: MakeHost) -> None:
    host = make_host(
        converters=[conversion("module", "a", 1), conversion("a", "z", 1), conversion("module", "b", 1),
                    conversion("b", "z", 5), conversion("module", "z", 4)]
    )  # fmt: skip
    assert way(host, "baseline", "z") == ["module → a", "a → z"]


def test_among_equally_cheap_chains_the_shortest_wins(make_host: MakeHost) -> None:
    host = make_host(converters=[conversion("module", "a"), conversion("a", "z"), conversion("module", "z", 2)])
    assert way(host, "baseline", "z") == ["module → z"]


def test_a_faithful_chain_beats_a_cheaper_one_that_loses(make_host: MakeHost) -> None:
    host = make_host(
        converters=[
            conversion("module", "z", 1, lossless=False),
            conversion("module", "a", 50),
            conversion("a", "z", 50),
        ]
    )  # fmt: skip
    assert way(host, "baseline", "z") == ["module → a", "a → z"]


def test_a_chain_that_loses_is_taken_when_there_is_no_other(make_host: MakeHost) -> None:
    host = make_host(converters=[conversion("module", "z", 1, lossless=False)])
    assert way(host, "baseline", "z") == ["module → z"]


def test_the_format_that_the_backend_prefers_is_taken_though_another_is_cheaper(make_host: MakeHost) -> None:
    host = make_host(converters=[conversion("module", "native", 90), conversion("module", "foreign", 1)])
    assert way(host, "baseline", "native", "foreign") == ["module → native"]


def test_the_second_choice_is_taken_when_the_first_cannot_be_reached(make_host: MakeHost) -> None:
    host = make_host(converters=[conversion("module", "foreign", 1)])
    assert way(host, "baseline", "native", "foreign") == ["module → foreign"]


def test_a_technique_is_done_on_the_format_that_the_backend_reads(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze")],
        implementations=[done_on("squeeze", "a"), done_on("squeeze", "b")],
        converters=[conversion("module", "a"), conversion("a", "b")],
    )
    assert way(host, "squeeze", "b") == ["module → a", "a → b", "squeeze@b"]
    assert way(host, "squeeze", "a") == ["module → a", "squeeze@a"]


def test_converting_after_a_technique_on_files_costs_more_but_is_done_when_it_must(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze")],
        implementations=[done_on("squeeze", "a")],
        converters=[conversion("module", "a"), conversion("a", "b")],
    )
    assert way(host, "squeeze", "b") == ["module → a", "squeeze@a", "a → b"]


def test_a_forced_format_is_where_the_technique_is_done(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze")],
        implementations=[done_on("squeeze", "a"), done_on("squeeze", "b")],
        converters=[conversion("module", "a"), conversion("a", "b")],
    )
    assert way(host, "squeeze@a", "b") == ["module → a", "squeeze@a", "a → b"]


def test_a_technique_may_produce_another_format(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("lower", "module")], implementations=[done_on("lower", "module", produces="blob")]
    )
    assert way(host, "lower", "blob") == ["lower@module"]


def test_module_techniques_come_before_the_converter(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("prune", "module"), technique("squeeze")],
        implementations=[done_on("prune", "module"), done_on("squeeze", "a")],
        converters=[conversion("module", "a")],
    )
    assert way(host, "prune+squeeze", "a") == ["prune@module", "module → a", "squeeze@a"]


def test_one_technique_may_stand_in_a_recipe_twice(make_host: MakeHost) -> None:
    host = make_host(techniques=[technique("squeeze")], implementations=[done_on("squeeze", "a")])
    assert way(host, "squeeze(amount=0.1)+squeeze(amount=0.2)", "a", source="a") == ["squeeze@a", "squeeze@a"]


def test_converters_that_go_round_in_circles_end(make_host: MakeHost) -> None:
    host = make_host(converters=[conversion("a", "b"), conversion("b", "a")])
    assert why_not(host, "baseline", "z", source="a").reason is SkipReason.NO_CONVERTER


def test_a_step_says_who_does_it_with_every_option(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze", "artifact", "labels", "calibration")],
        implementations=[done_on("squeeze", "a", requires=("numpy",))],
    )
    route = find_route(host, "a", parse_recipe("squeeze(exact=true)"), ("a",))
    assert not isinstance(route, NoRoute)
    (step,) = route
    assert step.provider == "fake (fakes 1)"
    assert step.options == {"amount": 0.5, "exact": True}
    assert step.label == "squeeze(exact=true)"
    assert step.requires == ("numpy",)
    assert step.needs == ("calibration", "labels")


def test_an_order_that_cannot_work_is_refused_with_the_one_that_does(make_host: MakeHost) -> None:
    host = make_host(techniques=[technique("prune", "module"), technique("tune", "module"), technique("squeeze")])
    with pytest.raises(RecipeError) as caught:
        check_recipe(host, parse_recipe("squeeze(amount=0.2)+prune+tune"))
    assert "squeeze makes a file" in caught.value.message
    assert "prune+tune+squeeze(amount=0.2)" in caught.value.hint


def test_an_unknown_technique_offers_the_nearest(make_host: MakeHost) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'squeeze'"):
        check_recipe(make_host(techniques=[technique("squeeze")]), parse_recipe("squeze"))


def test_an_unsupported_option_leads_to_the_implementation_that_supports_it(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze")],
        implementations=[done_on("squeeze", "b", unsupported=frozenset({"exact"})), done_on("squeeze", "a")],
        converters=[conversion("module", "a"), conversion("a", "b")],
    )
    assert way(host, "squeeze", "b") == ["module → a", "a → b", "squeeze@b"]
    assert way(host, "squeeze(exact=true)", "b") == ["module → a", "squeeze@a", "a → b"]


def test_an_option_that_nobody_supports_is_refused_by_name(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze")],
        implementations=[done_on("squeeze", "a", unsupported=frozenset({"exact", "amount"}))],
    )
    refused = why_not(host, "squeeze(exact=true)", "a", source="a")
    assert refused.reason is SkipReason.NO_IMPLEMENTATION
    assert "does not support the option exact" in refused.detail
    assert "amount" not in refused.detail


def test_an_option_at_its_default_is_never_refused(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze")],
        implementations=[done_on("squeeze", "a", unsupported=frozenset({"exact"}))],
    )
    assert way(host, "squeeze(exact=false)", "a", source="a") == ["squeeze@a"]


def test_without_a_converter_it_says_what_was_reached_and_what_is_read(make_host: MakeHost) -> None:
    refused = why_not(make_host(converters=[conversion("module", "a")]), "baseline", "y", "z")
    assert refused.reason is SkipReason.NO_CONVERTER
    assert "reached a, module" in refused.detail
    assert "reads y, z" in refused.detail


def test_a_converter_that_is_not_installed_is_named_with_the_command(make_host: MakeHost) -> None:
    host = make_host(
        converters=[conversion("module", "a"), conversion("a", "z", available=lambda: MISSING),
                    conversion("elsewhere", "z", available=lambda: Availability(ok=False, reason="unrelated"))]
    )  # fmt: skip
    refused = why_not(host, "baseline", "z")
    assert refused.reason is SkipReason.NO_CONVERTER
    assert "a → z: not installed: widget" in refused.detail
    assert "pip install widget" in refused.hint
    assert "unrelated" not in refused.detail


def test_a_technique_on_a_format_that_needs_a_missing_converter_names_it(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze")],
        implementations=[done_on("squeeze", "z")],
        converters=[conversion("module", "z", available=lambda: MISSING)],
    )
    refused = why_not(host, "squeeze", "z")
    assert refused.reason is SkipReason.NO_CONVERTER
    assert "pip install widget" in refused.hint


def test_an_implementation_that_is_not_installed_is_named_with_the_command(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze")], implementations=[done_on("squeeze", "a", available=lambda: MISSING)]
    )
    refused = why_not(host, "squeeze", "a", source="a")
    assert refused.reason is SkipReason.NO_IMPLEMENTATION
    assert "not installed: widget" in refused.detail
    assert "pip install widget" in refused.hint


def test_a_forced_format_is_not_excused_by_another_that_is_not_installed(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze")],
        implementations=[done_on("squeeze", "a"), done_on("squeeze", "b", available=lambda: MISSING)],
    )
    refused = why_not(host, "squeeze@a", "b", source="b")
    assert "widget" not in refused.detail + refused.hint
    assert "squeeze is done on a, b" in refused.detail
    assert "@a" in refused.detail


def test_a_technique_that_nobody_implements_says_so(make_host: MakeHost) -> None:
    refused = why_not(make_host(techniques=[technique("squeeze")]), "squeeze", "a", source="a")
    assert refused.reason is SkipReason.NO_IMPLEMENTATION
    assert "no format" in refused.detail


def test_the_technique_that_is_in_the_way_is_named_not_the_ones_that_were_done(make_host: MakeHost) -> None:
    host = make_host(
        techniques=[technique("squeeze"), technique("polish")],
        implementations=[done_on("squeeze", "a"), done_on("polish", "b")],
    )
    assert "polish is done on b" in why_not(host, "squeeze+polish", "a", source="a").detail


def test_a_format_out_of_reach_after_the_last_technique_is_said_with_what_is_read(
    make_host: MakeHost,
) -> None:
    host = make_host(
        techniques=[technique("squeeze")],
        implementations=[done_on("squeeze", "a"), done_on("squeeze", "c", available=lambda: MISSING)],
    )
    refused = why_not(host, "squeeze@a", "b", source="a")
    assert refused.reason is SkipReason.NO_IMPLEMENTATION
    assert "squeeze is done on a" in refused.detail
    assert "reads b" in refused.detail


def stages(make_host: MakeHost) -> Host:
    names = {"narrow": "structure", "factor": "structure", "zeros": "sparsity", "train": "module", "freeze": "lowering",
             "shrink": "artifact"}  # fmt: skip
    return make_host(
        techniques=[technique(name, stage) for name, stage in names.items()]
        + [Technique(name=n, summary="", stage="artifact", options=Amount, excludes="precision") for n in ("i8", "f16")]
    )


@pytest.mark.parametrize(
    "recipe",
    [
        "narrow+train+zeros+train+freeze+shrink",
        "train+narrow",
        "narrow+factor",
        "zeros+zeros+train",
        "train+shrink",
        "i8",
    ],
)
def test_an_order_in_which_every_technique_keeps_what_came_before_is_taken(recipe: str, make_host: MakeHost) -> None:
    assert len(check_recipe(stages(make_host), parse_recipe(recipe))) == recipe.count("+") + 1


@pytest.mark.parametrize(
    ("recipe", "because", "right"),
    [
        ("zeros+narrow", "zeros makes zeros", "narrow+zeros"),
        ("train+zeros+factor+i8", "zeros makes zeros", "factor+train+zeros+i8"),
        ("freeze+train", "freeze makes a file", "train+freeze"),
        ("freeze+zeros", "freeze makes a file", "zeros+freeze"),
        ("shrink+narrow(amount=0.25)", "shrink makes a file", "narrow(amount=0.25)+shrink"),
        ("shrink+freeze", "shrink makes a file", "freeze+shrink"),
    ],
)
def test_an_order_that_would_lose_work_is_refused_with_the_one_that_does_not(
    recipe: str, because: str, right: str, make_host: MakeHost
) -> None:
    host = stages(make_host)
    with pytest.raises(RecipeError, match=because) as raised:
        check_recipe(host, parse_recipe(recipe))
    assert raised.value.hint == f"The order that works is: {right}"
    assert check_recipe(host, parse_recipe(right))


def test_two_techniques_that_decide_the_same_are_refused_in_one_recipe(make_host: MakeHost) -> None:
    with pytest.raises(RecipeError, match="i8 and f16 both decide the precision") as raised:
        check_recipe(stages(make_host), parse_recipe("i8+f16"))
    assert "--recipe i8 --recipe f16" in raised.value.hint

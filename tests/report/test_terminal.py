"""The report in a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.record import Record
from harness.report.document import build_report
from harness.report.terminal import render_terminal

ANSI = re.compile(r"\x1b\[\d+m")


def render(records: list[Record], width: int = 100, *, colour: bool = False) -> str:
    return render_terminal(build_report(records, {}), width, colour)


@pytest.mark.parametrize("width", [50, 80, 100, 140, 220])
def test_no_line_is_wider_than_the_terminal(records: list[Record], width: int) -> None:
    assert max(map(len, render(records, width).split("\n"))) <= width


def test_at_80_columns_a_row_has_one_line_with_both_latencies_and_the_speed(records: list[Record]) -> None:
    text = render(records, 80)
    assert "Use int8-static in onnxruntime: 442 µs [221, 883]" in text
    assert re.search(r"host µs +rpi4 µs .*\n +measured +estimated ", text)
    assert re.search(r"\n\* int8-static +onnxruntime +39\.\d \[\d\d, \d\d\] +442 \[221, 883\] +86\.0 +2\.10×\n", text)
    assert re.search(r"\nprune-magnitude +torch .* ≈\n", text)


def test_a_run_of_two_models_fits_about_two_screens(records: list[Record]) -> None:
    assert render(records, 80).count("\n") < 90


def test_options_left_out_of_a_name_are_told(records: list[Record]) -> None:
    assert re.search(r"In full:\s+prune-magnitude\(amount=0\.5\)\.", render(records, 80))


def test_recipes_that_differ_in_options_keep_them(factory: dict[str, Any]) -> None:
    recipes = ("prune-magnitude(amount=0.5)", "prune-magnitude(amount=0.7)")
    text = render([factory["record"](), *(factory["record"](recipe=recipe) for recipe in recipes)], 80)
    assert "(amount=0.5)" in text
    assert "(amount=0.7)" in text


def test_a_narrow_terminal_gets_intervals_below_their_value(records: list[Record]) -> None:
    assert re.search(r"\nin onnxruntime +\[[\d., ]+\]", render(records, 60))


def test_columns_left_out_are_named(records: list[Record]) -> None:
    assert re.search(r"Left out for width: .*rpi4 energy.* → see report\.md", render(records, 80), re.DOTALL)


def test_a_wide_terminal_gets_every_column(records: list[Record]) -> None:
    text = render(records, 260)
    assert "Left out" not in text
    assert "rpi4 energy" in text


def test_simulated_numbers_are_labelled_where_they_stand(records: list[Record]) -> None:
    lines = render(records, 80).split("\n")
    at = next(number for number, line in enumerate(lines) if line.startswith("* int8-static [1]"))
    assert "simulated" in "\n".join(lines[at : at + 3])


def test_missing_rows_show_reason_cells_and_what_to_do(records: list[Record]) -> None:
    text = render(records, 200)
    assert "failed 1: Check 'element_type.is_static()' failed at node DynamicQuantizeLinear_12" in text
    assert "int8-dynamic in openvino" in text
    assert "stage open, openvino edge-bench 0.1.0" in text
    assert "Next: run it in onnxruntime" in text


def test_what_is_skipped_alike_in_every_table_is_said_once_and_short(records: list[Record]) -> None:
    text = " ".join(render(records, 80).split())
    told = "skipped 3 in each table: fp16, int8-dynamic, int8-static in torch: no implementation of the technique"
    assert text.count(told) == 1
    assert "NOT_QUANTISED" not in text


def test_how_variants_were_made_is_left_to_the_files(records: list[Record]) -> None:
    assert "1 Gemm left in float" not in render(records)


def test_names_cannot_control_the_terminal(factory: dict[str, Any]) -> None:
    nasty = factory["record"](model="net\x1b]0;owned\x07\n\u202e", recipe="baseline")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", render([nasty]))


def test_colour_changes_nothing_but_colour(records: list[Record]) -> None:
    plain, coloured = render(records, 80), render(records, 80, colour=True)
    assert plain != coloured
    assert ANSI.sub("", coloured) == plain


def test_a_long_recipe_is_broken_before_its_techniques(factory: dict[str, Any]) -> None:
    recipe = "prune-channels(macs=0.5)+distill-soft(temperature=4)+int8-static"
    text = render([factory["record"](), factory["record"](recipe=recipe)], 80)
    assert "\n+distill-soft" in text


def test_thousands_of_rows_are_cut_to_those_that_matter(factory: dict[str, Any]) -> None:
    base = factory["record"]()
    many = [base, *(replace(base, recipe=f"r{n}", estimate=factory["estimate"](n / 50)) for n in range(1, 200))]
    text = render(many)
    assert "140 slower rows → see report.md" in text
    assert "baseline" in text


def test_an_empty_run_renders() -> None:
    assert "no records" in render([])


def test_a_number_that_is_missing_is_a_dash(factory: dict[str, Any]) -> None:
    text = render([factory["record"](), factory["record"](recipe="fp16", estimate=None)], 200)
    (line,) = (line for line in text.split("\n") if line.startswith("fp16"))
    assert " – " in line
    assert not re.search(r"\s0(\.0+)?\s", line)

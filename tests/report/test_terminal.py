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


def test_at_80_columns_the_answer_and_both_latencies_are_shown(records: list[Record]) -> None:
    text = render(records, 80)
    assert "Use int8-static in onnxruntime: 0.442 ms" in text
    assert re.search(r"measured +estimated ", text)
    assert "2.09× faster" in text
    assert "[2.06, 2.13]" in text


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


def test_notes_of_the_lineage_are_shown(records: list[Record]) -> None:
    assert "int8-static (onnx): 1 Gemm left in float: its input is not calibrated" in render(records)


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

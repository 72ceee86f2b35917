"""The picture of how a variant was made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.record import LineageStep, Record
from harness.report.document import build_report
from harness.report.html import render_html
from harness.report.lineage import Lineage, lineages


def step(name: str, size: int | None, **more: Any) -> LineageStep:
    return LineageStep(
        kind=more.pop("kind", "technique"), name=name, plugin="p 1", format="onnx", size_bytes=size, seconds=1.0, **more
    )


def picture(factory: dict[str, Any], *steps: LineageStep) -> Lineage:
    (found,) = lineages(build_report([record(factory, *steps)], {}).sections[0])
    return found


def record(factory: dict[str, Any], *steps: LineageStep) -> Record:
    made: Record = factory["record"](recipe="int8-static")
    return replace(made, variant=replace(made.variant, lineage=steps))


def test_sizes_are_bars_against_the_largest_with_what_changed(factory: dict[str, Any]) -> None:
    found = picture(factory, step("model", 100_000, kind="source"), step("int8", 27_000), step("pack", 27_100))
    assert [node.bar for node in found.nodes] == [100.0, 27.0, 27.1]
    assert [node.change for node in found.nodes] == ["", "\N{MINUS SIGN}73 %", ""]


def test_a_live_object_of_unknown_size_has_no_bar_and_is_no_reference(factory: dict[str, Any]) -> None:
    found = picture(factory, step("model", 200, kind="source"), step("prune", None), step("int8", 100))
    assert [node.bar for node in found.nodes] == [100.0, None, 50.0]
    assert found.nodes[2].change == "\N{MINUS SIGN}50 %"


def test_accuracy_is_compared_with_the_last_that_was_scored_over_as_many_rows(factory: dict[str, Any]) -> None:
    found = picture(
        factory,
        step("model", 9, kind="source", accuracy=0.83, accuracy_n=500),
        step("convert", 9, kind="converter"),
        step("prune", 9, accuracy=0.80, accuracy_n=500),
        step("other", 9, accuracy=0.99, accuracy_n=20),
    )
    assert [node.gone for node in found.nodes] == ["", "", "\N{MINUS SIGN}3.0 points", ""]
    assert found.nodes[0].accuracy == "83.0 % of 500 right"


def test_the_page_draws_every_step_and_escapes_its_name(factory: dict[str, Any]) -> None:
    made = record(factory, step("<b>model</b>", 9, kind="source", parameters=24_359, macs=364_000), step("int8", 3))
    text = render_html(build_report([made], {}))
    assert text.count('<span class="stop ') == 2
    assert "<b>model" not in text
    assert "24.4 k parameters" in text
    assert "364 k MACs" in text

"""Reasons and robustness as readers see them, in Markdown and HTML."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.record import CorruptedQuality
from harness.report.document import build_report
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.why.reason import Cause, Reason

REASONS = (
    Reason(cause=Cause.NO_DOT_PRODUCT, where="device", basis="estimated", share=0.9, text="it has no dot product."),
    Reason(cause=Cause.TOO_SMALL, where="host", basis="measured", share=0.3, text="small <b>net</b>."),
    Reason(cause=Cause.FLOAT_LEFT, where="host", basis="counted", share=0.6, text="3 of 5 in float."),
)


def noisy(value: float, drop: float | None) -> CorruptedQuality:
    return CorruptedQuality(corruption="noise", value=value, lo95=value - 0.1, hi95=value + 0.1, n=500, drop=drop,
                            drop_lo95=-0.01, drop_hi95=0.05)  # fmt: skip


def records(factory: dict[str, Any], **of_variant: Any) -> list[Any]:
    base, variant = factory["record"](), factory["record"](recipe="int8-static")
    if of_variant.pop("robust", False):
        base = replace(base, quality=replace(base.quality, robustness=(noisy(0.7, 0.0),)))
        variant = replace(variant, quality=replace(variant.quality, robustness=(noisy(0.68, 0.02),)))
    return [base, replace(variant, **of_variant)]


def test_reasons_stand_with_where_and_how_they_are_known_this_machine_first(factory: dict[str, Any]) -> None:
    text = render_markdown(build_report(records(factory, why=REASONS), {}))
    section = text.partition("<summary>Why is it not faster?</summary>")[2]
    lines = [line.strip() for line in section.splitlines() if line.startswith("  - ")][:3]
    assert lines == [
        "- here, by the graph and the processor: 3 of 5 in float.",
        "- here, measured: small &lt;b&gt;net&lt;/b&gt;.",
        "- on rpi4, estimated: it has no dot product.",
    ]


def test_html_escapes_reasons_and_says_how_many_there_are(factory: dict[str, Any]) -> None:
    text = render_html(build_report(records(factory, why=REASONS), {}))
    assert "Why is it not faster?" in text
    assert "small &lt;b&gt;net&lt;/b&gt;." in text
    assert "and 2 more" in text


def test_without_reasons_the_question_is_not_asked(factory: dict[str, Any]) -> None:
    report = build_report(records(factory), {})
    assert "Why is it not faster?" not in render_markdown(report)
    assert "Why is it not faster?" not in render_html(report)


def test_quality_under_corruptions_is_a_table_with_points_against_the_baseline(factory: dict[str, Any]) -> None:
    report = build_report(records(factory, robust=True), {})
    text = render_markdown(report)
    assert "| variant | backend | clean | noise |" in text
    assert "70.0 % |" in text  # the baseline gains nothing on itself
    assert "68.0 % (−2.0 [−5.0, +1.0])" in text
    assert "Quality under corrupted inputs" in render_html(report)

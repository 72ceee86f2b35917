"""How far outputs are from the framework's, in words; and that too far is never hidden."""

from __future__ import annotations

from typing import Any

import pytest

from harness.record import Deviation
from harness.report import deviation as words
from harness.report.document import build_report
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.terminal import render_terminal


def deviation(largest: float | None, tolerance: float | None = 1e-3, reference: str = "baseline in frame") -> Deviation:
    return Deviation(reference=reference, largest=largest, tolerance=tolerance)


@pytest.fixture
def make(factory: dict[str, Any]):
    """A record whose outputs deviate so much: `make(3.1e-2, backend="b")`."""

    def record(largest: float | None, tolerance: float | None = 1e-3, **changes: Any):
        quality = factory["quality"](2544, 2947, deviation=deviation(largest, tolerance))
        return factory["record"](quality=quality, **changes)

    return record


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (deviation(2.1e-7), "agrees"),
        (deviation(0.0), "agrees"),
        (deviation(1e-3), "agrees"),
        (deviation(3.14e-2), "DIFFERS: 3.1e-02, allowed 1e-03"),
        (deviation(0.5, 1.5e-2), "DIFFERS: 5.0e-01, allowed 1.5e-02"),
        (deviation(0.5, None), "integers: judged by accuracy"),
        (deviation(None), "DIFFERS: not finite"),
        (deviation(None, None), "DIFFERS: not finite"),
    ],
)
def test_the_verdict_is_said_in_words(found: Deviation, verdict: str) -> None:
    assert words.verdict(found) == verdict


def test_no_difference_at_all_is_a_plain_zero() -> None:
    assert words.amount(deviation(0.0)) == "0"


def test_a_row_that_differs_says_so_in_its_remarks(make) -> None:
    (section,) = build_report([make(2e-7), make(3.1e-2, backend="slow", recipe="half")], {}).sections
    notes = {row.backend: row.notes for row in section.rows}
    assert (
        "it computes something else than baseline in frame: outputs differ by 3.1e-02 of the largest, allowed 1e-03"
        in notes["slow"]
    )
    assert not any("something else" in note for note in notes["onnxruntime"])


def test_a_report_in_which_all_agree_warns_of_nothing(make) -> None:
    (section,) = build_report([make(2e-7), make(0.3, None, backend="slow")], {}).sections
    assert section.warnings == ()


def test_a_warning_stands_at_the_top_of_every_rendering_before_any_table(make) -> None:
    report = build_report([make(2e-7), make(3.1e-2, backend="slow")], {})
    warning = "1 row computes something else than the framework that the network was written in: baseline in slow"
    for text, end in (
        (render_html(report), "<table"), (render_markdown(report), "\n|"), (render_terminal(report, 200), "─────"),
    ):  # fmt: skip
        flat = " ".join(text.split())
        assert warning in flat
        assert flat.index(warning) < flat.index(end.strip())


def test_a_warning_says_that_the_recommended_row_is_meant(make) -> None:
    (alone,) = build_report([make(3.1e-2)], {}).sections
    assert alone.warnings[0].endswith("It is the recommended row.")
    (both,) = build_report([make(3.1e-2), make(None, backend="slow")], {}).sections
    assert both.warnings[0].endswith("The recommended row is one of them.")


def test_of_many_rows_that_differ_some_are_named_and_all_are_counted(make) -> None:
    records = [make(2e-7), *(make(0.1, recipe=f"r{n}", backend="slow") for n in range(30))]
    (section,) = build_report(records, {}).sections
    (warning,) = section.warnings
    assert warning.startswith("30 rows compute something else")
    assert warning.count(" in slow ") == words.NAMED
    assert "; and 25 more." in warning


def test_names_in_a_warning_are_text(make) -> None:
    nasty = "<img src=x onerror=alert(1)>\x1b[31m|@who"
    report = build_report([make(0.1, backend=nasty, recipe=nasty)], {})
    assert "<img src=x" not in render_html(report)
    assert "<img" not in render_markdown(report)
    assert "\x1b" not in render_terminal(report, 200)

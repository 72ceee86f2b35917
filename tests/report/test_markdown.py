"""The report as Markdown."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.record import Failure, Record
from harness.report.document import build_report
from harness.report.markdown import escape, render_markdown


@pytest.fixture
def text(records: list[Record], environment: dict[str, Any]) -> str:
    return render_markdown(build_report(records, environment))


def tables(text: str) -> list[list[list[str]]]:
    found: list[list[list[str]]] = [[]]
    for line in text.split("\n"):
        if line.startswith("|"):
            found[-1].append(re.split(r"(?<!\\)\|", line)[1:-1])
        elif found[-1]:
            found.append([])
    return found[:-1]


def test_answers_stand_at_the_top(text: str) -> None:
    assert text.index("Use int8-static in onnxruntime") < text.index("## ")


def test_every_row_of_a_table_has_as_many_cells_as_its_heading(text: str) -> None:
    assert len(tables(text)) == 2
    for table in tables(text):
        assert len({len(cells) for cells in table}) == 1


def test_estimates_and_measurements_have_columns_of_their_own(text: str) -> None:
    heading = [cell.strip() for cell in tables(text)[0][0]]
    assert "host latency, measured" in heading
    assert "rpi4 latency, estimated" in heading


def test_a_simulated_latency_says_so_in_its_cell(text: str) -> None:
    heading, _, first, *_ = tables(text)[1]
    at = [cell.strip() for cell in heading].index("rpi4 latency, estimated")
    assert first[at].strip() == "101 µs [51, 202] simulated"


def test_lineage_missing_rows_and_method_are_told(text: str) -> None:
    assert "3. int8-static: onnx, 18.6 kB, 2.4 s, by quantize edge-bench 0.1.0" in text
    assert "     - 1 Gemm left in float: its input is not calibrated" in text
    assert "**failed at stage open, openvino edge-bench 0.1.0:**" in text
    assert "- **Noise:** quiet" in text


def test_steps_that_variants_share_are_told_once(factory: dict[str, Any]) -> None:
    text = render_markdown(build_report([
        factory["record"](),
        factory["record"](recipe="fp16", variant=factory["variant"]("fp16", size=32_500)),
    ], {}))  # fmt: skip
    assert text.count("1. zoo: module") == 1
    assert "Steps 1 to 2 are those of baseline in onnxruntime" in text


def test_markup_in_names_and_errors_appears_as_text(factory: dict[str, Any]) -> None:
    failure = Failure(stage="open", plugin="p|q", error="<img src=x>\n# not a heading | [link](http://x)", hint="*no*")
    text = render_markdown(build_report([
        factory["record"](model="<script>alert(1)</script>", recipe="a|b"),
        factory["missing"](factory["record"](model="<script>alert(1)</script>"), "failed", failure),
    ], {}))  # fmt: skip
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "a\\|b" in text
    assert "[link\\](http" in text
    assert not re.search(r"^# not", text, re.MULTILINE)
    assert len({len(cells) for cells in tables(text)[0]}) == 1


def test_intervals_are_left_readable() -> None:
    assert escape("0.412 ms [0.405, 0.420]") == "0.412 ms [0.405, 0.420]"


def test_an_empty_run_renders() -> None:
    assert "no records" in render_markdown(build_report([], {}))

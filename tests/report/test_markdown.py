"""The report as Markdown."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import UsageError
from harness.record import Failure, Record
from harness.report.document import build_report
from harness.report.markdown import escape, markdown_files, render_markdown
from harness.report.markdown_blocks import LONGEST


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
    assert len(tables(text)) == 8  # of each section: the columns that matter most, the others, and two of runtimes
    for table in tables(text):
        assert len({len(cells) for cells in table}) == 1


def test_estimates_and_measurements_have_columns_of_their_own(text: str) -> None:
    heading = [cell.strip() for cell in tables(text)[0][0]]
    assert "host latency, measured" in heading
    assert "rpi4 latency, estimated" in heading


def test_a_simulated_latency_says_so_in_its_cell(text: str) -> None:
    heading, _, first, *_ = tables(text)[4]
    at = [cell.strip() for cell in heading].index("rpi4 latency, estimated")
    assert first[at].strip().replace("\u00a0", " ") == "101 µs<br>[51, 202]<br>simulated"


def test_lineage_missing_rows_and_method_are_told(text: str) -> None:
    assert "3. int8-static: onnx, 18.6 kB, 2.4 s, by quantize edge-bench 0.1.0" in text
    assert "     - 1 Gemm left in float: its input is not calibrated" in text
    assert "**failed at stage open, openvino edge-bench 0.1.0:**" in text
    assert "- **Noise:** usable: " in text


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


@pytest.mark.parametrize(
    "text", ["@octocat", "#123", "owner/repo#7", "GH-42", "(@team/people)", "see gh-7", "x @a, #1"]
)
def test_nobody_is_mentioned_and_no_issue_is_linked(text: str) -> None:
    shown = html.unescape(escape(text)).replace("\\", "")
    assert not re.search(r"(?<!\w)@\w|#\d|(?i:\bgh-\d)", shown)
    assert shown.replace("\u200b", "") == text


def test_a_recipe_that_forces_a_format_can_be_copied() -> None:
    assert escape("int8-static@onnx") == "int8-static@onnx"


def test_without_the_libraries_for_it_the_picture_is_a_line_that_says_what_to_install(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    import harness.report.chart as chart

    def missing(section: object) -> str:
        raise UsageError("The Pareto chart needs Altair.", hint="pip install 'edge-bench[report]'")

    monkeypatch.setattr(chart, "pareto_svg", missing)
    files = markdown_files(build_report(records, {}))
    assert list(files) == [".md"]
    assert "There is no picture: The Pareto chart needs Altair. pip install 'edge-bench[report]'" in files[".md"]


def test_what_is_long_is_folded(text: str) -> None:
    for title in ("How each variant was made", "What the words mean", "Also: "):
        assert f"<details><summary>{title}" in text
    assert text.count("<details>") == text.count("</details>")


def many(factory: dict[str, Any], rows: int) -> list[Record]:
    base = factory["record"]()
    return [
        base,
        *(
            replace(base, recipe=f"r{number}", variant=factory["variant"](f"r{number}"),
                    estimate=factory["estimate"](1 + number / 50))
            for number in range(1, rows)
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [150, 700])
def test_what_github_has_no_room_for_is_named_and_stands_in_another_file(factory: dict[str, Any], rows: int) -> None:
    files = markdown_files(build_report(many(factory, rows), {}))
    assert len(files[".md"]) <= LONGEST
    (cut,) = re.findall(r"\*\*Cut, as GitHub takes 65,536 characters: (.*)\.\*\*", files[".md"])
    assert "how each variant was made (har-watch on rpi4)" in cut
    assert "[report-more.md](report-more.md)" in files[".md"]
    assert "How each variant was made" in files["-more.md"]
    assert files[".md"].count("<details>") == files[".md"].count("</details>")
    assert "★ **baseline** |" in files[".md"]
    assert f"| r{rows - 1} |" in files[".md"] + files["-more.md"]


def test_a_report_that_fits_is_one_file(records: list[Record], environment: dict[str, Any]) -> None:
    files = markdown_files(build_report(records, environment))
    assert "-more.md" not in files
    assert "Cut, as" not in files[".md"]


def test_a_single_text_that_is_too_long_is_cut_and_said(factory: dict[str, Any]) -> None:
    files = markdown_files(build_report([factory["record"](recipe="r" * 70_000)], {}))
    assert len(files[".md"]) <= LONGEST
    assert files[".md"].startswith("**Cut, as GitHub takes 65,536 characters")


def test_hundreds_of_sections_still_fit(factory: dict[str, Any]) -> None:
    files = markdown_files(build_report([factory["record"](model=f"m{number}") for number in range(300)], {}))
    assert len(files[".md"]) <= LONGEST
    assert "Cut, as GitHub takes" in files[".md"]

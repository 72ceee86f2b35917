"""Where the time goes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.operator_time import OperatorTime
from harness.record import Record
from harness.report.document import Section, build_report
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.operators import LONGEST_NAME, MOST_OPERATORS, MOST_ROWS, breakdowns, short, summary


def op(name: str, ns: int, does: str = "compute", precision: str = "fp32", kind: str = "Conv") -> OperatorTime:
    return OperatorTime(name=name, kind=kind, does=does, precision=precision, ns=ns)  # type: ignore[arg-type]


OPERATORS = (
    op("conv", 500), op("conv_int8", 250, precision="int8"), op("cast", 150, "quantise", kind="Cast"),
    op("pool", 100, "other", "", "MaxPool"),
)  # fmt: skip


def record(
    factory: dict[str, Any], recipe: str, operators: tuple[OperatorTime, ...] = OPERATORS, **more: Any
) -> Record:
    made: Record = factory["record"](
        recipe=recipe, measurement=factory["measurement"](0.083, operators=operators), **more
    )
    return made


def section(records: list[Record]) -> Section:
    return build_report(records, {}).sections[0]


def test_parts_are_shares_that_fill_the_bar(factory: dict[str, Any]) -> None:
    (row,) = breakdowns(section([record(factory, "baseline")])).rows
    assert [(part.look, part.start, part.share) for part in row.parts] == [
        ("int8", 0.0, 25.0), ("fp32", 25.0, 50.0), ("quantise", 75.0, 15.0), ("other", 90.0, 10.0),
    ]  # fmt: skip
    assert row.kinds == "Conv 75 %, Cast 15 %, MaxPool 10 %"
    assert summary(row).startswith("convolutions and matrix products in int8 25 %, ")


def test_the_baseline_of_a_backend_stands_before_its_variants(factory: dict[str, Any]) -> None:
    fast = record(factory, "int8-static", estimate=factory["estimate"](0.1))
    rows = breakdowns(section([fast, record(factory, "baseline")])).rows
    assert [row.recipe for row in rows] == ["baseline", "int8-static"]


def test_only_the_operators_that_take_most_are_listed_and_the_others_counted(factory: dict[str, Any]) -> None:
    many = tuple(op(f"n{number}", number) for number in range(1, 41))
    (row,) = breakdowns(section([record(factory, "baseline", many)])).rows
    assert len(row.top) == MOST_OPERATORS
    assert row.top[0].name == "n40"
    assert row.left == 40 - MOST_OPERATORS
    assert row.left_share == "40 %"


def test_a_long_name_keeps_both_ends() -> None:
    name = "/features/block_1/" + "x" * 80 + "/conv_7"
    assert len(short(name)) == LONGEST_NAME
    assert short(name).startswith("/features/")
    assert short(name).endswith("/conv_7")


def test_rows_without_a_profile_have_none_and_a_section_without_any_says_nothing(factory: dict[str, Any]) -> None:
    assert breakdowns(section([factory["record"]()])) is None
    assert '<div class="spents">' not in render_html(build_report([factory["record"]()], {}))


def test_a_huge_section_says_that_it_leaves_them_out(factory: dict[str, Any]) -> None:
    base = record(factory, "baseline")
    many = [base, *(replace(base, recipe=f"r{number}") for number in range(MOST_ROWS))]
    found = breakdowns(section(many))
    assert found.rows == ()
    assert found.left_out.startswith(f"Left out of reports above {MOST_ROWS} rows")
    assert found.left_out in render_html(build_report(many, {}))


def test_a_row_takes_at_most_three_kilobytes_of_the_page(factory: dict[str, Any]) -> None:
    many = tuple(op(f"/features/features.{number}/conv/Conv_quantised_fused", 100 - number) for number in range(60))
    whole = render_html(build_report([record(factory, "baseline", many + OPERATORS)], {}))
    (found,) = re.findall(r'<div class="spents">(.*?)</div>', whole, re.S)
    assert len(found.encode()) < 3_000


@pytest.mark.parametrize("render", [render_html, render_markdown], ids=["html", "markdown"])
def test_names_of_operators_are_escaped(factory: dict[str, Any], render: Any) -> None:
    nasty = (op("<img src=x>|`", 9, kind="<b>"), *OPERATORS)
    records = [record(factory, "baseline"), record(factory, "int8-static", nasty, estimate=factory["estimate"](0.1))]
    text = render(build_report(records, {}))
    assert "<img src=x" not in text
    assert "&lt;img src=x&gt;" in text


def test_markdown_tells_of_the_recommended_row_and_its_baseline_only(factory: dict[str, Any]) -> None:
    records = [
        record(factory, "baseline"), record(factory, "int8-static", estimate=factory["estimate"](0.1)),
        record(factory, "fp16", estimate=factory["estimate"](0.5)),
    ]  # fmt: skip
    text = render_markdown(build_report(records, {}))
    assert "<details><summary>Where the time goes: baseline and int8-static in onnxruntime</summary>" in text
    assert "| cast | Cast | fp32 | 15 % |" in text

"""The report as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record import Failure, Record
from harness.report.document import build_report
from harness.report.html import render_html
from harness.report.table import PAGE_ROWS, as_script

VOID = {"meta", "link", "br", "wbr", "col", "input", "path", "circle", "rect", "line"}


class Page(HTMLParser):
    """Elements with attributes, ids, texts by tag; raises on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]


@pytest.fixture
def text(records: list[Record], environment: dict[str, Any]) -> str:
    return render_html(build_report(records, environment))


@pytest.fixture
def page(text: str) -> Page:
    return Page(text)


def data(text: str) -> list[Any]:
    """What the sections tell their scripts."""
    return [
        json.loads(found) for found in re.findall(r'<script type="application/json" class="data">(.*?)</script>', text)
    ]


def rows(text: str) -> list[str]:
    return re.findall(r"<tr.*?</tr>", re.search(r'<table class="cells rows">.*?</table>', text, re.S)[0], re.S)[1:]


def test_elements_nest_and_ids_are_unique(page: Page) -> None:
    ids = Counter(found["id"] for _, found in page.elements if "id" in found)
    assert set(ids.values()) == {1}


def test_every_inner_link_and_label_has_its_target(page: Page) -> None:
    ids = {found["id"] for _, found in page.elements if "id" in found}
    links = [found["href"] for found in page.all("a")]
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert all(found["aria-labelledby"] in ids for _, found in page.elements if "aria-labelledby" in found)


def test_nothing_is_loaded_from_anywhere(text: str) -> None:
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.S).replace(
        'xmlns:xlink="http://www.w3.org/1999/xlink"', ""
    )
    markup = markup.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"""(src|href|action|data)=["'](?!#|data:,)""", markup)
    assert "@import" not in markup
    assert "url(" not in markup
    assert not re.search(r"https?://", markup)


def test_the_security_policy_admits_this_style_and_these_scripts_only(text: str, page: Page) -> None:
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    for tag, number in (("style", 1), ("script", 2)):
        inline = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
        digests = [base64.b64encode(hashlib.sha256(found.encode()).digest()).decode() for found in inline]
        assert len(digests) == number
        assert " ".join([f"{tag}-src", *(f"'sha256-{digest}'" for digest in digests)]) in policy["content"]
    assert "unsafe" not in policy["content"]
    assert not [found for _, found in page.elements if "style" in found or any(name.startswith("on") for name in found)]


def test_scripts_end_where_they_should(text: str) -> None:
    """A comment inside a script element can hide its end."""
    for inline in re.findall(r"<script[^>]*>(.*?)</script>", text, re.S):
        assert "<!--" not in inline
        assert "<script" not in inline


def test_markup_in_names_errors_and_notes_appears_as_text(factory: dict[str, Any]) -> None:
    nasty = "<script>alert(1)</script>"
    attribute = '"><img src=x onerror=alert(1)>'
    failure = Failure(stage=nasty, plugin=attribute, error=nasty, hint=attribute, reason="")
    records = [
        factory["record"](run=nasty, model=nasty, profile=attribute, recipe=nasty, backend=attribute),
        factory["record"](run=nasty, model=nasty, profile=attribute, backend=attribute, recipe="baseline",
                          quality=factory["quality"](1, 2, data=nasty, note=attribute)),
        factory["missing"](factory["record"](model=nasty, profile=attribute, recipe=nasty), "failed", failure),
    ]  # fmt: skip
    text = render_html(build_report(records, {"cpu": nasty, "notes": [attribute], "versions": {nasty: attribute}}))
    page = Page(text)
    kinds = [{}, {}, {"id": "chart", "type": "application/json"}, {"class": "data", "type": "application/json"}]
    assert all(found in kinds for found in page.all("script"))
    assert page.all("img") == []
    assert "alert(1)" not in re.search(r"<style>(.*?)</style>", text, re.S)[1].replace("\\", "")
    assert ("h1", f"{nasty} on {attribute}") in page.texts


def test_the_answer_stands_before_everything_else(text: str) -> None:
    assert text.index("Use int8-static in onnxruntime") < text.index("<table")


def test_latencies_measured_and_estimated_have_headings_of_their_own(text: str, page: Page) -> None:
    heads = re.findall(
        r'<th scope="col" class="(\w+)"><span class="title">(.*?)</span><span class="badge (\w+)">', text
    )
    assert {("host", "host latency", "measured"), ("device", "rpi4 latency", "estimated")} <= set(heads)
    assert [row for row in rows(text) if "edgetpu" in row and '<span class="badge simulated">' in row]


def test_cards_name_their_cells_without_headings(text: str) -> None:
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    assert '#s1 .rows td:nth-of-type(1)::before { content: "host latency\\2c  measured"; }' in style


def test_every_section_has_its_chart_as_a_still_picture(page: Page) -> None:
    assert len(page.all("div", **{"class": "drawing", "role": "img"})) == 2
    assert len(page.all("svg", **{"class": "marks"})) == 2


def test_the_numbers_of_a_row_stand_beside_its_cells(text: str, records: list[Record]) -> None:
    section = data(text)[1]
    keys = [column["key"] for column in section["columns"]]
    shown = build_report(records, {}).sections[1].rows
    at = next(n for n, row in enumerate(shown) if (row.recipe, row.backend) == ("int8-static", "onnxruntime"))
    flags, memory, *cells = section["rows"][at]
    assert len(cells) == len(keys) == rows(text)[0].count("<td")
    assert flags == "pme"
    assert memory == 24e6
    assert cells[keys.index("device")] == pytest.approx([441.6, 221, 883])


def test_beyond_twenty_sections_a_chart_waits_for_the_script(
    records: list[Record], environment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.report.html.PICTURES", 1)
    text = render_html(build_report(records, environment))
    assert text.count("This chart is drawn when scripts run") == 1
    assert len(Page(text).all("figure", **{"class": "chart"})) == 2


def test_a_section_is_complete_without_scripts_up_to_two_hundred_rows(factory: dict[str, Any]) -> None:
    records = [factory["record"](recipe=f"r{n}") for n in range(200)]
    text = render_html(build_report(records, {}))
    assert len(rows(text)) == 200
    assert "<template" not in text
    assert text.count('class="bar measured"') == 200


def test_of_more_rows_the_first_stand_in_the_document_and_the_others_beside_it(factory: dict[str, Any]) -> None:
    records = [factory["record"](recipe=f"r{n}", estimate=factory["estimate"](1 + n)) for n in range(230)]
    text = render_html(build_report(records, {}))
    beside = re.search(r'<template class="rest">(.*?)</template>', text, re.S)[1]
    assert len(rows(text)) == PAGE_ROWS
    assert beside.count("<tr") == 30
    assert "rows 1 to 200 of 230" in text
    Page(text)


def test_of_many_rows_the_front_and_baselines_and_the_fastest_are_told_at_length(factory: dict[str, Any]) -> None:
    records = [
        factory["record"](recipe="baseline" if n == 140 else f"r{n}", estimate=factory["estimate"](1 + n),
                          variant=factory["variant"](f"r{n}"))
        for n in range(150)
    ]  # fmt: skip
    text = render_html(build_report(records, {}))
    assert "100 of 150 rows are told at length below their tables" in text
    told = re.findall(r'<summary><span class="recipe">(.*?)</span>', text)
    assert len(told) == 100
    assert "baseline" in told
    assert "r0" in told
    assert "r149" not in told


@pytest.mark.parametrize("library", ["altair", "vl_convert"])
def test_without_the_chart_library_the_page_says_what_to_install_and_has_everything_else(
    records: list[Record], monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    text = render_html(build_report(records, {}))
    assert text.count("<code>pip install &#39;edge-bench[report]&#39;</code>") == 2
    assert len(rows(text)) > 5
    assert "vegaEmbed=" not in text
    assert len(text.encode()) < 300_000
    Page(text)


def test_a_page_stays_below_two_megabytes(text: str) -> None:
    assert len(text.encode()) < 1_500_000


def test_what_techniques_noted_stands_beside_the_folded_steps(page: Page, text: str) -> None:
    assert page.all("details")
    assert not any("open" in found for found in page.all("details"))
    summaries = re.findall("<summary>(.*?)</summary>", text, re.S)
    assert any("1 Gemm left in float: its input is not calibrated" in summary for summary in summaries)


def test_a_missing_number_is_a_dash_that_sorts_last(text: str) -> None:
    section = data(text)[0]
    missing = [[cell is None for cell in cells] for _, _, *cells in section["rows"]]
    shown = [[cell == "–" for cell in re.findall(r"<td[^>]*>([^<]*)", row)] for row in rows(text)]
    assert any(map(any, missing))
    assert shown == missing


def test_a_column_without_any_number_is_named_instead_of_shown(factory: dict[str, Any]) -> None:
    estimate = factory["estimate"](0.9, energy_mj=None, energy_above_idle_mj=None)
    text = render_html(build_report([factory["record"](estimate=estimate)], {}))
    names = "against baseline, measured; points lost; divergence; rpi4 energy, estimated; host energy, measured"
    assert f"Not known for any row: {names}." in text


def test_an_empty_run_and_a_run_of_failures_render(factory: dict[str, Any]) -> None:
    Page(render_html(build_report([], {})))
    gone = factory["missing"](factory["record"](), "failed", Failure(stage="open", plugin="p", error="e", hint=""))
    assert "No recommendation for rpi4: no variant was measured." in render_html(build_report([gone], {}))


def test_the_page_is_a_pure_function_of_the_records(
    records: list[Record], environment: dict[str, Any], text: str
) -> None:
    assert render_html(build_report(records, environment)) == text


@given(st.text())
def test_no_text_ends_a_script(text: str) -> None:
    inside = as_script({"name": text})
    assert not set(inside) & set("<>&\u2028\u2029")
    assert json.loads(inside) == {"name": text}

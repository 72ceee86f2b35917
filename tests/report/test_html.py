"""The report as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest

from harness.record import Failure, Record
from harness.report.document import build_report
from harness.report.html import render_html

VOID = {"meta", "link", "br", "wbr", "path", "circle", "rect", "line"}


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


def test_elements_nest_and_ids_are_unique(page: Page) -> None:
    ids = Counter(found["id"] for _, found in page.elements if "id" in found)
    assert set(ids.values()) == {1}


def test_every_inner_link_and_label_has_its_target(page: Page) -> None:
    ids = {found["id"] for _, found in page.elements if "id" in found}
    links = [found["href"] for found in page.all("a")]
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert all(found["aria-labelledby"] in ids for _, found in page.elements if "aria-labelledby" in found)


def test_nothing_is_loaded_from_anywhere(text: str, page: Page) -> None:
    assert not re.search(
        r"""(src|href|action|data)=["'](?!#|data:,)""", re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    )
    assert "@import" not in text
    assert "url(" not in text
    assert not re.search(r"https?://", text)
    assert page.all("script") == [{}]


def test_the_security_policy_admits_this_style_and_script_only(text: str, page: Page) -> None:
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    for tag in ("style", "script"):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy["content"]
    assert not [found for _, found in page.elements if "style" in found or any(name.startswith("on") for name in found)]


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
    page = Page(
        render_html(build_report(records, {"cpu": nasty, "notes": [attribute], "versions": {nasty: attribute}}))
    )
    assert page.all("script") == [{}]
    assert page.all("img") == []
    assert ("h1", f"{nasty} on {attribute}") in page.texts


def test_the_answer_stands_before_everything_else(text: str) -> None:
    assert text.index("Use int8-static in onnxruntime") < text.index("<table")


def test_latencies_measured_and_estimated_have_headings_of_their_own(page: Page) -> None:
    labels = {found["data-label"] for found in page.all("td")}
    assert {"host latency, measured", "rpi4 latency, estimated", "rpi4 latency, simulated"} <= labels


def test_every_section_has_a_scatter_for_screen_and_telephone(page: Page) -> None:
    assert len(page.all("svg", **{"class": "plot wide"})) == len(page.all("svg", **{"class": "plot narrow"})) == 2


def test_every_point_says_what_it_is(page: Page) -> None:
    titles = [text for tag, text in page.texts if tag == "title"]
    numbers = "442 µs [221, 883] estimated; top-1 accuracy 86.0 % [84.7, 87.2]"
    assert f"int8-static in onnxruntime; {numbers}; Pareto-optimal" in titles
    assert any("simulated" in title for title in titles)


def test_what_techniques_noted_stands_beside_the_folded_steps(page: Page, text: str) -> None:
    assert page.all("details")
    assert not any("open" in found for found in page.all("details"))
    summaries = re.findall("<summary>(.*?)</summary>", text, re.S)
    assert any("1 Gemm left in float: its input is not calibrated" in summary for summary in summaries)


def test_a_missing_number_is_a_dash_that_sorts_last(page: Page) -> None:
    empty = [found for found in page.all("td") if found.get("class") == "none"]
    assert empty
    assert not any("data-order" in found for found in empty)


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

"""The Pareto chart: what it draws, where names stand, and what it does without its libraries."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness.report
from harness.errors import UsageError
from harness.record import Record
from harness.report.chart import LIGHT, PAGE, STILL, missing_library, pareto_chart, pareto_svg
from harness.report.document import Section, build_report
from harness.report.labels import CHARACTER, place_labels

STYLE = (Path(harness.report.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")


@pytest.fixture
def section(records: list[Record]) -> Section:
    return build_report(records, {}).sections[1]


def values(section: Section) -> list[dict[str, Any]]:
    return pareto_chart(section)["data"]["values"]


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_a_point_stands_at_the_numbers_of_its_row_with_both_intervals(section: Section) -> None:
    (found,) = [v for v in values(section) if v["name"] == "int8-static in onnxruntime"]
    assert (found["x"], found["x_lo"], found["x_hi"]) == pytest.approx((441.6, 220.8, 883.2))
    assert found["y_lo"] < found["y"] < found["y_hi"]
    assert found["memory"] == 24e6
    assert found["kind"] == "estimated"
    assert section.rows[found["id"]].recipe == "int8-static"


def test_simulated_points_have_a_shape_of_their_own(section: Section) -> None:
    spec = pareto_chart(section)
    (points,) = [layer for layer in spec["layer"] if layer["name"] == "points"]
    assert points["encoding"]["shape"]["scale"] == {
        "domain": ["estimated", "simulated"],
        "range": ["circle", "diamond"],
    }
    assert {v["kind"] for v in values(section) if v["name"].endswith("edgetpu")} == {"simulated"}


def test_axes_say_what_they_show_and_of_what_kind_it_is(section: Section) -> None:
    svg = pareto_svg(section)
    assert "rpi4 latency, estimated, µs" in texts(svg)
    assert "top-1 accuracy" in texts(svg)


def test_fronts_are_those_of_the_table_one_for_rows_that_need_an_option(section: Section) -> None:
    by_id = {v["id"]: v["front"] for v in values(section)}
    assert {number for number, row in enumerate(section.rows) if row.pareto} == {
        number for number, front in by_id.items() if front is not None
    }
    assert {v["front"] for v in values(section) if v["name"].endswith("edgetpu")} == {1}


def test_points_that_coincide_are_moved_apart(section: Section) -> None:
    places = [(v["x"], v["y"], v["nth"]) for v in values(section)]
    assert len(set(places)) == len(places)


def test_one_point_is_no_chart(factory: dict[str, Any]) -> None:
    section = build_report([factory["record"]()], {}).sections[0]
    assert pareto_chart(section) is None
    assert pareto_svg(section) == ""


def test_without_any_quality_there_is_no_chart(factory: dict[str, Any]) -> None:
    records = [factory["record"](recipe=name, quality=None) for name in ("baseline", "fp16", "int8-static")]
    assert pareto_svg(build_report(records, {}).sections[0]) == ""


def test_equal_qualities_can_be_drawn(factory: dict[str, Any]) -> None:
    records = [factory["record"](recipe=f"r{n}", quality=factory["unlabelled"](1.0)) for n in range(3)]
    svg = pareto_svg(build_report(records, {}).sections[0])
    assert len(re.findall("points_marks.*", svg)) == 1
    assert "NaN" not in svg


def test_rows_far_below_the_rest_are_left_out_of_the_still_picture_which_says_so(factory: dict[str, Any]) -> None:
    right = [2500, 2510, 2520, 2530, 2540, 600]
    records = [
        factory["record"](recipe="baseline" if not n else f"r{n}", quality=factory["quality"](found, 2947),
                          estimate=factory["estimate"](1 + n / 10))
        for n, found in enumerate(right)
    ]  # fmt: skip
    section = build_report(records, {}).sections[0]
    assert "5 of 6 rows are drawn, all are in the table" in texts(pareto_svg(section))
    assert len(values(section)) == 6


def test_a_front_is_never_left_out_however_many_rows_there_are(factory: dict[str, Any]) -> None:
    records = [
        factory["record"](recipe="baseline" if not n else f"r{n}", estimate=factory["estimate"](1 + n / 1000),
                          quality=factory["quality"](2000 + (n if n > STILL else -n), 4947))
        for n in range(STILL + 200)
    ]  # fmt: skip
    section = build_report(records, {}).sections[0]
    svg = pareto_svg(section, most=50)
    front = sum(row.pareto for row in section.rows)
    drawn = re.search(r'points_marks">(.*?)</g>', svg, re.S)[1].count("<path")
    assert front > 150
    assert drawn >= front


class Svg(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "]]>&amp;\ud800"])
def test_markup_in_names_is_text(factory: dict[str, Any], nasty: str) -> None:
    records = [
        factory["record"](model=nasty, profile=nasty, recipe=name, backend=nasty, estimate=factory["estimate"](ms))
        for name, ms in (("baseline", 2.0), (nasty, 1.0))
    ]
    for colours in (LIGHT, PAGE):
        svg = pareto_svg(build_report(records, {}).sections[0], colours)
        assert Svg(svg).tags <= {"svg", "g", "path", "line", "text", "rect"}


def test_a_picture_alone_has_its_legend_and_its_own_colours_and_one_in_a_page_follows_the_page(
    section: Section,
) -> None:
    alone, inside = pareto_svg(section), pareto_svg(section, PAGE)
    assert "var(" not in alone
    assert {"onnxruntime", "openvino", "torch", "estimated", "peak memory"} <= set(texts(alone))
    assert "onnxruntime" not in texts(inside)
    assert LIGHT["s0"] not in inside
    assert " style=" not in alone + inside


def test_colours_of_a_picture_alone_are_those_of_the_page_by_day() -> None:
    by_day = dict(re.findall(r"--(\w+): light-dark\((#\w+),", STYLE))
    assert LIGHT.items() <= by_day.items()


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("night", [False, True])
def test_colours_have_the_contrast_that_wcag_asks_for(night: bool) -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for what is drawn and for the frames of controls."""
    found = {name: pair[night] for name, *pair in re.findall(r"--(\w+): light-dark\((#\w+), (#\w+)\)", STYLE)}
    needed = dict.fromkeys(("ink", "soft", "accent", "measured", "estimated", "simulated", "failed"), 4.5)
    needed |= dict.fromkeys(("edge", *(name for name in found if re.fullmatch(r"s\d", name))), 3.0)
    for name, least in needed.items():
        for ground in ("paper", "panel", "mark"):
            light, dark = sorted((luminance(found[name]), luminance(found[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= least, (name, ground)


@given(
    st.lists(
        st.tuples(st.floats(1e-3, 1e4), st.floats(0, 1), st.text("abc-", max_size=60), st.booleans()),
        min_size=1, max_size=30,
    )
)  # fmt: skip
def test_names_stay_inside_and_do_not_cover_each_other(points: list[tuple[float, float, str, bool]]) -> None:
    given_values = [{"x": x, "y": y, "label": text, "front": 0 if front else None} for x, y, text, front in points]
    placed = place_labels(given_values, 900, 340)
    assert len(placed) == len(points)
    assert all(v["label"].rstrip("…") in text for v, (*_, text, _) in zip(placed, points, strict=True))
    assert all(len(v["label"]) * CHARACTER <= 900 for v in placed)


def test_names_of_the_front_come_first() -> None:
    at = {"x": 1.0, "y": 0.5}
    placed = place_labels(
        [{**at, "label": "a" * 30, "front": None} for _ in range(12)] + [{**at, "label": "front", "front": 0}], 400, 100
    )
    assert placed[-1]["label"] == "front"
    assert sum(bool(v["label"]) for v in placed) < 13


@pytest.mark.parametrize("library", ["altair", "vl_convert"])
def test_without_a_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    found = missing_library()
    assert isinstance(found, UsageError)
    assert found.hint == "pip install 'edge-bench[report]'"

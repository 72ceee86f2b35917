"""What estimates rest on stands in every rendering, with why one may not be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.record import Record
from harness.report.document import Report, build_report
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.terminal import render_terminal

RENDERINGS = {
    "terminal": lambda report: render_terminal(report, 200),
    "markdown": render_markdown,
    "html": render_html,
}


@pytest.fixture
def report(factory: dict[str, Any]) -> Callable[..., Report]:
    def make(**bases: str) -> Report:
        return build_report([record(factory, backend, basis=basis) for backend, basis in bases.items()], {})

    return make


def record(factory: dict[str, Any], backend: str, recipe: str = "baseline", **estimate: Any) -> Record:
    found: Record = factory["record"](backend=backend, recipe=recipe, estimate=factory["estimate"](1.0, **estimate))
    return found


@pytest.mark.parametrize("render", RENDERINGS.values(), ids=RENDERINGS)
def test_every_rendering_names_the_basis_of_each_backends_estimates(report, render) -> None:
    text = render(report(swift="fitted to 90 rows", slow="prior, uncalibrated for slow"))
    assert "Estimates of swift: fitted to 90 rows" in text
    assert "Estimates of slow: prior, uncalibrated for slow" in text


@pytest.mark.parametrize("render", RENDERINGS.values(), ids=RENDERINGS)
def test_every_rendering_says_why_an_estimate_is_out_of_domain(factory, render) -> None:
    odd = record(factory, "swift", in_domain=False, reasons=("attention is in no calibration data",))
    assert "attention is in no calibration data" in render(build_report([odd], {}))


def test_backends_of_one_basis_share_a_line(report) -> None:
    (section,) = report(swift="prior", slow="prior").sections
    assert section.bases == ("slow, swift: prior",) or section.bases == ("swift, slow: prior",)


def test_rows_are_named_where_one_backend_s_estimates_rest_on_several_bases(factory) -> None:
    records = [record(factory, "chip", "a", basis="0.1 MB streamed"), record(factory, "chip", "b", basis="2 MB")]
    (section,) = build_report(records, {}).sections
    assert set(section.bases) == {"a in chip: 0.1 MB streamed", "b in chip: 2 MB"}


@pytest.mark.parametrize("render", [render_markdown, render_html], ids=["markdown", "html"])
def test_what_an_energy_covers_stands_in_the_files(factory, render) -> None:
    text = render(build_report([record(factory, "swift", energy_basis="whole board at the wall")], {}))
    assert "Energy of swift: whole board at the wall" in text


def test_an_estimate_without_a_basis_for_its_energy_says_nothing_of_it(factory) -> None:
    (section,) = build_report([record(factory, "swift")], {}).sections
    assert section.energy_bases == ()

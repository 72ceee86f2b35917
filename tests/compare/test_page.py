"""Pages: what matters stands first, unlike runs are named every time, and hostile names are text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.compare.check import Thresholds, check
from harness.compare.comparison import compare
from harness.compare.markdown import LONGEST, render_markdown
from harness.compare.page import check_page, comparison_page
from harness.compare.text import render_text

HOSTILE = "<script>alert(1)</script>|`x`\n# h @you \x1b[31m[a](http://b)"


def pages(runs, allowed=()):
    comparison = compare(*runs, 0.05, allowed)
    thresholds = Thresholds()
    return comparison_page(comparison), check_page(comparison, check(comparison, thresholds), thresholds)


def test_a_regression_stands_before_the_tables(twins):
    _, page = pages(twins(ms=1.2))
    text = render_text(page, 200)
    assert text.startswith("bench check failed: 1 regression, 0 inconclusive")
    assert text.index("small in runtime, net: latency to baseline") < text.index("variant")
    assert "slower, p <" in text
    assert "allowed is 3 %" in text


def test_unlike_runs_are_named_wherever_they_are_compared(make):
    runs = make["run"]("a", make["record"]()), make["run"]("b", make["record"](seed=1), cpu="another")
    for page in pages(runs, ["machine"]):
        for text in (render_text(page, 100), render_markdown(page)):
            assert "UNLIKE RUNS" in text
            assert "Cortex-A72 and another" in text


def test_the_drift_of_the_machine_and_the_level_are_said(twins):
    text = render_text(pages(twins())[0], 200)
    assert "clock, neighbours" in text
    assert "Significant at 5 %, corrected by Holm's method" in text


def test_what_a_check_can_see_is_said(twins, make):
    assert "This check sees a change of latency of" in render_text(pages(twins())[1], 200)
    alone = make["run"]("a", make["record"](measurement=make["measurement"](seed=1, processes=1)))
    assert "No latency could be tested" in render_text(pages((alone, alone))[1], 200)


@pytest.mark.parametrize("width", [1, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(twins, width):
    for page in pages(twins(ms=1.2)):
        assert max(map(len, render_text(page, width).splitlines())) <= max(width, 30)


def hostile(make):
    record = make["record"](HOSTILE, seed=1)
    broken = make["failed"](make["record"]("other", seed=2), error=HOSTILE)
    before = make["run"]("a", record, make["record"]("other", seed=2))
    return before, make["run"]("b", replace(record, measurement=make["measurement"](4.0, seed=9)), broken)


def test_a_hostile_name_is_text_in_markdown(make):
    for page in pages(hostile(make)):
        text = render_markdown(page)
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
        assert "\n# h" not in text
        (row,) = [line for line in text.splitlines() if line.startswith("| &lt;")]
        (head,) = [line for line in text.splitlines() if line.startswith("| variant")]
        assert row.replace(r"\|", "").count("|") == head.count("|")


def test_a_hostile_name_cannot_move_the_cursor(make):
    for page in pages(hostile(make)):
        assert "\x1b" not in render_text(page, 100)


def test_markdown_fits_a_comment_on_a_pull_request(make):
    def run(name, seed):
        return make["run"](name, *(make["record"](f"{i} {'<' * 200}", seed=seed + i) for i in range(150)))

    _, page = pages((run("a", 0), run("b", 1000)))
    text = render_markdown(page)
    assert len(text) <= LONGEST
    assert text.endswith("*Cut here: a comment can hold no more.*\n")
    assert text.startswith("## bench check")


def test_what_is_the_same_in_every_cell_needs_no_column(twins):
    text = render_text(pages(twins())[0], 200)
    assert "The same in all of them: content, file, download." in text

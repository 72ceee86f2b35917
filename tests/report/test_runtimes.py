"""The runtimes of a section side by side, and whether they compute the same."""

from __future__ import annotations

import html
from dataclasses import replace
from typing import Any

import pytest

from harness.record import Deviation, Failure, Record
from harness.report.document import Section, build_report
from harness.report.html import render_html
from harness.report.markdown import markdown_files, render_markdown
from harness.report.runtimes import MOST_RECIPES, Line, Runtimes, outputs_told, runtimes
from harness.report.same_file import MOST_LINES
from harness.report.terminal import render_terminal

FRAME = "baseline in frame"


@pytest.fixture
def make(factory: dict[str, Any]):
    """A record: `make("half", "quick", largest=1e-4, tolerance=1e-2, right=2500, notes=("all of it",), …)`."""

    def record(recipe: str = "baseline", backend: str = "quick", *, right: int = 2544, **facts: Any) -> Record:
        deviation = None
        if "largest" in facts:
            deviation = Deviation(
                reference=facts.pop("reference", FRAME), largest=facts.pop("largest"),
                tolerance=facts.pop("tolerance", 1e-3),
            )  # fmt: skip
        drop = facts.pop("drop", None)
        quality = factory["quality"](right, 2947, deviation=deviation, drop=drop, drop_lo95=drop, drop_hi95=drop)
        file = facts.pop("file", f"{recipe}{backend}")
        variant = replace(factory["variant"](recipe), sha256=file)
        family = facts.pop("family", "")
        return factory["record"](
            recipe=recipe, backend=backend, quality=quality, variant=variant,
            measurement=factory["measurement"](0.083, **facts),
            estimate=factory["estimate"](0.92, kernel_family=family),
        )  # fmt: skip

    return record


def section(records: list[Record]) -> Section:
    (found,) = build_report(records, {}).sections
    return found


def of(records: list[Record]) -> Runtimes:
    found = runtimes(section(records))
    assert found is not None
    return found


def line(found: Runtimes, recipe: str, backend: str) -> Line:
    (group,) = (group for group in found.groups if group.recipe == recipe)
    (told,) = (each for each in group.lines if each.backend == backend)
    return told


def cell(found: Runtimes, title: str, backend: str = "quick", recipe: str = "baseline") -> str:
    at = [name for name, _ in found.headings].index(title)
    return line(found, recipe, backend).cells[at].text


def test_a_recipe_that_several_runtimes_ran_has_a_line_for_each(make) -> None:
    found = of([make(), make(backend="frame"), make("half"), make("half", "frame"), make("alone")])
    assert [group.recipe for group in found.groups] == ["baseline", "half"]
    assert [each.backend for each in found.groups[1].lines] == ["frame", "quick"]


def test_one_runtime_without_a_word_of_its_own_has_no_such_part(make) -> None:
    records = [make(), make("half")]
    assert runtimes(section(records)) is None
    report = build_report(records, {})
    assert "<h3>Runtimes side by side" not in render_html(report)
    assert "Runtimes side by side" not in render_markdown(report)


def test_one_runtime_with_something_to_say_is_heard(make) -> None:
    found = of([make(notes=("a delegate takes 9 of 9 operators",))])
    assert (found.summaries, found.groups) == ((), ())
    assert [note.text for note in found.notes] == ["a delegate takes 9 of 9 operators"]


def test_latencies_are_those_of_the_table_with_their_intervals_and_kinds(make) -> None:
    found = of([make(), make(backend="frame")])
    assert found.headings[:2] == (("host latency", "measured"), ("rpi4 latency", "estimated"))
    assert cell(found, "rpi4 latency") == "920 µs [460, 1,840]"


def test_the_kernels_that_an_estimate_assumes_are_named(make) -> None:
    found = of([make(family="gemmlowp"), make(backend="frame", family="eigen")])
    assert cell(found, "kernels on the device") == "gemmlowp 4 threads"


def test_threads_are_those_asked_and_those_read_back(make) -> None:
    found = of([make(threads_reported=1), make(backend="frame", threads_reported=None)])
    assert cell(found, "threads") == "2 asked 1 read back"
    assert cell(found, "threads", "frame") == "2 asked not read back"


def test_a_deviation_stands_with_what_is_allowed_and_a_verdict(make) -> None:
    found = of([
        make(backend="frame"), make(largest=2.1e-7), make("half", "frame"),
        make("half", largest=3.1e-2, tolerance=1e-2), make("int", "frame"), make("int", largest=0.3, tolerance=None),
    ])  # fmt: skip
    assert cell(found, "largest deviation") == "2.1e-07 of 1e-03"
    assert cell(found, "largest deviation", recipe="int") == "3.0e-01 no tolerance"
    verdicts = [line(found, recipe, "quick").verdict for recipe in ("baseline", "half", "int")]
    assert verdicts == ["agrees", "DIFFERS: 3.1e-02, allowed 1e-02", "integers: judged by accuracy"]
    assert [line(found, recipe, "quick").differs for recipe in ("baseline", "half", "int")] == [False, True, False]


def test_what_others_are_compared_with_is_called_the_reference(make) -> None:
    found = of([make(backend="frame"), make(largest=2.1e-7)])
    assert line(found, "baseline", "frame").verdict == "the reference"
    assert (found.summaries[0].backend, found.summaries[0].verdict) == ("frame", "the reference")


def test_a_summary_shows_the_deviation_that_takes_most_of_its_tolerance(make) -> None:
    found = of([make(backend="frame"), make(largest=2e-3), make("half", largest=8e-3, tolerance=1e-2)])
    (told,) = (each for each in found.summaries if each.backend == "quick")
    assert (told.deviation, told.where, told.verdict, told.differs) == (
        "2.0e-03 of 1e-03", "baseline", "1 of 2 DIFFER", True,
    )  # fmt: skip


def test_a_summary_counts_what_agrees_and_what_accuracy_must_tell(make) -> None:
    found = of([
        make(backend="frame"), make(largest=2e-7), make("half", largest=8e-3, tolerance=1e-2),
        make("int", largest=0.3, tolerance=None),
    ])  # fmt: skip
    told = found.summaries[-1]
    assert (told.verdict, told.recipes.text) == ("both agree, 1 in integers: judged by accuracy", "3")


def test_a_summary_counts_what_a_runtime_did_not_run(make, factory: dict[str, Any]) -> None:
    failure = Failure(stage="open", plugin="p", error="no kernel", hint="")
    found = of([make(), make(backend="frame"), factory["missing"](make("half"), "failed", failure)])
    assert [each.recipes.text for each in found.summaries] == ["1", "1 1 failed"]


def test_a_summary_of_integers_alone_shows_no_deviation_as_if_it_were_judged(make) -> None:
    found = of([make(backend="frame"), make("int", largest=0.3, tolerance=None)])
    assert (found.summaries[-1].deviation, found.summaries[-1].verdict) == ("", "1 in integers: judged by accuracy")


def test_outputs_that_are_not_finite_stand_before_any_number(make) -> None:
    found = of([make(backend="frame"), make(largest=0.5), make("int", largest=None, tolerance=None)])
    told = found.summaries[-1]
    assert (told.deviation, told.where, told.verdict) == ("not finite", "int", "2 of 2 DIFFER")


def test_a_summary_has_the_range_of_points_lost(make) -> None:
    found = of([make(), make("half", drop=-0.0002), make("int", drop=0.012), make(backend="frame")])
    lost = {each.backend: each.lost for each in found.summaries}
    assert lost == {"quick": "0.0 to 1.2", "frame": "–"}


def test_without_labels_a_summary_has_the_range_of_agreement(make, factory: dict[str, Any]) -> None:
    records = [make(), make("half"), make(backend="frame")]
    found = of([replace(record, quality=factory["unlabelled"](0.98)) for record in records])
    assert (found.lost_title, found.summaries[-1].lost) == ("agreement", "98.0 %")
    assert "agreement" in [title for title, _ in found.headings]


def test_where_nothing_was_compared_the_page_says_so(make) -> None:
    report = build_report([make(), make(backend="other")], {})
    assert not of([make(), make(backend="other")]).references
    for text in (render_html(report), render_markdown(report)):
        assert "No outputs were compared with the framework's own" in html.unescape(text)


def test_base_memory_with_a_framework_beside_is_marked_as_not_comparable(make) -> None:
    records = [make(also_imports="frame_work", baseline_rss_bytes=380_000_000), make(backend="frame")]
    cells = {each.backend: each.base_memory.text for each in of(records).summaries}
    assert cells == {"quick": "380 MB with frame_work, not comparable", "frame": "61.0 MB"}


def test_memory_and_start_up_of_such_a_row_are_marked_in_the_table_of_all_rows(make) -> None:
    found = section([make(also_imports="frame_work"), make(backend="frame")])
    text = render_markdown(build_report([make(also_imports="frame_work"), make(backend="frame")], {}))
    assert text.replace("\u00a0", " ").count("(with frame\\_work)") == 2
    (row,) = (row for row in found.rows if row.backend == "quick")
    assert [note for note in row.notes if "its process holds frame_work besides the runtime" in note]


def test_a_note_stands_once_with_the_recipes_that_it_holds_for(make) -> None:
    found = of([
        make(notes=("takes all", "is slow to start")), make("half", notes=("takes some", "is slow to start")),
        make("int", notes=("takes all", "is slow to start")), make(backend="frame"),
    ])  # fmt: skip
    assert {(note.of, note.text) for note in found.notes} == {
        ("baseline, int in quick", "takes all"), ("half in quick", "takes some"), ("quick", "is slow to start"),
    }  # fmt: skip


def test_the_same_file_that_scores_differently_is_told(make) -> None:
    records = [make("int", "a", right=2729, file="f"), make("int", "b", right=2705, file="f"), make("int", "c")]
    assert of(records).same_files == (
        "The same file (int, onnx) scores 92.6 % in a and 91.8 % in b: their kernels round differently.",
    )


def test_the_same_file_that_scores_alike_in_three_and_not_in_a_fourth_is_one_sentence(make) -> None:
    records = [make("int", name, right=2729 - (name == "d"), file="f") for name in "abcd"]
    assert of(records).same_files[0].startswith("The same file (int, onnx) scores 92.60 % in a and b and c and 92.57 %")


def test_the_same_file_that_scores_the_same_is_not_worth_a_word(make) -> None:
    assert of([make("int", "a", file="f"), make("int", "b", file="f")]).same_files == ()


def test_rounding_is_not_blamed_where_outputs_differ_from_the_framework(make) -> None:
    records = [make("half", "a", right=2729, file="f", largest=1e-4), make("half", "b", right=9, file="f", largest=0.9)]
    assert of(records).same_files[0].endswith(": not all of them compute what it says.")


def test_of_many_such_files_the_others_are_counted(make) -> None:
    records = [make(f"r{n}", name, right=2000 + 90 * (name == "a"), file=f"{n}") for n in range(20) for name in "ab"]
    found = of(records).same_files
    assert len(found) == MOST_LINES + 1
    assert found[-1] == "12 more files score differently in two runtimes."


def test_of_many_recipes_the_others_are_counted(make) -> None:
    records = [make(f"r{n}", name) for n in range(MOST_RECIPES + 3) for name in "ab"]
    found = of(records)
    assert (len(found.groups), found.left_out) == (MOST_RECIPES, 3)
    assert "3 more recipes that several runtimes ran" in render_html(build_report(records, {}))


def test_the_order_of_records_changes_nothing(make) -> None:
    records = [
        make(recipe, name, largest=1e-7, notes=(f"{recipe} {name}",)) for recipe in ("x", "baseline") for name in "cab"
    ]
    one, other = of(records), of(records[::-1])
    assert (one.groups, one.summaries) == (other.groups, other.summaries)


def test_a_record_of_before_deviations_and_notes_still_gives_the_table(records: list[Record]) -> None:
    found = runtimes(build_report(records, {}).sections[1])
    assert found is not None
    assert found.groups
    assert "largest deviation" not in [title for title, _ in found.headings]


def test_a_terminal_gets_a_line_for_each_runtime_that_was_compared(make) -> None:
    records = [make(backend="frame"), make(largest=2e-7), make(backend="other", largest=0.2)]
    assert outputs_told(of(records)) == (
        "Outputs of other: DIFFERS; largest deviation 2.0e-01 of 1e-03 (baseline)",
        "Outputs of quick: agrees; largest deviation 2.0e-07 of 1e-03 (baseline)",
    )
    text = render_terminal(build_report(records, {}), 100)
    assert all(told in text for told in outputs_told(of(records)))


def test_every_rendering_shows_notes_verdicts_and_files(make) -> None:
    records = [
        make("int", "frame", right=2729, file="f"), make(backend="frame"), make(largest=2e-7),
        make("int", right=2700, file="f", largest=0.3, tolerance=None, notes=("a delegate takes 9 of 9",)),
    ]  # fmt: skip
    report = build_report(records, {})
    for text in (render_html(report), render_markdown(report)):
        for said in ("a delegate takes 9 of 9", "integers: judged by accuracy", "The same file (int, onnx) scores"):
            assert said in text.replace("\u00a0", " ")


def test_of_a_report_too_long_for_github_the_line_of_each_runtime_stays(make) -> None:
    records = [make(f"{'r' * 90}{n}", name, largest=1e-7, notes=(f"{n}",)) for n in range(60) for name in "abcd"]
    files = markdown_files(build_report(records, {}))
    assert "| runtime | outputs | largest deviation |" in files[".md"]
    assert "Each recipe in each runtime (24" not in files[".md"]
    assert "Each recipe in each runtime (24" in files["-more.md"]


def test_notes_and_names_are_text(make) -> None:
    nasty = "<img src=x onerror=alert(1)> | *x* @who"
    records = [make(nasty, nasty, notes=(nasty,), family=nasty, also_imports=nasty, largest=0.5), make(nasty, "frame")]
    report = build_report(records, {})
    assert "<img src=x" not in render_html(report)
    text = markdown_files(report)[".md"]
    assert "<img" not in text
    assert "*x* @who" not in text

"""The report as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.estimate.interval import Interval
from harness.record import Failure, Record
from harness.report.document import Report, Section, build_report
from harness.report.row import Row


def section(records: list[Record], environment: dict[str, Any] | None = None) -> Section:
    (found,) = build_report(records, environment or {}).sections
    return found


def row(section: Section, recipe: str, backend: str) -> Row:
    (found,) = (row for row in section.rows if (row.recipe, row.backend) == (recipe, backend))
    return found


@pytest.fixture
def watch(records: list[Record], environment: dict[str, Any]) -> Section:
    return build_report(records, environment).sections[1]


def test_there_is_one_section_for_each_model_and_profile(records: list[Record]) -> None:
    pi5 = [replace(record, profile="rpi5") for record in records]
    found = [(part.model, part.profile) for part in build_report([*records, *pi5], {}).sections]
    assert found == [
        ("efficientnet-lite0", "rpi4"), ("har-watch", "rpi4"), ("efficientnet-lite0", "rpi5"), ("har-watch", "rpi5"),
    ]  # fmt: skip


def test_every_record_is_a_row_or_missing(records: list[Record]) -> None:
    report = build_report(records, {})
    rows = sum(len(part.rows) for part in report.sections)
    gone = sum(len(group.cells) for part in report.sections for group in part.missing)
    assert rows + gone == len(records) == sum(number for _, number in report.outcomes)


def test_the_report_does_not_depend_on_the_order_of_records(records: list[Record]) -> None:
    one, other = build_report(records, {}), build_report(records[:20][::-1] + records[20:], {})
    assert one.sections[0].rows == other.sections[0].rows
    assert one.sections[0].recommendation == other.sections[0].recommendation


def test_no_records_make_an_empty_report() -> None:
    assert build_report([], {}) == Report(
        run="",
        outcomes=(("measured", 0), ("simulated", 0), ("skipped", 0), ("failed", 0)),
        sections=(),
        method=build_report([], {}).method,
    )


def test_a_ratio_refers_to_the_baseline_of_the_same_backend(watch: Section) -> None:
    speed = row(watch, "int8-static", "onnxruntime").speed
    assert speed.verdict == "faster"
    assert speed.summary.ratio == pytest.approx(1 / 0.48, rel=0.04)
    assert row(watch, "baseline", "onnxruntime").speed is None


def test_what_got_slower_is_said_to_be_slower(watch: Section) -> None:
    assert row(watch, "int8-dynamic", "onnxruntime").speed.verdict == "slower"


def test_a_small_difference_within_the_noise_is_not_shown(watch: Section) -> None:
    assert row(watch, "prune-magnitude(amount=0.5)", "torch").speed.verdict == "no difference shown"


def test_without_a_baseline_in_its_backend_a_row_has_no_ratio(records: list[Record]) -> None:
    kept = [r for r in records if r.model == "har-watch" and (r.recipe, r.backend) != ("baseline", "openvino")]
    assert row(section(kept), "int8-static", "openvino").speed is None


def test_a_backend_with_other_options_is_another_backend(factory: dict[str, Any]) -> None:
    plain = factory["record"](backend="torch")
    compiled = factory["record"](backend="torch(compile=true)", recipe="fp16")
    assert row(section([plain, compiled]), "fp16", "torch(compile=true)").speed is None


def test_a_simulated_row_has_no_host_latency_even_when_a_measurement_slipped_in(factory: dict[str, Any]) -> None:
    record = factory["record"](outcome="simulated", estimate=factory["estimate"](0.1, simulated=True))
    (found,) = section([record]).rows
    assert (found.kind, found.host, found.speed, found.host_memory_bytes, found.load_ns) == (
        "simulated", None, None, None, None,
    )  # fmt: skip


def test_a_cell_that_failed_after_it_was_timed_is_missing_and_keeps_its_time(factory: dict[str, Any]) -> None:
    failure = Failure(stage="quality", plugin="p", error="outputs are NaN", hint="use fp32")
    found = section([factory["record"](outcome="failed", failure=failure)])
    assert found.rows == ()
    assert found.missing[0].cells[0].host.median_ns == pytest.approx(83_000, rel=0.03)


def test_damaged_samples_make_a_row_without_a_latency(factory: dict[str, Any]) -> None:
    broken = factory["measurement"](0.083, processes=3, latency_ns=(1, 2), rounds=(0, 1))
    (found,) = section([factory["record"](measurement=broken)]).rows
    assert found.host is None
    assert any("cannot be read" in note for note in found.notes)


def test_one_process_is_flagged(factory: dict[str, Any]) -> None:
    (found,) = section([factory["record"](measurement=factory["measurement"](0.083, processes=1))]).rows
    assert any("one process only" in note for note in found.notes)


def test_a_runtime_that_ignores_the_thread_budget_is_flagged(factory: dict[str, Any]) -> None:
    (found,) = section([factory["record"](measurement=factory["measurement"](0.083, threads_reported=8))]).rows
    assert "the runtime reports 8 threads, the budget was 2" in found.notes


def test_what_holds_for_every_row_is_said_once(records: list[Record]) -> None:
    found = build_report(records, {}).sections[0]
    assert found.notes == ("20 labelled pictures are too few to claim an accuracy from",)
    assert not any(found.notes[0] in row.notes for row in found.rows)


def test_rows_are_sorted_by_the_latency_that_the_choice_is_made_by(watch: Section) -> None:
    times = [row.estimate.latency_ms.p50 for row in watch.rows]
    assert times == sorted(times)


def test_estimates_decide_for_a_device_and_measurements_for_the_host(records: list[Record]) -> None:
    here = [replace(record, profile="host") for record in records if record.model == "har-watch"]
    assert section(here).axes.latency == "measured"
    assert build_report(records, {}).sections[0].axes.latency == "estimated"


def test_a_device_without_any_estimate_is_judged_by_measurements(factory: dict[str, Any]) -> None:
    assert section([factory["record"](estimate=None)]).axes.latency == "measured"


def test_without_labels_agreement_is_the_quality(factory: dict[str, Any]) -> None:
    found = section([factory["record"](quality=factory["unlabelled"](0.98))])
    assert (found.axes.quality, found.axes.metric) == ("agreement", "agreement")
    assert found.rows[0].pareto


def test_without_any_quality_nothing_is_pareto_optimal(factory: dict[str, Any]) -> None:
    found = section([factory["record"](quality=None)])
    assert found.axes.quality is None
    assert not found.rows[0].pareto


def test_rows_for_an_optional_accelerator_do_not_push_others_off_the_front(watch: Section) -> None:
    front = {(row.recipe, row.backend) for row in watch.rows if row.pareto}
    assert {("int8-static", "edgetpu"), ("int8-static", "onnxruntime"), ("baseline", "torch")} <= front
    assert ("prune-magnitude(amount=0.5)", "onnxruntime") not in front


def test_an_accelerator_that_is_part_of_the_device_competes_with_everything(factory: dict[str, Any]) -> None:
    built_in = factory["estimate"](0.1, simulated=True, accelerator="edgetpu")
    found = section([
        factory["record"](),
        factory["record"](backend="edgetpu", outcome="simulated", measurement=None, estimate=built_in),
    ])  # fmt: skip
    assert [(row.backend, row.pareto) for row in found.rows] == [("edgetpu", True), ("onnxruntime", False)]


def test_what_does_not_fit_the_device_is_never_pareto_optimal(factory: dict[str, Any]) -> None:
    big = factory["estimate"](0.1, fits="does not fit")
    found = section([factory["record"](estimate=big, recipe="fp16"), factory["record"]()])
    assert [(row.recipe, row.pareto) for row in found.rows] == [("fp16", False), ("baseline", True)]
    assert "does not fit the memory of the device" in found.rows[0].notes


def test_variants_that_backends_share_are_shown_once(watch: Section) -> None:
    shared = {(origin.recipe, origin.backends) for origin in watch.origins}
    assert ("int8-static", ("edgetpu", "onnxruntime", "openvino")) in shared
    assert ("baseline", ("torch",)) in shared


def test_an_estimate_outside_its_domain_says_why(factory: dict[str, Any]) -> None:
    odd = factory["estimate"](1.0, in_domain=False, reasons=("an LSTM",), unmodelled=("LSTM",))
    odd = replace(odd, latency_ms=Interval(p50=1.0, lo90=0.1, hi90=10.0))
    (found,) = section([factory["record"](estimate=odd)]).rows
    assert any("an LSTM" in note for note in found.notes)
    assert any(note.endswith("nothing of: LSTM") for note in found.notes)

"""What is recommended, with which words."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.record import Record
from harness.report.document import build_report
from harness.report.recommendation import Recommendation


def recommended(records: list[Record]) -> Recommendation:
    return build_report(records, {}).sections[0].recommendation


@pytest.fixture
def watch(records: list[Record]) -> list[Record]:
    return [record for record in records if record.model == "har-watch"]


def test_the_fastest_variant_within_one_point_is_recommended_with_its_numbers(watch: list[Record]) -> None:
    found = recommended(watch)
    assert found.sentence == (
        "Use int8-static in onnxruntime: 442 µs [221, 883] on rpi4, estimated"
        " (baseline 920 µs; measured here: 2.10× faster);"
        " top-1 accuracy 86.0 % (baseline 86.3 %); download 17.1 kB (baseline 61.1 kB)."
    )
    assert found.kind == "estimated"


def test_the_recommended_row_is_pareto_optimal(records: list[Record]) -> None:
    assert all(part.recommendation.row.pareto for part in build_report(records, {}).sections)


def test_a_sure_estimate_comes_before_a_hopeful_one_of_another_runtime(factory: dict[str, Any]) -> None:
    sure = replace(factory["estimate"](1.0), latency_ms=factory["interval"](1.0, 1.2))
    hopeful = replace(factory["estimate"](0.9), latency_ms=factory["interval"](0.9, 2.0))
    found = recommended([
        factory["record"](backend="calibrated", estimate=sure), factory["record"](backend="pooled", estimate=hopeful),
    ])  # fmt: skip
    assert found.row.backend == "calibrated"
    assert any("baseline in pooled may be faster" in line and "less sure" in line for line in found.sure)


def test_of_one_runtime_the_middle_of_the_estimate_decides_as_the_upper_end_does(factory: dict[str, Any]) -> None:
    slow, fast = factory["estimate"](1.0), factory["estimate"](0.5)
    found = recommended([factory["record"](estimate=slow), factory["record"](recipe="int8-static", estimate=fast)])
    assert found.row.recipe == "int8-static"
    assert not any("may be faster" in line for line in found.sure)


def test_how_sure_names_basis_overlap_measured_ratio_and_the_accelerator(watch: list[Record]) -> None:
    sure = "\n".join(recommended(watch).sure)
    assert "Estimated, not measured on rpi4" in sure
    assert "physical prior, uncalibrated): 0.480 [0.160, 1.440] times the baseline's, no difference shown." in sure
    assert "Timed on this machine against the baseline: 2.10× faster [2.05, 2.14]." in sure
    assert "Top-1 accuracy over 2,947 rows: 86.0 % [84.7, 87.2], no difference shown." in sure
    assert "With an accelerator: int8-static in edgetpu" in sure


def test_the_ratio_decides_where_intervals_overlap(factory: dict[str, Any]) -> None:
    """Two estimates of one backend share their error: the ratio is surer than either."""
    pair = {"pair_factor90": 1.3, "gain_factor90": 1.3}
    fast = replace(factory["estimate"](0.5), latency_ms=factory["interval"](0.5, 2.0), **pair)
    base = replace(factory["estimate"](0.9), latency_ms=factory["interval"](0.9, 2.0), **pair)
    found = recommended([
        factory["record"](estimate=base),
        factory["record"](recipe="int8-static", estimate=fast, measurement=factory["measurement"](0.03)),
    ])  # fmt: skip
    assert "times the baseline's, faster." in found.sure[0]


def test_intervals_that_lie_apart_do_not_decide_against_a_wide_ratio(factory: dict[str, Any]) -> None:
    pair = {"pair_factor90": 6.0, "gain_factor90": 6.0}
    fast = replace(factory["estimate"](0.2), latency_ms=factory["interval"](0.2, 1.1), **pair)
    base = replace(factory["estimate"](0.9), latency_ms=factory["interval"](0.9, 1.1), **pair)
    found = recommended([
        factory["record"](estimate=base),
        factory["record"](recipe="int8-static", estimate=fast, measurement=factory["measurement"](0.03)),
    ])  # fmt: skip
    assert found.sure[0].endswith("times the baseline's, no difference shown.")


def test_a_variant_that_loses_more_than_a_point_is_not_recommended(factory: dict[str, Any]) -> None:
    found = recommended([
        factory["record"](),
        factory["record"](recipe="tiny", estimate=factory["estimate"](0.1), quality=factory["quality"](2500, 2947)),
    ])  # fmt: skip
    assert found.sentence.startswith("Keep the baseline in onnxruntime: 920 µs")


def test_on_the_host_the_number_is_a_measurement(watch: list[Record]) -> None:
    found = recommended([replace(record, profile="host") for record in watch])
    assert found.kind == "measured"
    assert "measured here" in found.sentence
    assert found.sure[0] == "Measured on this machine: 95 % interval over 3 fresh processes."


def test_an_optional_accelerator_is_recommended_only_when_nothing_else_will_do(watch: list[Record]) -> None:
    found = recommended([record for record in watch if record.backend == "edgetpu"])
    assert found.kind == "simulated"
    assert "simulated" in found.sentence
    assert found.sure[0].startswith("Simulated: coral-usb (option) was not here")


def test_a_built_in_accelerator_is_recommended_with_the_alternative(watch: list[Record]) -> None:
    built_in = [
        replace(record, estimate=replace(record.estimate, accelerator="edgetpu")) if record.estimate else record
        for record in watch
    ]  # fmt: skip
    found = recommended(built_in)
    assert found.row.backend == "edgetpu"
    assert any(line.startswith("Without the accelerator: int8-static in onnxruntime") for line in found.sure)


def test_without_quality_there_is_no_recommendation(factory: dict[str, Any]) -> None:
    found = recommended([factory["record"](quality=None)])
    assert found.row is None
    assert "the quality of no variant is known" in found.sentence


def test_without_rows_there_is_no_recommendation(factory: dict[str, Any]) -> None:
    found = recommended([factory["record"](outcome="failed")])
    assert found.sentence == "No recommendation for rpi4: no variant was measured."


def test_when_nothing_fits_the_device_nothing_is_recommended(factory: dict[str, Any]) -> None:
    found = recommended([factory["record"](estimate=factory["estimate"](1.0, fits="does not fit"))])
    assert found.sentence == "No recommendation for rpi4: no variant fits its memory."


def test_when_only_bad_variants_fit_nothing_is_recommended(factory: dict[str, Any]) -> None:
    found = recommended([
        factory["record"](estimate=factory["estimate"](1.0, fits="does not fit")),
        factory["record"](recipe="tiny", quality=factory["quality"](1500, 2947)),
    ])  # fmt: skip
    assert "loses more than one point of top-1 accuracy" in found.sentence


def test_a_warning_about_the_data_is_repeated_beside_the_answer(records: list[Record]) -> None:
    assert "20 labelled pictures are too few to claim an accuracy from." in recommended(records).sure


def test_when_nothing_shows_a_difference_the_sentence_says_so(factory: dict[str, Any]) -> None:
    base = factory["record"]()
    found = recommended([base, replace(base, recipe="fp16", estimate=factory["estimate"](0.9))])
    assert "(baseline 920 µs; no difference shown)" in found.sentence


def test_agreement_over_more_rows_stands_beside_a_metric_of_few(records: list[Record]) -> None:
    found = recommended(records)
    assert re.search(r"top-1 accuracy 85\.0 % \(baseline 85\.0 %\), agreement 99\.\d %", found.sentence)
    assert any(re.search(r"over 20 rows.*; agreement over 60: 99\.\d %", line) for line in found.sure)


def test_agreement_is_compared_with_complete_agreement(factory: dict[str, Any]) -> None:
    unlabelled = factory["unlabelled"]
    found = recommended([
        factory["record"](quality=unlabelled(1.0)),
        factory["record"](recipe="int8-static", quality=unlabelled(0.995), estimate=factory["estimate"](0.4)),
        factory["record"](recipe="int4", quality=unlabelled(0.97), estimate=factory["estimate"](0.2)),
    ])  # fmt: skip
    assert found.sentence.startswith("Use int8-static in onnxruntime")
    assert "agreement with the baseline 99.5 %" in found.sentence


def test_of_runtimes_estimated_alike_the_one_that_agrees_better_is_recommended(factory: dict[str, Any]) -> None:
    def cell(backend: str, agreement: float, host_ms: float) -> Record:
        return factory["record"](
            recipe="int8-static", backend=backend, estimate=factory["estimate"](0.4),
            measurement=factory["measurement"](host_ms), quality=factory["quality"](2544, 2947, agreement=agreement),
        )  # fmt: skip

    found = recommended([factory["record"](), cell("openvino", 0.96, 0.02), cell("onnxruntime", 0.99, 0.03)])
    assert found.row.backend == "onnxruntime"

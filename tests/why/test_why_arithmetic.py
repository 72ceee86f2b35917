"""Causes in the arithmetic, each planted, each with a control in which it must not be found."""

from __future__ import annotations

from typing import Any

import pytest

from harness.why.reason import Cause, Reason
from harness.why.reasons import host_reasons

FLOAT_RUN = (("Conv", "fp32", 500.0), ("Conv", "fp32", 500.0))
INT8_RUN = (("Conv", "int8", 200.0), ("Conv", "int8", 200.0))
HALF_RUN = (("Conv", "fp16", 250.0), ("Conv", "fp16", 250.0))


def causes(found: tuple[Reason, ...]) -> list[Cause]:
    return [reason.cause for reason in found]


@pytest.fixture
def why(make: dict[str, Any]) -> Any:
    def ask(graph: dict[str, Any], *rows: tuple[str, str, float], cpu: dict[str, Any] | None = None) -> Any:
        baseline = make["side"](make["graph"](), *FLOAT_RUN)
        return host_reasons(baseline, make["side"](make["graph"](**graph), *rows), make["cpu"](**(cpu or {})))

    return ask


def test_a_variant_in_8_bits_throughout_gives_no_reason(why: Any) -> None:
    assert why({"precision": "int8"}, *INT8_RUN, ("Quantise", "fp32", 4.0), ("Quantise", "int8", 4.0)) == ()


def test_an_operator_left_in_float_is_named_with_its_share_of_time(why: Any) -> None:
    (reason,) = why({"formats": ("int8", "fp32")}, ("Conv", "int8", 200.0), ("Conv", "fp32", 300.0))
    assert (reason.cause, reason.basis, reason.where) == (Cause.FLOAT_LEFT, "measured", "host")
    assert reason.share == pytest.approx(0.6)
    assert "1 of 2 convolutions" in reason.text
    assert "60%" in reason.text
    assert "Conv_1" in reason.text


def test_a_float_operator_that_takes_next_to_no_time_is_no_reason(why: Any) -> None:
    assert why({"precision": "int8"}, *INT8_RUN, ("Softmax", "fp32", 8.0)) == ()


def test_a_float_operator_beside_the_products_counts_where_it_takes_time(why: Any) -> None:
    (reason,) = why({"precision": "int8"}, *INT8_RUN, ("Sin", "fp32", 100.0))
    assert reason.cause is Cause.FLOAT_LEFT
    assert reason.text.startswith("1 other operator")


def test_what_the_runtime_computes_in_float_counts_whatever_the_file_says(why: Any) -> None:
    (reason,) = why({"precision": "int8"}, *FLOAT_RUN)
    assert reason.cause is Cause.FLOAT_LEFT
    assert "the file has 100% of its multiply-accumulates in 8 bits" in reason.text


def test_without_operator_times_what_the_file_left_in_float_is_counted(why: Any) -> None:
    (reason,) = why({"formats": ("int8", "fp32")})
    assert (reason.cause, reason.basis, reason.share) == (Cause.FLOAT_LEFT, "counted", None)
    assert why({"precision": "int8"}) == ()


def test_float_in_a_variant_that_was_never_meant_to_be_in_8_bits_is_no_reason(why: Any) -> None:
    assert why({}, *FLOAT_RUN) == ()


def test_changes_of_format_that_stand_by_themselves_are_counted_and_timed(why: Any) -> None:
    planted = [("Quantise", "fp32", 30.0)] * 4
    (reason,) = why({"precision": "int8"}, *INT8_RUN, *planted)
    assert reason.cause is Cause.FORMAT_CHANGES
    assert reason.share == pytest.approx(120 / 520)
    assert "4 × Quantise" in reason.text
    assert "no neighbour" in reason.text


def test_changes_of_format_at_the_borders_are_said_to_be_there(why: Any) -> None:
    (reason,) = why({"precision": "int8"}, *INT8_RUN, ("Quantise", "fp32", 30.0), ("Quantise", "int8", 30.0))
    assert "inputs and outputs" in reason.text


def test_8_bits_without_a_dot_product_are_a_reason_and_with_one_they_are_not(why: Any) -> None:
    (reason,) = why({"precision": "int8"}, *INT8_RUN, cpu={"dot_product": False})
    assert (reason.cause, reason.share) == (Cause.NO_DOT_PRODUCT, pytest.approx(1.0))
    assert why({"precision": "int8"}, *INT8_RUN, cpu={"dot_product": True}) == ()


def test_a_core_without_vectors_does_not_lack_a_dot_product(why: Any) -> None:
    assert why({"precision": "int8"}, *INT8_RUN, cpu={"dot_product": False, "lanes": 1}) == ()


def test_a_processor_without_dot_products_matters_to_8_bits_only(why: Any) -> None:
    assert why({"precision": "fp16"}, *HALF_RUN, cpu={"dot_product": False}) == ()


def test_half_precision_that_is_computed_in_float_is_a_reason(why: Any) -> None:
    (reason,) = why({"precision": "fp16"}, *FLOAT_RUN, cpu={"half": False})
    assert (reason.cause, reason.share) == (Cause.HALF_IN_FLOAT, pytest.approx(1.0))
    assert "a core has no half-precision arithmetic" in reason.text
    assert why({"precision": "fp16"}, *HALF_RUN, cpu={"half": False}) == ()


def test_a_runtime_that_does_not_use_half_precision_is_told_from_a_processor_that_has_none(why: Any) -> None:
    (reason,) = why({"precision": "fp16"}, *FLOAT_RUN, cpu={"half": True})
    assert "the runtime does not" in reason.text


def test_without_operator_times_half_precision_goes_by_the_processor(why: Any) -> None:
    (reason,) = why({"precision": "fp16"}, cpu={"half": False})
    assert (reason.cause, reason.basis) == (Cause.HALF_IN_FLOAT, "counted")
    assert why({"precision": "fp16"}, cpu={"half": True}) == ()


def test_weights_that_are_only_stored_small_are_a_reason(why: Any) -> None:
    found = why({"precision": "int8", "scheme": "weight-only"}, *FLOAT_RUN)
    assert causes(found) == [Cause.WEIGHTS_EXPANDED]
    assert found[0].share is None


def test_small_weights_that_the_runtime_computes_with_in_8_bits_are_none(why: Any) -> None:
    assert Cause.WEIGHTS_EXPANDED not in causes(why({"precision": "int8", "scheme": "weight-only"}, *INT8_RUN))


def test_weights_that_were_small_in_the_baseline_are_no_reason(make: dict[str, Any]) -> None:
    side = make["side"](make["graph"](precision="int8", scheme="weight-only"), *FLOAT_RUN)
    assert host_reasons(side, side, make["cpu"]()) == ()


def test_without_a_graph_the_operators_tell_that_8_bits_were_wanted(make: dict[str, Any]) -> None:
    baseline = make["side"](None, *FLOAT_RUN)
    found = host_reasons(baseline, make["side"](None, *INT8_RUN, ("Conv", "fp32", 400.0)), make["cpu"]())
    assert causes(found) == [Cause.FLOAT_LEFT]
    assert host_reasons(baseline, baseline, make["cpu"]()) == ()

"""Cells without numbers."""

from __future__ import annotations

from typing import Any

from harness.record import Failure, Record
from harness.report.missing import group_missing


def skipped(error: str, reason: str = "NOT_MAPPABLE") -> Failure:
    return Failure(stage="plan", plugin="edgetpu edge-bench 0.1.0", error=error, hint="quantise it", reason=reason)


def test_cells_with_one_reason_are_one_group_and_failures_come_first(records: list[Record]) -> None:
    groups = group_missing([record for record in records if record.model == "har-watch"])
    assert [(group.outcome, len(group.cells)) for group in groups] == [("failed", 1), ("skipped", 4), ("skipped", 3)]


def test_the_reason_is_the_text_of_the_closed_list(records: list[Record]) -> None:
    groups = group_missing(records)
    assert "the accelerator's compiler would refuse the graph" in {group.reason for group in groups}


def test_particulars_that_differ_stay_with_their_cells(factory: dict[str, Any]) -> None:
    (group,) = group_missing([
        factory["missing"](factory["record"](recipe=recipe), "skipped",
                           skipped(f"the accelerator's compiler would refuse the graph: {n} × NOT_QUANTISED"))
        for recipe, n in (("baseline", 6), ("fp16", 7))
    ])  # fmt: skip
    assert group.error == ""
    assert [cell.error for cell in group.cells] == ["6 × NOT_QUANTISED", "7 × NOT_QUANTISED"]


def test_particulars_that_agree_are_said_once(factory: dict[str, Any]) -> None:
    cells = [
        factory["missing"](factory["record"](recipe=recipe), "skipped", skipped("no coral-usb in the profile"))
        for recipe in ("baseline", "fp16")
    ]
    (group,) = group_missing(cells)
    assert group.error == "no coral-usb in the profile"
    assert [cell.error for cell in group.cells] == ["", ""]


def test_failures_with_different_errors_are_different_groups(factory: dict[str, Any]) -> None:
    failures = [Failure(stage="open", plugin="p", error=error, hint="") for error in ("segfault", "hang")]
    groups = group_missing([factory["missing"](factory["record"](), "failed", failure) for failure in failures])
    assert sorted(group.reason for group in groups) == ["hang", "segfault"]


def test_a_missing_cell_without_a_reason_is_still_listed(factory: dict[str, Any]) -> None:
    (group,) = group_missing([factory["missing"](factory["record"](), "failed", None)])
    assert group.reason == "no reason was recorded"


def test_a_reason_that_the_list_does_not_know_is_shown_as_it_is(factory: dict[str, Any]) -> None:
    (group,) = group_missing([factory["missing"](factory["record"](), "skipped", skipped("x", reason="LATER_REASON"))])
    assert group.reason == "LATER_REASON"

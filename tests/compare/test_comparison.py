"""What changed between two runs, cell by cell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.compare.comparison import compare
from harness.errors import UsageError


def change_of(comparison, metric, recipe="small"):
    (cell,) = [cell for cell in comparison.cells if cell.recipe == recipe]
    return cell.change(metric)


def test_like_runs_show_nothing_significant_and_say_what_they_could_have_seen(twins):
    found = compare(*twins(), 0.05)
    assert [c.verdict for cell in found.cells for c in cell.changes if c.verdict in ("worse", "better")] == []
    change = change_of(found, "relative latency")
    assert change.verdict == "not significant"
    assert 0.005 < change.sees < 0.06
    assert change.lo < 0 < change.hi


def test_a_slower_variant_is_worse_and_a_faster_one_better(twins):
    assert change_of(compare(*twins(ms=1.08), 0.05), "relative latency").verdict == "worse"
    faster = change_of(compare(*twins(ms=0.92), 0.05), "relative latency")
    assert faster.verdict == "better"
    assert faster.change == pytest.approx(-0.08, abs=0.03)


def test_drift_of_the_machine_shows_in_the_latency_and_not_relative_to_the_baseline(twins):
    found = compare(*twins(drift=1.10), 0.05)
    assert change_of(found, "latency").verdict == "worse"
    assert change_of(found, "latency", "baseline").verdict == "worse"
    assert change_of(found, "relative latency").verdict == "not significant"


def test_a_baseline_is_relative_to_nothing(twins):
    assert change_of(compare(*twins(), 0.05), "relative latency", "baseline") is None


def test_the_more_cells_the_more_is_asked_of_each(make):
    def cells(seed):
        return [make["record"](f"r{i}", seed=seed + i) for i in range(12)]

    few = compare(make["run"]("a", *cells(0)[:1]), make["run"]("b", *cells(100)[:1]), 0.05)
    many = compare(make["run"]("a", *cells(0)), make["run"]("b", *cells(100)), 0.05)
    one, same_of_many = change_of(few, "latency", "r0"), change_of(many, "latency", "r0")
    assert one.p == same_of_many.p
    assert one.adjusted_p == one.p
    assert same_of_many.adjusted_p > same_of_many.p
    assert same_of_many.sees > one.sees


def test_one_process_cannot_tell(make):
    alone = make["record"](measurement=make["measurement"](seed=1, processes=1))
    change = change_of(compare(make["run"]("a", alone), make["run"]("b", alone), 0.05), "latency", "baseline")
    assert (change.verdict, change.sees, change.lo) == ("cannot be told", None, None)
    assert "one process only" in change.note


def test_memory_is_compared_process_by_process(twins, make):
    grown = compare(*twins(measurement=make["measurement"](1.0, seed=4, memory_mb=33.0)), 0.05)
    change = change_of(grown, "memory")
    assert change.verdict == "worse"
    assert change.change == pytest.approx(0.1, abs=0.01)
    assert change_of(compare(*twins(), 0.05), "memory").verdict == "not significant"


def test_sizes_are_exact(twins):
    before, after = twins()
    variant = replace(after.records[1].variant, size_bytes=100_001)
    found = compare(
        before, replace(after, records=(after.records[0], replace(after.records[1], variant=variant))), 0.05
    )
    assert (change_of(found, "size").verdict, change_of(found, "download").verdict) == ("worse", "same")
    assert change_of(found, "size").p is None


def test_equal_files_are_told_from_others(twins):
    before, after = twins()
    variant = replace(after.records[1].variant, sha256="another")
    found = compare(
        before, replace(after, records=(after.records[0], replace(after.records[1], variant=variant))), 0.05
    )
    assert [cell.same_file for cell in found.cells] == [True, False]


def test_a_baseline_with_another_file_is_told_where_it_matters(twins):
    before, after = twins()
    other = replace(after.records[0], variant=replace(after.records[0].variant, sha256="another"))
    found = compare(before, replace(after, records=(other, after.records[1])), 0.05)
    assert [bool(cell.notes) for cell in found.cells] == [False, True]


def test_accuracy_is_paired_by_rows(twins, make):
    # As many rows are wrong as would be chance if other rows were right instead.
    lost = change_of(compare(*twins(quality=make["quality"](range(32))), 0.05), "accuracy")
    assert (lost.verdict, lost.change) == ("worse", pytest.approx(-0.012))
    swapped = change_of(compare(*twins(quality=make["quality"](range(10, 42))), 0.05), "accuracy")
    assert (swapped.verdict, swapped.change) == ("not significant", pytest.approx(-0.012))
    assert lost.note == "12 of 1,000 rows differ"


@pytest.mark.parametrize("changes", [{"right": ""}, {"metric": "top5"}])
def test_rows_that_cannot_be_paired_are_not_tested(twins, make, changes):
    change = change_of(compare(*twins(quality=make["quality"](range(500), **changes)), 0.05), "accuracy")
    assert change.verdict == "cannot be told"
    assert "rows cannot be paired" in change.note


def test_rows_of_another_seed_are_not_paired(twins):
    before, after = twins()
    found = compare(before, replace(after, plan={"seed": 1}), 0.05, ["seed"])
    assert change_of(found, "accuracy").verdict == "cannot be told"


def test_rows_of_one_run_and_changed_outcomes_are_listed(make):
    rows = [make["record"](name, seed=i) for i, name in enumerate(("baseline", "gone", "broken", "mended"))]
    before = make["run"]("a", *rows[:3], make["failed"](rows[3]))
    after = make["run"]("b", rows[0], make["failed"](rows[2]), rows[3], make["record"]("new"))
    found = compare(before, after, 0.05)
    assert [row[1] for row in found.only_before] == ["gone"]
    assert [row[1] for row in found.only_after] == ["new"]
    assert [(o.recipe, o.lost, o.reason) for o in found.outcomes] == [
        ("broken", True, "the kernel said no"), ("mended", False, "the kernel said no"),
    ]  # fmt: skip


def test_an_estimate_that_changed_is_no_measurement(twins):
    before, after = twins()
    estimate = after.records[1].estimate
    other = replace(estimate, latency_ms=replace(estimate.latency_ms, p50=7.0))
    found = compare(before, replace(after, records=(after.records[0], replace(after.records[1], estimate=other))), 0.05)
    (change,) = found.cells[1].estimates
    assert (change.what, change.before, change.after, change.profile) == ("latency in ms", 5.0, 7.0, "board")


def test_a_cell_with_two_profiles_is_tested_once(make):
    def run(name, seed):
        return make["run"](name, *(make["record"](seed=seed, profile=profile) for profile in ("board", "phone")))

    (cell,) = compare(run("a", 1), run("b", 2), 0.05).cells
    assert cell.change("latency").adjusted_p == cell.change("latency").p


def test_runs_without_a_common_cell_are_refused_with_what_they_have(make):
    with pytest.raises(UsageError, match="no cell in common") as caught:
        compare(make["run"]("a", make["record"]("one")), make["run"]("b", make["record"]("two")), 0.05)
    assert "a has net × one × runtime × board" in caught.value.hint


def test_a_measurement_that_cannot_be_read_is_left_out(twins, make):
    torn = replace(make["measurement"](seed=1), rounds=(), latency_ns=())
    assert change_of(compare(*twins(measurement=torn), 0.05), "latency") is None

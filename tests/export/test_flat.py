"""The flat table: one line a record, units and kinds in the names, nothing missing that looks like a number."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from harness.export.column import Column, rows
from harness.export.flat import COLUMNS, flat_rows
from harness.export.samples import SAMPLE_COLUMNS
from harness.measure.statistics import ratio, summarise
from harness.record import Deviation
from harness.report.row import build_rows
from harness.run_folder import read_records

DOCUMENT = Path(__file__).parents[2] / "docs" / "exporting.md"


@pytest.fixture
def lines(stored):
    return {line["cell"]: line for line in flat_rows(stored)}


def test_there_is_a_line_for_each_record_in_its_order(stored):
    assert [line["cell"] for line in flat_rows(stored)] == ["c1", "c2", "c3", "c4", "c5", "c6", "d1", "d2"]


def test_every_column_has_a_value_in_some_record(lines):
    assert [c.name for c in COLUMNS if all(line[c.name] is None for line in lines.values())] == []


def test_names_are_unique_and_only_lower_case():
    for columns in (COLUMNS, SAMPLE_COLUMNS):
        names = [c.name for c in columns]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


def test_a_measured_estimated_or_simulated_column_says_so_in_its_name():
    kinds = ("measured", "estimated", "simulated")
    for column in COLUMNS:
        starts = [kind for kind in kinds if column.name.startswith(f"{kind}_")]
        assert starts == [column.kind for kind in kinds if kind == column.kind], column.name


def test_latency_ratio_and_memory_are_those_of_the_report(store, tmp_path):
    from harness.export.stored_run import cells, read_run

    found = flat_rows(cells(read_run(store())))[1]
    records = [r for r in read_records(tmp_path / "here") if r.profile == "board"]
    row = build_rows(records)[1]
    assert found["measured_latency_median_ns"] == round(row.host.median_ns)
    assert found["measured_latency_hi95_ns"] == round(row.host.hi95_ns)
    assert (found["measured_ratio"], found["measured_verdict"]) == (row.speed.summary.ratio, "faster")
    assert found["measured_ratio_lo95"] == ratio(records[0].measurement, records[1].measurement).lo95
    assert found["measured_memory_bytes"] == 27_000_000
    assert found["measured_processes"] == summarise(records[1].measurement).processes == 3


def test_percentiles_are_of_all_samples_and_need_enough_of_them(store, make_record, make_measurement):
    from harness.export.stored_run import cells, read_run

    many, few = make_measurement(1.0), make_measurement(1.0, processes=1, samples=9)
    folder = store("few", [make_record("a", measurement=many), make_record("b", recipe="x", measurement=few)])
    first, second = flat_rows(cells(read_run(folder)))
    ordered = sorted(many.latency_ns)
    assert (first["measured_latency_p90_ns"], first["measured_latency_p99_ns"]) == (ordered[107], ordered[118])
    assert (second["measured_latency_p90_ns"], second["measured_latency_p99_ns"]) == (None, None)


def test_a_simulated_cell_has_nothing_measured_and_nothing_estimated(lines):
    found = lines["c4"]
    assert found["simulated_latency_p50_ms"] == 1.0
    assert [name for name, value in found.items() if name.startswith(("measured_", "estimated_")) and value] == []


def test_an_estimated_cell_has_nothing_simulated(lines):
    assert [name for name, value in lines["c1"].items() if name.startswith("simulated_") and value is not None] == []
    assert lines["c1"]["estimated_doubts"] == "no such model was measured"


def test_how_far_outputs_are_from_the_framework_stands_with_what_is_allowed(lines):
    found = lines["c1"]
    assert (found["deviation"], found["deviation_tolerance"], found["deviation_agrees"]) == (2e-4, 1e-3, True)
    assert found["deviation_reference"] == "baseline in frame"


@pytest.mark.parametrize(
    ("largest", "tolerance", "agrees"),
    [(2e-3, 1e-3, False), (None, 1e-3, False), (None, None, False), (0.3, None, None)],
)
def test_a_deviation_agrees_differs_or_is_for_accuracy_to_tell(store, make_record, largest, tolerance, agrees):
    from harness.export.stored_run import cells, read_run

    record = make_record("a")
    deviation = Deviation(reference="baseline in frame", largest=largest, tolerance=tolerance)
    changed = replace(record, quality=replace(record.quality, deviation=deviation))
    (found,) = flat_rows(cells(read_run(store("far", [changed]))))
    assert found["deviation_agrees"] is agrees


def test_what_a_backend_notes_and_what_its_process_holds_besides_are_told(lines):
    found = lines["c1"]
    assert found["runtime_notes"] == "a delegate takes 9 of 9 operators; its own pool"
    assert (found["also_imports"], found["measured_base_memory_bytes"]) == ("frame_work", 61_000_000)


def test_a_failed_cell_keeps_the_reason_and_shows_no_number_that_a_report_would_not(lines):
    found = lines["c6"]
    assert (found["failure_stage"], found["failure_error"]) == ("quality", "it broke")
    assert [n for n, value in found.items() if n.startswith(("measured_", "estimated_")) and value is not None] == []


def test_the_time_is_in_utc(lines):
    assert lines["c1"]["time_utc"] == datetime(2026, 1, 1, 12, 0, 0)  # noqa: DTZ001 - a TIMESTAMP has no zone


def test_an_environment_of_the_wrong_types_leaves_empty_places(store):
    from harness.export.stored_run import cells, read_run

    wrong = {"time": "noon", "cpu": 7, "cores": "two", "memory_bytes": 2**70, "load_average": True, "bench": ["x"]}
    found = flat_rows(cells(read_run(store("wrong", **wrong))))[0]
    empty = ("time_utc", "cpu", "cores", "machine_memory_bytes", "load_average", "bench")
    assert [found[name] for name in empty] == [None] * len(empty)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", "", None), ("text", "a\0b\ud800", "a\N{REPLACEMENT CHARACTER}b?"), ("integer", 2.5e3, 2500),
        ("integer", float("nan"), None), ("integer", 2**63, None), ("real", float("inf"), None),
        ("real", 10**400, None), ("real", True, None), ("flag", 1, None), ("flag", False, False),
        ("time", "9999-12-31T23:00:00-05:00", None),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_type_is_missing(kind, value, expected):
    column = Column(name="x", type=kind, kind="run", meaning="", read=lambda line: line)
    assert rows([column], [value]) == [{"x": expected}]


@pytest.mark.parametrize("columns", [COLUMNS, SAMPLE_COLUMNS], ids=["records", "samples"])
def test_the_documented_columns_are_those_of_the_code(columns):
    expected = "\n".join(f"| `{c.name}` | {c.type} | {c.kind} | {c.meaning} |" for c in columns)
    assert f"|---|---|---|---|\n{expected}\n\n" in DOCUMENT.read_text(encoding="utf-8")

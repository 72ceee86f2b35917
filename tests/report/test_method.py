"""How it was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.record import Record
from harness.report.method import describe_method
from harness.report.prose import method_facts


def facts(records: list[Record], environment: dict[str, Any]) -> dict[str, str]:
    return dict(method_facts(describe_method(records, environment)))


def test_machine_versions_threads_and_samples_are_told(records: list[Record], environment: dict[str, Any]) -> None:
    found = facts(records, environment)
    assert found["Processor"] == "Intel Xeon at 2.50 GHz"
    assert found["Memory"] == "8.33 GB"
    assert "Python 3.11.7" in found["Versions"]
    assert "openvino 2026.3.0" in found["Versions"]
    assert found["Threads"] == (
        "budget 2 for every backend; what the runtime reports: onnxruntime 2, openvino 2, torch cannot be read back"
    )
    assert found["Cells timed"].startswith(
        "22, each in 3 fresh processes with 45 samples in all, 8 inferences a sample"
    )
    assert found["Timing ended"] == "precise enough in 22"
    assert found["Note"] == "cpufreq not readable here: clocks may have changed while it ran"


def test_an_empty_environment_leaves_facts_out_instead_of_inventing_them(records: list[Record]) -> None:
    found = facts(records, {})
    assert not {"Processor", "Memory", "Cores", "Note"} & set(found)


def test_nothing_at_all_is_described_without_an_error() -> None:
    assert facts([], {}) == {"Cells timed": "none"}


def test_with_one_process_noise_is_unknown(factory: dict[str, Any]) -> None:
    found = facts([factory["record"](measurement=factory["measurement"](1.0, processes=1))], {})
    assert found["Noise"].startswith("unknown")


def test_a_measurement_that_two_profiles_share_counts_once(records: list[Record]) -> None:
    twice = records + [replace(record, profile="rpi5") for record in records]
    assert describe_method(twice, {}).cells == 22


def test_threads_that_never_became_quiet_and_warm_up_that_never_settled_are_counted(factory: dict[str, Any]) -> None:
    made = factory["measurement"](1.0)
    restless = replace(made.processes[0], settled=False, steady=False)
    found = facts([factory["record"](measurement=replace(made, processes=(restless, *made.processes[1:])))], {})
    assert "not quiet in 1 of 3 processes" in found["Settling"]
    assert "in 1 of 3 processes (onnxruntime 1)" in found["Warm-up"]


def test_versions_that_differ_between_records_are_all_named(factory: dict[str, Any]) -> None:
    cells = [factory["record"](versions={"onnxruntime": version}) for version in ("1.30.0", "1.31.1")]
    assert dict(describe_method(cells, {}).versions) == {"onnxruntime": "1.30.0, 1.31.1"}

"""Recommendations under goals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.report import report as report_command
from harness.measure.statistics import wilson
from harness.record import Record
from harness.report.document import build_report
from harness.report.goals import Goals, planned_goals
from harness.report.recommendation import Recommendation
from harness.run_folder import RecordLog


def recommended(records: list[Record], **goals: float) -> Recommendation:
    return build_report(records, {}, Goals(**goals)).sections[0].recommendation


@pytest.fixture
def watch(records: list[Record]) -> list[Record]:
    return [record for record in records if record.model == "har-watch"]


def cell(factory: dict[str, Any], recipe: str, ms: float, right: int = 2544, **of_estimate: Any) -> Record:
    made: Record = factory["record"](
        recipe=recipe, estimate=factory["estimate"](ms, **of_estimate), quality=factory["quality"](right, 2947)
    )
    return made


def test_without_goals_nothing_changes(watch: list[Record]) -> None:
    found = recommended(watch)
    assert found == build_report(watch, {}).sections[0].recommendation
    assert "oals met" not in found.sentence
    assert found.goals == ()


def test_the_sentence_names_the_goals_that_are_met(watch: list[Record]) -> None:
    found = recommended(watch, max_latency_ms=1.0, max_download_bytes=20_000)
    assert found.sentence.startswith("Use int8-static in onnxruntime: ")
    assert (
        " Goals met: at most 1 point of accuracy lost, latency at most 1,000 µs, download at most 20.0 kB;"
        " may miss accuracy: its 95 % interval reaches 1.6 points lost."
    ) in found.sentence


def test_a_goal_that_an_interval_reaches_beyond_may_be_missed(watch: list[Record]) -> None:
    found = recommended(watch, max_latency_ms=0.5)
    assert found.row.recipe == "int8-static"
    assert "; may miss latency: its 90 % interval reaches 883 µs." in found.sentence


def test_when_no_variant_meets_the_goals_the_nearest_is_named_with_by_how_much(watch: list[Record]) -> None:
    found = recommended([record for record in watch if record.backend != "edgetpu"], max_latency_ms=0.4)
    assert found.row is None
    assert (found.nearest.recipe, found.nearest.backend) == ("int8-static", "onnxruntime")
    assert "No variant meets the goals for rpi4 (at most 1 point of accuracy lost, latency at most 400 µs)." in (
        found.sentence
    )
    assert "latency 442 µs (10 % above 400 µs); it meets the others: " in found.sentence


def test_a_looser_goal_on_accuracy_admits_a_faster_variant(factory: dict[str, Any]) -> None:
    records = [cell(factory, "baseline", 0.9), cell(factory, "tiny", 0.1, right=2470)]
    assert recommended(records).row.recipe == "baseline"
    assert recommended(records, max_accuracy_drop=3.0).row.recipe == "tiny"
    assert "at most 3 points of accuracy lost" in recommended(records, max_accuracy_drop=3.0).sentence


def test_a_stricter_goal_on_accuracy_keeps_the_baseline(watch: list[Record]) -> None:
    assert recommended(watch, max_accuracy_drop=0.1).row.baseline


def test_the_paired_interval_tells_whether_accuracy_may_be_missed(factory: dict[str, Any]) -> None:
    fast = cell(factory, "fast", 0.1, right=2540)
    fast = replace(fast, quality=replace(fast.quality, drop=0.001, drop_lo95=-0.002, drop_hi95=0.014))
    found = recommended([cell(factory, "baseline", 0.9), fast], max_accuracy_drop=1.0)
    assert "may miss accuracy: its 95 % interval reaches 1.4 points lost" in found.sentence


def test_the_nearest_is_the_one_whose_worst_miss_is_least(factory: dict[str, Any]) -> None:
    wide = [cell(factory, "baseline", 2.0), cell(factory, "a", 1.3, energy_mj=factory["interval"](9.0)),
            cell(factory, "b", 1.5, energy_mj=factory["interval"](5.0))]  # fmt: skip
    found = recommended(wide, max_latency_ms=1.0, max_energy_mj=4.0)
    assert found.nearest.recipe == "b"
    assert "1,500 µs (50 % above 1,000 µs); energy 5.00 mJ (25 % above 4.00 mJ)" in found.sentence


def test_points_too_many_are_told_as_points(factory: dict[str, Any]) -> None:
    records = [cell(factory, "baseline", 2.0), cell(factory, "tiny", 0.1, right=2470)]
    found = recommended(records, max_latency_ms=0.5)
    assert found.nearest.recipe == "baseline" or "too many)" in found.sentence


def test_a_goal_that_nothing_is_known_of_is_not_taken_as_met(factory: dict[str, Any]) -> None:
    unknown = factory["record"](estimate=factory["estimate"](0.9, energy_mj=None))
    found = recommended([unknown], max_energy_mj=100.0)
    assert found.row is None
    assert "energy of no variant is known" in found.sentence


def test_memory_is_that_of_the_device_or_on_the_host_what_was_measured(factory: dict[str, Any]) -> None:
    here = factory["record"](profile="host")
    assert recommended([here], max_memory_bytes=30e6).row is not None
    assert "memory 27.4 MB (37 % above 20.0 MB)" in recommended([here], max_memory_bytes=20e6).sentence
    there = recommended([factory["record"]()], max_memory_bytes=30e6)
    assert "may miss memory: its 90 % interval reaches 33.6 MB" in there.sentence


def test_the_plan_s_goal_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("max_accuracy_drop = 2.5\n")
    assert planned_goals(tmp_path) == Goals(max_accuracy_drop=2.5)
    assert planned_goals(tmp_path / "nowhere") == Goals()
    (tmp_path / "plan.toml").write_text("not TOML")
    assert planned_goals(tmp_path) == Goals()


@pytest.fixture
def folder(tmp_path: Path, watch: list[Record]) -> Path:
    with RecordLog(tmp_path) as log:
        for record in watch:
            log.append(record)
    return tmp_path


def test_the_command_takes_goals_and_writes_them_into_the_report(folder: Path) -> None:
    done = CliRunner().invoke(report_command, [str(folder), "--max-latency-ms", "0.4", "--max-download-mb", "0.02"])
    assert done.exit_code == 0, done.output
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "latency at most 400 µs, download at most 20.0 kB" in text


def test_the_command_refuses_a_goal_that_makes_no_sense(folder: Path) -> None:
    done = CliRunner().invoke(report_command, [str(folder), "--max-latency-ms", "-1"])
    assert done.exit_code == 2
    assert "--max-latency-ms" in done.output


def test_agreement_is_a_goal_where_there_are_no_labels(factory: dict[str, Any]) -> None:
    unlabelled = factory["unlabelled"]
    records = [
        factory["record"](quality=unlabelled(1.0)),
        factory["record"](recipe="int8-static", quality=unlabelled(0.97), estimate=factory["estimate"](0.4)),
    ]
    assert recommended(records, max_accuracy_drop=1.0).row.baseline
    found = recommended(records, max_accuracy_drop=4.0)
    lost = (1 - wilson(194, 200)[0]) * 100
    assert f"may miss agreement: its 95 % interval reaches {lost:.2f} points lost" in found.sentence

"""The noise of a run, in words and in every rendering."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.measure.noise import Noise
from harness.record import Record
from harness.report.document import build_report
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.noise import advice, facts, headline, judge_run
from harness.report.terminal import render_terminal

RENDERINGS = {
    "terminal": lambda report: " ".join(render_terminal(report, 200).split()),
    "markdown": render_markdown,
    "html": render_html,
}


def records(factory: dict[str, Any], spread: float, **of_measurement: Any) -> list[Record]:
    return [
        factory["record"](
            recipe=recipe, measurement=factory["measurement"](1.0, seed=seed, spread=spread, **of_measurement)
        )
        for seed, recipe in enumerate(("baseline", "fp16", "int8-static"))
    ]


def judged(factory: dict[str, Any], spread: float, environment: dict[str, Any] | None = None, **more: Any) -> Noise:
    found = judge_run(records(factory, spread, **more), environment or {})
    assert found is not None
    return found


@pytest.mark.parametrize(("spread", "verdict"), [(0.002, "quiet"), (0.014, "usable"), (0.3, "noisy")])
def test_the_headline_begins_with_the_verdict_and_names_the_figure_that_decides(
    factory: dict[str, Any], spread: float, verdict: str
) -> None:
    found = headline(judged(factory, spread))
    assert found.startswith(f"{verdict}: ")
    assert "the smallest difference that is told is" in found
    assert "(median of 2 comparisons with a baseline)" in found


def test_a_quiet_run_gets_no_advice(factory: dict[str, Any]) -> None:
    assert advice(judged(factory, 0.002)) == ()


def test_advice_is_a_command_that_runs_the_same_plan_with_more_processes(factory: dict[str, Any]) -> None:
    (command,) = (found.command for found in advice(judged(factory, 0.02)) if "bench run" in found.command)
    assert command.startswith("bench run --plan plan.toml --processes ")
    assert int(command.split("--processes ")[1].split(" ")[0]) > 3
    assert "--budget-s" in command


def test_one_process_is_advised_to_become_three(factory: dict[str, Any]) -> None:
    found = judged(factory, 0.002, processes=1)
    assert headline(found).startswith("unknown: each variant was timed in one process only")
    assert any("--processes 3 " in one.command for one in advice(found))


def test_a_loaded_machine_and_a_free_clock_are_told_with_what_to_do(factory: dict[str, Any]) -> None:
    environment = {"load_average": 3.5, "cores": 2, "notes": ["processor clock governor: powersave"]}
    found = judged(factory, 0.3, environment)
    assert "Load when the run began: 3.5 on 2 cores." in facts(found)
    assert "The processor's clock was free to change." in facts(found)
    lines = [one.line for one in advice(found)]
    assert "Close other programs before the run." in lines
    assert "Fix the processor's clock: sudo cpupower frequency-set --governor performance" in lines


def test_the_governor_is_read_from_the_note_that_the_environment_writes(
    factory: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import harness.environment as environment

    governor = tmp_path / "scaling_governor"
    governor.write_text("performance\n")
    monkeypatch.setattr(environment, "Path", lambda *parts: governor)
    described = environment.describe_environment((), 2)
    assert judged(factory, 0.3, {"notes": described["notes"]}).conditions.clock == "fixed"


@pytest.mark.parametrize("render", RENDERINGS.values(), ids=RENDERINGS)
def test_every_rendering_tells_the_verdict_and_what_to_do(factory: dict[str, Any], render: Any) -> None:
    text = render(build_report(records(factory, 0.3), {}))
    assert "not even differences of 10 %" in text.replace("\u00a0", " ")
    assert "bench run --plan plan.toml" in text


@pytest.mark.parametrize("render", [render_markdown, render_html], ids=["markdown", "html"])
def test_the_files_tell_what_each_comparison_can_tell(factory: dict[str, Any], render: Any) -> None:
    text = render(build_report(records(factory, 0.01), {}))
    assert "Smallest difference that each comparison with a baseline can tell" in text
    assert "int8-static in onnxruntime" in text


def test_what_two_profiles_share_counts_once(factory: dict[str, Any]) -> None:
    once = records(factory, 0.01)
    twice = [*once, *(replace(record, profile="rpi5") for record in once)]
    assert judge_run(twice, {}) == judge_run(once, {})


def test_two_models_are_told_apart_by_name(factory: dict[str, Any]) -> None:
    both = [replace(record, model=model) for model in ("a", "b") for record in records(factory, 0.01)]
    found = judge_run(both, {})
    assert found is not None
    assert {entry.name for entry in found.resolutions} == {
        f"{recipe} in onnxruntime of {model}" for model in "ab" for recipe in ("fp16", "int8-static")
    }

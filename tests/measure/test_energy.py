"""Energy of sessions by a meter: idle is taken off, failures stay data, and a whole run carries what was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness.errors import ChildError
from harness.measure import energy as energy_module
from harness.measure.energy import BLOCK_NS, BLOCKS, IDLE_S, Wall, choose_meter, read_energy
from harness.plan import Plan
from harness.record import EnergyReading
from harness.report.document import build_report
from harness.report.markdown import render_markdown
from harness.run_folder import read_environment, read_records
from harness.runner import run

PLUGINS = Path(__file__).parent.parent / "data" / "plugins"


class Bench:
    """A machine that draws one power while it waits and another while it runs, on a clock of its own."""

    def __init__(self, idle_w: float = 5.0, busy_w: float = 8.0) -> None:
        self.idle_w, self.busy_w = idle_w, busy_w
        self.ns, self.uj = 0, 0.0
        self.events: list[str] = []
        self.broken_after: int | None = None

    def pass_ns(self, ns: int, watt: float) -> None:
        self.ns += ns
        self.uj += watt * ns / 1e3

    def sleep(self, seconds: float) -> None:
        self.events.append("wait")
        self.pass_ns(round(seconds * 1e9), self.idle_w)

    @property
    def wall(self) -> Wall:
        return Wall(now_ns=lambda: self.ns, sleep_s=self.sleep)

    def read_uj(self) -> int:
        if self.broken_after is not None:
            self.broken_after -= 1
            if self.broken_after < 0:
                raise OSError("the sensor is gone")
        return round(self.uj)

    def close(self) -> None:
        self.events.append("close")

    def meter(self, **changes: Any) -> harness.Meter:
        def opened() -> Bench:
            self.events.append("open")
            return self

        usual = harness.Meter(
            name="fake", summary="", available=lambda: harness.AVAILABLE, open=opened, scope="all of it"
        )
        return replace(usual, **changes)

    def session(self, name: str, inference_ns: int = 10_000_000, dies: bool = False) -> Any:
        def work(duration_ns: int) -> int:
            self.events.append(f"run {name}")
            if dies:
                raise ChildError("it crashed.")
            inferences = -(-duration_ns // inference_ns)
            self.pass_ns(inferences * inference_ns, self.busy_w)
            return inferences

        return SimpleNamespace(
            subject=SimpleNamespace(name=name, provider="p"),
            worker=SimpleNamespace(kill=lambda: self.events.append(f"kill {name}")),
            run=work,
            rest=lambda: self.events.append(f"rest {name}"),
        )


def read(bench: Bench, *sessions: Any, **changes: Any) -> tuple[dict[str, EnergyReading], dict[str, Any]]:
    return read_energy(sessions, bench.meter(**changes), bench.wall)


def test_the_energy_of_an_inference_is_power_times_its_time_and_idle_is_taken_off() -> None:
    bench = Bench()
    readings, failures = read(bench, bench.session("a", inference_ns=10_000_000))
    found = readings["a"]
    assert failures == {}
    assert found.total_mj == pytest.approx(8.0 * 10)
    assert found.idle_w == pytest.approx(5.0)
    assert found.above_idle_mj == pytest.approx(3.0 * 10)


def test_raw_values_of_every_block_are_kept() -> None:
    bench = Bench()
    found = read(bench, bench.session("a"))[0]["a"]
    assert len(found.energy_uj) == len(found.duration_ns) == len(found.inferences) == BLOCKS
    assert all(ns >= BLOCK_NS for ns in found.duration_ns)
    assert found.idle_ns == IDLE_S * 1e9
    assert (found.meter, found.scope) == ("fake", "all of it")


@given(idle_w=st.floats(0.1, 50), above_w=st.floats(0.1, 50), inference_ns=st.integers(1_000_000, 3_000_000_000))
def test_idle_is_taken_off_whatever_it_is(idle_w: float, above_w: float, inference_ns: int) -> None:
    bench = Bench(idle_w=idle_w, busy_w=idle_w + above_w)
    found = read(bench, bench.session("a", inference_ns=inference_ns))[0]["a"]
    assert found.above_idle_mj == pytest.approx(above_w * inference_ns / 1e6, rel=1e-3)


def test_idle_is_read_once_before_any_session_runs_and_threads_are_waited_for_after_each() -> None:
    bench = Bench()
    read(bench, bench.session("a"), bench.session("b"))
    runs = (
        [f"run {name}" for name in "a" for _ in range(BLOCKS)],
        [f"run {name}" for name in "b" for _ in range(BLOCKS)],
    )
    assert bench.events == ["open", "wait", *runs[0], "rest a", *runs[1], "rest b", "close"]


def test_a_session_that_dies_is_a_failure_and_the_others_are_read() -> None:
    bench = Bench()
    readings, failures = read(bench, bench.session("a", dies=True), bench.session("b"))
    assert failures["a"].error == "it crashed."
    assert failures["a"].stage == "measure"
    assert set(readings) == {"b"}
    assert "kill a" in bench.events
    assert bench.events[-1] == "close"


def test_a_meter_that_breaks_leaves_its_words_where_nothing_was_read() -> None:
    bench = Bench()
    bench.broken_after = 2 + 2 * BLOCKS  # idle and the first session
    readings, failures = read(bench, bench.session("a"), bench.session("b"))
    assert failures == {}
    assert readings["a"].total_mj is not None
    assert readings["b"].problem == "the meter failed: OSError: the sensor is gone"
    assert (readings["b"].total_mj, readings["b"].idle_w, readings["b"].above_idle_mj) == (None, None, None)


def test_a_meter_that_cannot_be_opened_is_said_too() -> None:
    def opened() -> Bench:
        raise PermissionError("root only")

    bench = Bench()
    readings, _ = read(bench, bench.session("a"), open=opened)
    assert readings["a"].problem == "the meter failed: PermissionError: root only"


def test_the_first_meter_that_is_available_is_taken(make_host: Callable[..., Any]) -> None:
    absent = Bench().meter(name="a-first", available=lambda: harness.Availability(ok=False, reason="not here"))
    chosen, line = choose_meter(make_host(meters=[absent, Bench().meter(name="b-second")]))
    assert chosen is not None
    assert chosen.name == "b-second"
    assert line == "energy is measured here by b-second: all of it"


def test_without_a_meter_the_line_says_why_of_each_and_what_brings_it(make_host: Callable[..., Any]) -> None:
    locked = harness.Availability(ok=False, reason="root only", install="sudo chmod")
    absent = harness.Availability(ok=False, reason="not here")
    meters = [Bench().meter(name="a", available=lambda: locked), Bench().meter(name="b", available=lambda: absent)]
    chosen, line = choose_meter(make_host(meters=meters))
    assert chosen is None
    assert line == "energy is estimated, never measured here: a: root only (sudo chmod); b: not here"
    assert choose_meter(make_host())[1].endswith("no plugin brings a meter")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the toy plugin with the toy meter, its phases cut short."""
    folder = tmp_path_factory.mktemp("energy")
    toy = folder / "bench_toy.py"
    toy.write_text((PLUGINS / "toy" / "bench_toy" / "__init__.py").read_text(encoding="utf-8"), encoding="utf-8")
    plan = Plan(
        models=("toy:linear",), recipes=("toy-round",), backends=("toy-numpy",), profiles=("rpi4",),
        plugins=(str(toy), str(PLUGINS / "toy_meter.py")), budget_s=0.5, processes=1,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        patch.setattr(energy_module, "IDLE_S", 0.02)
        patch.setattr(energy_module, "BLOCK_NS", 20_000_000)
        run(plan, out=folder / "run")
    return folder / "run"


def test_a_run_keeps_what_the_meter_read_of_each_row(folder: Path) -> None:
    for record in read_records(folder):
        assert record.measurement is not None
        reading = record.measurement.energy
        assert reading is not None
        assert reading.meter == "a-toy-meter"
        assert reading.idle_w == pytest.approx(5.0, rel=0.01)
        assert reading.total_mj is not None
        assert reading.total_mj > 0


def test_measured_and_estimated_energy_stand_side_by_side_in_the_record(folder: Path) -> None:
    for record in read_records(folder):
        assert record.estimate is not None
        assert record.estimate.energy_mj is not None
        assert record.estimate.energy_basis.startswith("power states of the board")


def test_the_environment_says_once_what_energy_is_measured_by(folder: Path) -> None:
    notes = read_environment(folder)["notes"]
    assert notes[0] == "energy is measured here by a-toy-meter: a machine that draws five watts"


def test_the_report_says_which_energy_is_measured_and_what_the_meter_covers(folder: Path) -> None:
    text = render_markdown(build_report(read_records(folder), read_environment(folder)))
    assert "host energy" in text
    assert "host energy is measured by a-toy-meter, which covers a machine that draws five watts" in text
    assert "rpi4 energy" in text


def test_a_record_from_before_there_were_meters_is_still_read(folder: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        del line["measurement"]["energy"]
        del line["estimate"]["energy_basis"]
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert all(r.measurement is not None and r.measurement.energy is None for r in read_records(tmp_path))

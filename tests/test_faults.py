"""Children that break: each is one failed row, and the other rows of the run are complete."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from harness.plan import Plan
from harness.record import Record
from harness.runner import run


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """One run of a good backend among six that break."""
    folder = tmp_path_factory.mktemp("faults")
    data = Path(__file__).parent / "data" / "plugins"
    toy = folder / "bench_toy.py"
    toy.write_text((data / "toy" / "bench_toy" / "__init__.py").read_text(encoding="utf-8"), encoding="utf-8")
    plan = Plan(
        models=("toy:linear",),
        recipes=("toy-round",),
        backends=("toy-numpy", "segfault", "hang", "exhaust-memory", "exit", "flood", "raise"),
        profiles=("rpi4",),
        plugins=(str(toy), str(data / "faults.py")),
        budget_s=1.0,
        processes=1,
        timeout_s=3.0,
        memory_limit_mb=400,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        done = run(plan, out=folder / "run")
    return {f"{r.recipe} {r.backend}": r for r in done}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("segfault", "SIGSEGV"),
        ("hang", "did not answer within 3 s"),
        ("exhaust-memory", "limit 381 MiB"),
        ("exit", "status 7"),
        ("flood", "printed more than 16 MiB"),
        ("raise", "RuntimeError: the kernel"),
    ],
)
def test_a_child_that_breaks_is_one_failed_row_that_says_how(records: dict[str, Record], fault: str, said: str) -> None:
    for recipe in ("baseline", "toy-round"):
        record = records[f"{recipe} {fault}"]
        assert record.outcome == "failed"
        assert record.failure is not None
        assert said in record.failure.error
        assert record.failure.plugin == "faults (given with --plugin)"
        assert record.failure.hint


def test_the_other_rows_of_the_run_are_complete(records: dict[str, Record]) -> None:
    for recipe in ("baseline", "toy-round"):
        record = records[f"{recipe} toy-numpy"]
        assert record.outcome == "measured"
        assert record.measurement is not None
        assert len(record.measurement.latency_ns) >= 6
        assert record.quality is not None
        assert record.quality.n == 90


def test_no_child_outlives_its_run(records: dict[str, Record]) -> None:
    assert records
    for _ in range(20):
        alive = [p for p in psutil.Process().children() if "harness.process.child" in " ".join(p.cmdline())]
        if not alive:
            return
        time.sleep(0.1)
    assert alive == []


def test_the_record_keeps_the_raw_samples_of_each_process(records: dict[str, Record]) -> None:
    measurement = records["baseline toy-numpy"].measurement
    assert measurement is not None
    assert sum(p.samples for p in measurement.processes) == len(measurement.latency_ns) == len(measurement.rounds)
    assert sum(p.warmup for p in measurement.processes) == len(measurement.warmup_ns)

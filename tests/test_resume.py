"""Killing and resuming: no finished record is lost, none is doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.plan import Plan, write_plan
from harness.run_folder import read_records

RECIPES = tuple(f"toy-round(decimals={n})" for n in range(4))

DRIVER = """
import os, signal, sys
from pathlib import Path
import harness.run_folder as run_folder
from harness.plan import read_plan
from harness.runner import run

plan, out, at, share = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
written = 0

class Torn:
    def __init__(self, file):
        self.file = file
    def write(self, data):
        global written
        written += 1
        if written == at:
            self.file.write(data[: int(len(data) * share)])
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.file.write(data)
    def __getattr__(self, name):
        return getattr(self.file, name)

opened = run_folder.RecordLog.__init__
def init(self, folder):
    opened(self, folder)
    self._file = Torn(self._file)
run_folder.RecordLog.__init__ = init
run(read_plan(plan), out=out)
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the plan, the driver and a cache that all runs of this file share."""
    folder = tmp_path_factory.mktemp("resume")
    source = Path(__file__).parent / "data" / "plugins" / "toy" / "bench_toy" / "__init__.py"
    (folder / "bench_toy.py").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    plan = Plan(
        models=("toy:linear",),
        recipes=RECIPES,
        backends=("toy-numpy",),
        profiles=("rpi4", "rpi5"),
        plugins=(str(folder / "bench_toy.py"),),
        budget_s=0.1,
        processes=1,
    )
    (folder / "plan.toml").write_text(write_plan(plan), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        yield folder


def lines(run: Path) -> list[bytes]:
    path = run / "records.jsonl"
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def resume(run: Path) -> None:
    subprocess.run([sys.executable, "-m", "harness", "run", "--resume", str(run)], check=True, capture_output=True)


def check(run: Path, before: list[bytes]) -> None:
    """Resume, and compare: what was finished stands as it was, and every cell is there once."""
    resume(run)
    after = lines(run)
    assert after[: len(before)] == before
    cells = [json.loads(line)["cell"] for line in after]
    assert len(cells) == len(set(cells)) == (len(RECIPES) + 1) * 2
    assert {r.outcome for r in read_records(run)} == {"measured"}


@pytest.mark.parametrize("moment", range(10))
def test_a_run_killed_at_any_moment_resumes_without_loss(workshop: Path, moment: int) -> None:
    chosen = random.Random(moment)
    run = workshop / f"moment-{moment}"
    command = [sys.executable, "-m", "harness", "run", "--plan", str(workshop / "plan.toml"), "--out", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (run / "environment.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(chosen.uniform(0.0, 2.2))
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    check(run, lines(run))


@pytest.mark.parametrize("moment", range(10))
def test_a_run_killed_in_the_middle_of_a_write_resumes_without_loss(workshop: Path, moment: int) -> None:
    chosen = random.Random(100 + moment)
    run = workshop / f"write-{moment}"
    at, share = chosen.randint(1, 10), chosen.random()
    driver = [sys.executable, str(workshop / "driver.py"), str(workshop / "plan.toml"), str(run), str(at), str(share)]
    done = subprocess.run(driver, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(lines(run)) == at - 1
    check(run, lines(run))


def test_a_finished_run_resumes_to_itself(workshop: Path) -> None:
    run = workshop / "finished"
    command = [sys.executable, "-m", "harness", "run", "--plan", str(workshop / "plan.toml"), "--out", str(run)]
    subprocess.run(command, check=True, capture_output=True)
    before = (run / "records.jsonl").read_bytes()
    resume(run)
    assert (run / "records.jsonl").read_bytes() == before

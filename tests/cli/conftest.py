"""What the tests of single commands share."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli import bench as command_line

TOY = str(Path(__file__).parents[1] / "data" / "plugins" / "toy" / "bench_toy" / "__init__.py")


@pytest.fixture
def invoke(cache: object, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command line in this process, for a terminal of so many columns."""

    def call(*arguments: object, columns: int = 100) -> Result:
        monkeypatch.setenv("COLUMNS", str(columns))
        done = CliRunner().invoke(command_line, [str(a) for a in arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done

    return call


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short real run of the toy plugin: two variants in one backend, timed once."""
    folder = tmp_path_factory.mktemp("toy")
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--plugin", TOY, "--model", "toy:linear", "--recipe", "toy-round",
         "--backend", "toy-numpy", "--profile", "host", "--threads", "1", "--processes", "1", "--budget-s", "0.1",
         "--out", str(folder / "run")],
        env={**os.environ, "BENCH_CACHE": str(folder / "cache")}, cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def copy_run(toy_run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the toy run under a name, with drawn latencies and with what the caller changes.

    `edit(row)` changes the row of `toy-round`, `environment` what environment.json says. Latencies have 2 % between
    processes and 1 % within, and the twelve processes of the copy have the memory of the real one.
    """

    def draw(row: dict[str, Any], rng: random.Random) -> None:
        measurement, rounds = row["measurement"], 9
        reading = {**measurement["processes"][0], "samples": rounds}
        measurement["processes"] = [reading] * 12
        measurement["rounds"] = list(range(rounds)) * 12
        measurement["latency_ns"] = [
            round(1e6 * luck * rng.lognormvariate(0, 0.01))
            for luck in [rng.lognormvariate(0, 0.02) for _ in range(12)]
            for _ in range(rounds)
        ]

    def call(
        name: str, *, seed: int, edit: Callable[[dict[str, Any]], None] = lambda row: None, **environment: object
    ) -> Path:
        copy = Path(shutil.copytree(toy_run, tmp_path / name))
        rng = random.Random(seed)
        rows = [json.loads(line) for line in (copy / "records.jsonl").read_text(encoding="utf-8").splitlines()]
        for row in rows:
            draw(row, rng)
            if row["recipe"] != "baseline":
                edit(row)
        (copy / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        facts = json.loads((copy / "environment.json").read_text(encoding="utf-8"))
        (copy / "environment.json").write_text(json.dumps({**facts, **environment}), encoding="utf-8")
        return copy

    return call

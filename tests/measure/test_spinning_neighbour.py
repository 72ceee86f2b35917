"""A session whose threads spin on does not disturb the session that is timed next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.plan import Plan
from harness.record import Measurement
from harness.runner import run

SPIN_NS = 60_000_000


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measurement]:
    """The toy backend alone, and beside a spinner; the spinner itself."""
    folder = tmp_path_factory.mktemp("spinning")
    data = Path(__file__).parents[1] / "data" / "plugins"
    toy = folder / "bench_toy.py"
    toy.write_text((data / "toy" / "bench_toy" / "__init__.py").read_text(encoding="utf-8"), encoding="utf-8")
    plugins = (str(toy), str(data / "spinner.py"))
    found: dict[str, Measurement] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        for name, backends in (("alone", ("toy-numpy",)), ("beside", ("toy-numpy", "spinner"))):
            plan = Plan(models=("toy:linear",), recipes=("baseline",), backends=backends, profiles=("rpi4",),
                        plugins=plugins, processes=1, budget_s=3.0)  # fmt: skip
            for record in run(plan, out=folder / name):
                assert record.measurement is not None
                found[f"{name} {record.backend}"] = record.measurement
    return found


def test_the_spinning_session_is_seen_to_spin_and_to_stop(measured: dict[str, Measurement]) -> None:
    processes = measured["beside spinner"].processes
    assert all(p.settled for p in processes)
    assert min(p.settle_ns for p in processes) > SPIN_NS / 2


def test_the_quiet_session_settles_faster_than_the_spinning_one(measured: dict[str, Measurement]) -> None:
    quiet, spinning = (measured[f"beside {name}"].processes for name in ("toy-numpy", "spinner"))
    assert max(p.settle_ns for p in quiet) < min(p.settle_ns for p in spinning)


def test_a_session_beside_a_spinning_one_keeps_the_time_that_it_has_alone(measured: dict[str, Measurement]) -> None:
    # Two spinning threads on two processors would at least double it, and the quick samples too: a neighbour of the
    # whole test spoils some of the samples only.
    alone, beside = (np.quantile(measured[f"{name} toy-numpy"].latency_ns, 0.25) for name in ("alone", "beside"))
    assert beside < 1.6 * alone

"""Examination: what a run says of runtimes beside each other, in records of a real run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.consistency import ROUNDING
from harness.plan import Plan
from harness.record import Deviation, Measurement, Quality, Record
from harness.runner import run

RECIPES = ("baseline", "toy-round", "apart-half", "apart-integers", "apart-other")

Records = Mapping[tuple[str, str], Record]


PLUGINS = Path(__file__).parent / "data" / "plugins"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("apart")
    plan = Plan(
        models=("toy:linear",),
        recipes=RECIPES,
        backends=("apart-framework", "apart-faithful", "apart-wrong"),
        profiles=("rpi4",),
        threads=1,
        budget_s=0.1,
        processes=1,
        plugins=tuple(str(PLUGINS / name) for name in ("toy/bench_toy/__init__.py", "runtimes_apart.py")),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        found = run(plan, out=folder / "run")
    return {(r.recipe, r.backend): r for r in found}


def quality(records: Records, recipe: str, backend: str) -> Quality:
    found = records[recipe, backend].quality
    assert found is not None, records[recipe, backend].failure
    return found


def deviation(records: Records, recipe: str, backend: str) -> Deviation:
    found = quality(records, recipe, backend).deviation
    assert found is not None
    return found


def measurement(records: Records, recipe: str, backend: str) -> Measurement:
    found = records[recipe, backend].measurement
    assert found is not None
    return found


def test_the_framework_itself_is_compared_with_nothing(records) -> None:
    assert quality(records, "baseline", "apart-framework").deviation is None


def test_a_recipe_is_compared_with_the_same_recipe_in_the_framework(records) -> None:
    found = deviation(records, "toy-round", "apart-faithful")
    assert found.reference == "toy-round in apart-framework"
    assert found.largest == pytest.approx(1e-4, rel=0.01)
    assert found.tolerance == ROUNDING
    assert found.agrees


def test_another_result_does_not_agree(records) -> None:
    found = deviation(records, "baseline", "apart-wrong")
    assert found.largest == pytest.approx(0.1, rel=0.01)
    assert found.agrees is False


def test_what_the_framework_does_not_run_in_that_precision_is_compared_with_its_baseline(records) -> None:
    found = deviation(records, "apart-half", "apart-faithful")
    assert (found.reference, found.tolerance) == ("baseline in apart-framework", 1e-2)


def test_integers_are_compared_and_have_no_tolerance(records) -> None:
    found = deviation(records, "apart-integers", "apart-faithful")
    assert (found.tolerance, found.agrees) == (None, None)


def test_another_network_than_the_framework_ran_is_compared_with_nothing(records) -> None:
    assert quality(records, "apart-other", "apart-faithful").deviation is None


def test_what_a_backend_says_of_its_runtime_stands_in_the_record(records) -> None:
    assert measurement(records, "baseline", "apart-faithful").notes == ("takes .npy on 1 threads",)
    assert measurement(records, "baseline", "apart-framework").notes == ()


def test_a_backend_that_cannot_say_it_costs_a_line_and_not_the_row(records) -> None:
    (line,) = measurement(records, "baseline", "apart-wrong").notes
    assert "the delegate does not say" in line
    assert records["baseline", "apart-wrong"].outcome == "measured"

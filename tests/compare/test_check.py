"""What passes a check, what fails it, and what it cannot say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.compare.check import Thresholds, check
from harness.compare.comparison import compare
from harness.errors import UsageError


def checked(runs, **thresholds):
    return check(compare(*runs, 0.05), Thresholds(**thresholds))


def regressions(found):
    return [(finding.recipe, finding.metric) for finding in found.of("regression")]


def with_variant(runs, **changes):
    before, after = runs
    variant = replace(after.records[1].variant, **changes)
    return before, replace(after, records=(after.records[0], replace(after.records[1], variant=variant)))


def test_like_runs_pass_and_say_what_would_have_been_seen(twins):
    found = checked(twins())
    assert found.status == "fine"
    assert 0 < found.sees <= found.sees_worst < 0.10


def test_a_machine_that_drifted_by_a_tenth_passes(twins):
    assert checked(twins(drift=1.10)).status == "fine"


def test_each_metric_that_got_worse_fails_by_its_name(twins, make):
    assert regressions(checked(twins(ms=1.12))) == [("small", "relative latency")]
    assert regressions(checked(twins(drift=1.4))) == [("baseline", "latency")]
    memory = make["measurement"](1.0, seed=4, memory_mb=36.0)
    assert regressions(checked(twins(measurement=memory))) == [("small", "memory")]
    assert regressions(checked(with_variant(twins(), size_bytes=102_000))) == [("small", "size")]
    assert regressions(checked(with_variant(twins(), download_bytes=99_000))) == [("small", "download")]
    assert regressions(checked(twins(quality=make["quality"](range(60))))) == [("small", "accuracy")]


def test_what_is_significant_and_below_a_floor_passes(twins, make):
    runs = twins(ms=1.12)
    assert checked(runs, latency_share=0.3).status == "fine"
    assert checked(runs, latency_ns=1e6).status == "fine"
    memory = twins(measurement=make["measurement"](1.0, seed=4, memory_mb=30.9))
    assert compare(*memory, 0.05).cells[1].change("memory").verdict == "worse"
    assert checked(memory).status == "fine"
    assert regressions(checked(memory, memory_share=0.01, memory_bytes=0.0)) == [("small", "memory")]
    assert checked(with_variant(twins(), size_bytes=100_900)).status == "fine"
    assert checked(twins(quality=make["quality"](range(60))), accuracy_share=0.05).status == "fine"


def test_what_got_better_passes(twins, make):
    assert checked(twins(ms=0.8, quality=make["quality"](range(2)))).status == "fine"


def test_a_row_that_failed_or_is_gone_fails(twins, make):
    before, after = twins()
    broken = replace(after, records=(after.records[0], make["failed"](after.records[1])))
    (finding,) = checked((before, broken)).of("regression")
    assert (finding.recipe, finding.metric) == ("small", "outcome")
    assert "the kernel said no" in finding.reason
    gone = replace(after, records=after.records[:1])
    assert regressions(checked((before, gone))) == [("small", "outcome")]
    assert checked((before, gone), missing_allowed=True).status == "fine"


def test_a_row_that_failed_before_already_passes(twins, make):
    before, after = twins()
    failed = [replace(run, records=(run.records[0], make["failed"](run.records[1]))) for run in (before, after)]
    assert checked(failed).status == "fine"


def test_noise_that_hides_what_must_be_seen_makes_a_check_inconclusive(twins):
    found = checked(twins(), must_see_share=0.001, latency_share=0.0, latency_ns=0.0)
    assert found.status == "inconclusive"
    assert all(finding.reason.startswith("noise hides changes below ") for finding in found.of("inconclusive"))


def test_one_process_makes_a_check_inconclusive(make):
    alone = make["run"]("a", make["record"](measurement=make["measurement"](seed=1, processes=1)))
    found = checked((alone, alone))
    assert (found.status, found.sees) == ("inconclusive", None)


def test_a_drop_that_few_rows_cannot_tell_from_chance_is_inconclusive(make):
    def run(name, wrong):
        return make["run"](name, make["record"](quality=make["quality"](wrong, n=20)))

    found = checked((run("a", [0]), run("b", [0, 1, 2])))
    assert [(f.metric, f.status) for f in found.of("inconclusive")] == [("accuracy", "inconclusive")]


def test_thresholds_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="latency share = -1"):
        Thresholds(latency_share=-1)

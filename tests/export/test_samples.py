"""The table of samples: every time that was read, once."""

from __future__ import annotations

from harness.export.samples import sample_rows
from harness.run_folder import read_records


def test_a_measurement_that_two_profiles_share_is_written_once(stored):
    found = sample_rows(stored)
    assert {line["cell"] for line in found} == {"c1", "c2", "c3"}
    assert len(found) == 3 * (3 * 40 + 3 * 2)


def test_samples_stand_with_their_process_and_round(stored, tmp_path):
    measured = read_records(tmp_path / "here")[1].measurement
    found = [line for line in sample_rows(stored) if line["cell"] == "c2"]
    timed = [line for line in found if not line["warmup"]]
    assert [line["measured_latency_ns"] for line in timed] == list(measured.latency_ns)
    assert [(line["process"], line["round"]) for line in timed] == [(p, r) for p in range(3) for r in range(40)]
    assert {line["calls"] for line in found} == {8}


def test_warmup_comes_before_the_samples_of_its_process_and_has_no_round(stored):
    first = [line for line in sample_rows(stored) if line["cell"] == "c1" and line["process"] == 1]
    assert [line["warmup"] for line in first[:3]] == [True, True, False]
    assert first[0]["round"] is None

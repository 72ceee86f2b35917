"""Every built-in trainer keeps what a trainer promises."""

from __future__ import annotations

import pytest

from harness.testing import TrainerConformance, TrainerSubject
from harness.testing.loading import load_among


class TestTrainers(TrainerConformance):
    @pytest.fixture
    def subject(self, samples):
        return TrainerSubject(plugin="bench_torch", name="torch", module=samples.network, inputs=samples.rows.inputs)


def test_every_built_in_trainer_is_here_and_tested() -> None:
    found = {t.name: t.contribution for t in load_among().trainers if t.distribution == "edge-bench"}
    assert set(found) == {"torch"}
    assert found["torch"].available().ok

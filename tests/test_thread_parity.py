"""Every backend computes with as many threads as it is given, or says how many it computes with.

A comparison of runtimes is none when one has two cores and the other has one. What a runtime says is therefore held
against the processor time that each thread of its process took.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.recipe import Recipe
from harness.route import NoRoute, find_route
from harness.testing import BackendSubject, build_context
from harness.testing.backend import WORKING_SHARE
from harness.testing.loading import load_among
from harness.testing.sessions import run_in_a_child

X = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)

PAUSES_S = (0, 1, 2, 4, 8)

BACKENDS = sorted(item.name for item in load_among().backends if not item.contribution.accelerator)


@cache
def network() -> nn.Module:
    """Convolutions of some 10 ms on one core, so that there is work to share."""
    torch.manual_seed(0)
    wide = [layer for _ in range(4) for layer in (nn.Conv2d(32, 32, 3, padding=1), nn.ReLU())]
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), *wide, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


@pytest.fixture(scope="module")
def variant_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Path]:
    """The network as a file that a backend reads, by the route that a run would take; each step is done once."""
    host, folder = load_among(), tmp_path_factory.mktemp("variants")
    made: dict[str, Any] = {}

    def get(backend: Any) -> Path:
        steps = find_route(host, "module", Recipe(), backend.reads)
        assert not isinstance(steps, NoRoute), f"{backend.name} is ready, and no way leads to it: {steps}"
        value: Any = network()
        for number, step in enumerate(steps):
            done = "-".join(each.format for each in steps[: number + 1])
            if done not in made:
                convert = next(c.contribution.convert for c in host.converters if c.name == step.name)
                made[done] = convert(value, build_context(folder / done, host=host, example=(X,)))
            value = made[done]
        return value

    return get


def threads_of(subject: BackendSubject, backend: Any, asked: int, folder: Path) -> tuple[int, int | None]:
    """How many threads compute, and how many the runtime says.

    Where a neighbour holds the second processor, a scheduler that steals work leaves all of it to the first thread:
    fewer than it says are counted again before they are believed, more than asked are not.
    """
    computing, said = 0, None
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        answer = run_in_a_child(subject, backend, asked, folder)
        worked_ns, said = answer["worked_ns"], answer["threads"]
        if not worked_ns:
            pytest.skip("the processor time of single threads cannot be read here")
        computing = max(computing, sum(ns > WORKING_SHARE * max(worked_ns) for ns in worked_ns))
        if computing >= (said or asked):
            break
    return computing, said


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one core, two threads cannot be told from one")
@pytest.mark.parametrize("name", BACKENDS)
def test_the_threads_that_compute_are_those_asked_for_or_those_said(
    name: str, variant_for: Callable[[Any], Path], tmp_path: Path
) -> None:
    host = load_among()
    item = host.backends.get(name)
    backend, available = item.contribution, item.contribution.available()
    if not available.ok:
        pytest.skip(f"{available.reason}: {available.install}")
    plugin = next(each.target for each in host.plugins if each.name == item.plugin)
    subject = BackendSubject(plugin=plugin, name=name, variant=variant_for(backend), inputs=(X,))
    for asked in (1, 2):
        computing, said = threads_of(subject, backend, asked, tmp_path / str(asked))
        what = f"asked for {asked}, {name} computes with {computing} and says {said}"
        assert said in (None, computing), what
        assert computing == asked or said == 1, what


def test_the_backends_that_are_compared_are_those_that_are_timed() -> None:
    assert len(BACKENDS) > 1

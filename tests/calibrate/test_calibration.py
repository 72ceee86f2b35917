"""The whole way: graphs are written, timed in a child process, fitted, and the profile can be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.calibrate import calibration
from harness.calibrate.model import calibration_of, predict_ms
from harness.calibrate.sweep import sweep
from harness.cli import bench
from harness.graph import OpGraph
from harness.profile_file import load_profile


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few small graphs in place of the sweep."""
    monkeypatch.setenv("BENCH_PLUGINS", "onnx,onnxruntime")
    monkeypatch.setattr(calibration, "FEWEST_GRAPHS", 3)
    monkeypatch.setattr(calibration, "sweep", few(sweep))


def few(whole: Callable[..., tuple[OpGraph, ...]]) -> Callable[..., tuple[OpGraph, ...]]:
    def draw(*, quantised: bool) -> tuple[OpGraph, ...]:
        return tuple(g for g in whole(quantised=quantised) if g.parameters < 20_000)[:5]

    return draw


def test_calibrating_writes_a_profile_that_predicts_in_both_precisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch)
    path = tmp_path / "mine.toml"
    given = ["calibrate", "--threads", "1", "--budget-s", "5", "--name", "mine", "--output", str(path)]
    done = CliRunner().invoke(bench, given)
    assert done.exit_code == 0, done.output
    assert f"bench run --profile {path}" in done.output
    profile = load_profile(path)
    assert {each.precision for each in profile.profiled} == {"fp32", "int8"}
    assert profile.bandwidths
    (family,) = {each.family for each in profile.profiled}
    for quantised in (False, True):
        graph = next(g for g in sweep(quantised=quantised) if g.macs)
        table = calibration_of(graph, profile.profiled, kernel_family=family, threads=1)
        assert table is not None
        assert table.precision == ("int8" if quantised else "fp32")
        assert predict_ms(graph, table) > 0


def test_a_backend_that_nothing_writes_for_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", "onnxruntime")
    done = CliRunner().invoke(bench, ["calibrate", "--backend", "onnxruntime"])
    assert done.exit_code == 2
    assert "No plugin writes a format that it reads: onnx" in done.output


def test_a_name_that_no_profile_can_have_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    done = CliRunner().invoke(bench, ["calibrate", "--name", "host", "--output", str(tmp_path / "x.toml")])
    assert done.exit_code == 2
    assert not list(tmp_path.iterdir())

"""The classes of the kit on plugins with a planted defect; `test_conformance_catches.py` runs single checks of it."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.model import Split
from harness.testing import (
    BackendConformance,
    BackendSubject,
    ConverterConformance,
    ConverterSubject,
    GraphReaderConformance,
    GraphReaderSubject,
    GraphWriterConformance,
    GraphWriterSubject,
    MeterConformance,
    MeterSubject,
    ModelSourceConformance,
    ModelSubject,
    PluginConformance,
    ReportFormatConformance,
    ReportSubject,
    TechniqueConformance,
    TechniqueSubject,
    TrainerConformance,
    TrainerSubject,
)
from harness.testing.fake_network import make_network, make_rows, save
from harness.testing.fakes import REF, read_graph
from harness.testing.loading import load_alone

HERE = Path(__file__).parent


@pytest.fixture(params=os.environ["PLANTED"].split())
def name(request: Any) -> str:
    return request.param


@cache
def sources() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("planted_plugins", HERE / "plugins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SOURCES


def rows() -> Split:
    x, labels = make_rows()
    return Split(inputs=(x,), labels=labels)


class TestPlugin(PluginConformance):
    patience_s = 0.5

    @pytest.fixture
    def subject(self, name, tmp_path):
        file = tmp_path / "bench_planted.py"
        file.write_text(sources()[name], encoding="utf-8")
        return MeterSubject(plugin=str(file), name="fake-watts")


class TestBackend(BackendConformance):
    @pytest.fixture
    def subject(self, name, tmp_path):
        return BackendSubject(
            plugin=str(HERE / "backends.py"),
            name=name,
            variant=save(make_network(), tmp_path / "net.linear.npz"),
            inputs=(np.ones((1, 6), np.float32),),
        )


class TestTechnique(TechniqueConformance):
    @pytest.fixture
    def subject(self, name, tmp_path):
        return TechniqueSubject(
            plugin=str(HERE / "techniques.py"),
            name=name,
            format="linear",
            input=save(make_network(), tmp_path / "net.linear.npz"),
            data=rows(),
            refused={"decimals": -2},
        )


class TestModelSource(ModelSourceConformance):
    @pytest.fixture
    def subject(self, name):
        return ModelSubject(plugin=str(HERE / "models.py"), name=name, ref=REF, wrong_ref="fake:square")


class TestConverter(ConverterConformance):
    @pytest.fixture
    def subject(self, name, tmp_path):
        file = save(make_network(), tmp_path / "net.linear.npz")
        return ConverterSubject(plugin=str(HERE / "files.py"), source="linear", target=name, input=file)


class TestGraphReader(GraphReaderConformance):
    @pytest.fixture
    def subject(self, name, tmp_path):
        file = save(make_network(), tmp_path / "net.linear.npz")
        return GraphReaderSubject(plugin=str(HERE / "files.py"), format=name, file=file)


class TestGraphWriter(GraphWriterConformance):
    @pytest.fixture
    def subject(self, name, tmp_path):
        graph = read_graph(save(make_network(), tmp_path / "net.linear.npz"))
        return GraphWriterSubject(plugin=str(HERE / "files.py"), format=name, graph=graph)


class TestTrainer(TrainerConformance):
    @pytest.fixture
    def subject(self, name):
        file = str(HERE / "trainers.py")
        return TrainerSubject(plugin=file, name=name, module=make_network(), inputs=rows().inputs)


class TestMeter(MeterConformance):
    @pytest.fixture
    def subject(self, name):
        return MeterSubject(plugin=str(HERE / "meters.py"), name=name)


class TestReportFormat(ReportFormatConformance):
    @pytest.fixture
    def subject(self, name):
        return ReportSubject(plugin=str(HERE / "reports.py"), name=name)


def test_the_planted_plugins_load() -> None:
    for file in ("backends", "techniques", "models", "files", "trainers", "meters", "reports"):
        assert load_alone(str(HERE / f"{file}.py")).failures == ()

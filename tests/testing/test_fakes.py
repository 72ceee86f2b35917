"""The kit's own fakes pass every class of the kit, so that a defect planted in them is the only one."""

from __future__ import annotations

from pathlib import Path

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
    ReportFormatConformance,
    ReportSubject,
    TechniqueConformance,
    TechniqueSubject,
    TrainerConformance,
    TrainerSubject,
)
from harness.testing.fake_network import make_network, make_rows, save
from harness.testing.fakes import REF, read_graph

FAKES = "harness.testing.fakes"

pytestmark = pytest.mark.usefixtures("nobody_else")


@pytest.fixture
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live objects of the fakes are no torch modules: nobody else's converters are to touch them."""
    monkeypatch.setenv("BENCH_PLUGINS", "")


def arrays(folder: Path) -> Path:
    return save(make_network(), folder / "net.linear.npz")


def text(folder: Path) -> Path:
    return save(make_network(), folder / "net.linear.json")


def rows() -> Split:
    x, labels = make_rows()
    return Split(inputs=(x,), labels=labels)


class TestBackend(BackendConformance):
    @pytest.fixture(params=[arrays, text])
    def subject(self, request, tmp_path):
        x = np.ones((1, 6), np.float32)
        return BackendSubject(plugin=FAKES, name="fake-product", variant=request.param(tmp_path), inputs=(x,))


class TestFileTechnique(TechniqueConformance):
    @pytest.fixture
    def subject(self, tmp_path):
        return TechniqueSubject(
            plugin=FAKES, name="fake-round", format="linear", input=arrays(tmp_path), refused={"decimals": -1}
        )


class TestLiveTechnique(TechniqueConformance):
    @pytest.fixture
    def subject(self):
        return TechniqueSubject(plugin=FAKES, name="fake-tune", format="module", input=make_network(), data=rows())


class TestModelSource(ModelSourceConformance):
    @pytest.fixture
    def subject(self):
        return ModelSubject(plugin=FAKES, name="fake", ref=REF, wrong_ref="fake:square")


class TestConverter(ConverterConformance):
    @pytest.fixture(params=["live", "file"])
    def subject(self, request, tmp_path):
        if request.param == "live":
            x = rows().inputs[0][:1]
            return ConverterSubject(plugin=FAKES, source="module", target="linear", input=make_network(), inputs=(x,))
        return ConverterSubject(plugin=FAKES, source="linear", target="linear-text", input=arrays(tmp_path))


class TestGraphReader(GraphReaderConformance):
    @pytest.fixture(params=[("linear", arrays), ("linear-text", text)], ids=["arrays", "text"])
    def subject(self, request, tmp_path):
        fmt, make = request.param
        return GraphReaderSubject(plugin=FAKES, format=fmt, file=make(tmp_path))


class TestGraphWriter(GraphWriterConformance):
    @pytest.fixture
    def subject(self, tmp_path):
        return GraphWriterSubject(plugin=FAKES, format="linear", graph=read_graph(arrays(tmp_path)))


class TestTrainer(TrainerConformance):
    @pytest.fixture
    def subject(self):
        return TrainerSubject(plugin=FAKES, name="fake", module=make_network(), inputs=rows().inputs)


class TestMeter(MeterConformance):
    @pytest.fixture
    def subject(self):
        return MeterSubject(plugin=FAKES, name="fake-watts")


class TestReportFormat(ReportFormatConformance):
    @pytest.fixture
    def subject(self):
        return ReportSubject(plugin=FAKES, name="fake-lines")

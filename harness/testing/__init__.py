"""Conformance checks, fakes and fixtures for authors of plugins: `from harness.testing import BackendConformance`.

Subclass the class of what the plugin contributes and give it a fixture `subject`; `docs/plugins/testing.md` says what
is checked. For the fixtures put `pytest_plugins = ["harness.testing.fixtures"]` into `conftest.py`. Names are loaded
when first used, and only this package imports pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.testing.backend import BackendConformance, BackendSubject
    from harness.testing.context import build_context
    from harness.testing.converter import ConverterConformance, ConverterSubject
    from harness.testing.graph_reader import GraphReaderConformance, GraphReaderSubject
    from harness.testing.graph_writer import GraphWriterConformance, GraphWriterSubject
    from harness.testing.meter import MeterConformance, MeterSubject
    from harness.testing.model_source import ModelSourceConformance, ModelSubject
    from harness.testing.plugin import PluginConformance
    from harness.testing.report_format import ReportFormatConformance, ReportSubject
    from harness.testing.samples import sample_environment, sample_records
    from harness.testing.technique import TechniqueConformance, TechniqueSubject
    from harness.testing.trainer import TrainerConformance, TrainerSubject

_HOME = {
    "BackendConformance": "backend",
    "BackendSubject": "backend",
    "ConverterConformance": "converter",
    "ConverterSubject": "converter",
    "GraphReaderConformance": "graph_reader",
    "GraphReaderSubject": "graph_reader",
    "GraphWriterConformance": "graph_writer",
    "GraphWriterSubject": "graph_writer",
    "MeterConformance": "meter",
    "MeterSubject": "meter",
    "ModelSourceConformance": "model_source",
    "ModelSubject": "model_source",
    "PluginConformance": "plugin",
    "ReportFormatConformance": "report_format",
    "ReportSubject": "report_format",
    "TechniqueConformance": "technique",
    "TechniqueSubject": "technique",
    "TrainerConformance": "trainer",
    "TrainerSubject": "trainer",
    "build_context": "context",
    "sample_environment": "samples",
    "sample_records": "samples",
}

__all__ = [
    "BackendConformance",
    "BackendSubject",
    "ConverterConformance",
    "ConverterSubject",
    "GraphReaderConformance",
    "GraphReaderSubject",
    "GraphWriterConformance",
    "GraphWriterSubject",
    "MeterConformance",
    "MeterSubject",
    "ModelSourceConformance",
    "ModelSubject",
    "PluginConformance",
    "ReportFormatConformance",
    "ReportSubject",
    "TechniqueConformance",
    "TechniqueSubject",
    "TrainerConformance",
    "TrainerSubject",
    "build_context",
    "sample_environment",
    "sample_records",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"harness.testing.{_HOME[name]}"), name)
    raise AttributeError(f"module 'harness.testing' has no attribute {name!r}")

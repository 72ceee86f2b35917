"""bench: which optimisation, in which runtime, for this device, at what cost, and how far can that be trusted.

The public API: everything a plugin may import and everything a script needs. Names are loaded when first used, so
that importing `harness` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.availability import if_installed
    from harness.build_context import BuildContext, Score, Trained, Training
    from harness.chatter import silenced, silenced_stderr
    from harness.contributions import (
        AVAILABLE,
        Availability,
        Backend,
        Converter,
        Counter,
        GraphReader,
        GraphWriter,
        Implementation,
        Meter,
        ModelSource,
        NoOptions,
        Rejection,
        ReportFormat,
        Session,
        SessionOptions,
        Simulation,
        Technique,
        Trainer,
    )
    from harness.errors import ArtifactError, HarnessError, UnsupportedError
    from harness.estimate.interval import Estimate, Interval
    from harness.graph import Operator, OpGraph, Tensor
    from harness.hookspecs import hookimpl
    from harness.model import Data, Model, ModelInfo, Split, TensorSpec
    from harness.operator_time import OperatorTime
    from harness.plan import Plan
    from harness.record import Record
    from harness.report.document import Report, Section
    from harness.report.row import Row
    from harness.runner import resume, run

API_VERSION = 1
"""A plugin may state `HARNESS_API = 1`; the host refuses it with advice when the numbers differ."""

_HOME = {
    "AVAILABLE": "contributions",
    "Availability": "contributions",
    "Backend": "contributions",
    "if_installed": "availability",
    "BuildContext": "build_context",
    "Score": "build_context",
    "Trained": "build_context",
    "Training": "build_context",
    "Converter": "contributions",
    "Counter": "contributions",
    "GraphReader": "contributions",
    "GraphWriter": "contributions",
    "Implementation": "contributions",
    "Meter": "contributions",
    "ModelSource": "contributions",
    "NoOptions": "contributions",
    "Rejection": "contributions",
    "ReportFormat": "contributions",
    "Session": "contributions",
    "SessionOptions": "contributions",
    "Simulation": "contributions",
    "OperatorTime": "operator_time",
    "Technique": "contributions",
    "Trainer": "contributions",
    "ArtifactError": "errors",
    "HarnessError": "errors",
    "UnsupportedError": "errors",
    "Estimate": "estimate.interval",
    "Interval": "estimate.interval",
    "silenced": "chatter",
    "silenced_stderr": "chatter",
    "OpGraph": "graph",
    "Operator": "graph",
    "Tensor": "graph",
    "hookimpl": "hookspecs",
    "Data": "model",
    "Model": "model",
    "ModelInfo": "model",
    "Split": "model",
    "TensorSpec": "model",
    "Plan": "plan",
    "Record": "record",
    "Report": "report.document",
    "Section": "report.document",
    "Row": "report.row",
    "resume": "runner",
    "run": "runner",
}

__all__ = [
    "API_VERSION",
    "AVAILABLE",
    "ArtifactError",
    "Availability",
    "Backend",
    "BuildContext",
    "Converter",
    "Counter",
    "Data",
    "Estimate",
    "GraphReader",
    "GraphWriter",
    "HarnessError",
    "Implementation",
    "Interval",
    "Meter",
    "Model",
    "ModelInfo",
    "ModelSource",
    "NoOptions",
    "OpGraph",
    "Operator",
    "OperatorTime",
    "Plan",
    "Record",
    "Rejection",
    "Report",
    "ReportFormat",
    "Row",
    "Score",
    "Section",
    "Session",
    "SessionOptions",
    "Simulation",
    "Split",
    "Technique",
    "Tensor",
    "TensorSpec",
    "Trained",
    "Trainer",
    "Training",
    "UnsupportedError",
    "hookimpl",
    "if_installed",
    "resume",
    "run",
    "silenced",
    "silenced_stderr",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"harness.{_HOME[name]}"), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")

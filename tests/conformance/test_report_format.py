"""The host's own report formats keep what a report format promises."""

from __future__ import annotations

import pytest

from harness.report import builtin_formats
from harness.testing import ReportFormatConformance, ReportSubject

PLUGIN = """
from harness import hookimpl
from harness.report import builtin_formats

HARNESS_API = 1


@hookimpl
def harness_report_formats():
    return builtin_formats()
"""


class TestReportFormats(ReportFormatConformance):
    @pytest.fixture(params=[each.name for each in builtin_formats()])
    def subject(self, request, tmp_path_factory):
        file = tmp_path_factory.mktemp("formats") / "bench_builtin_formats.py"
        file.write_text(PLUGIN, encoding="utf-8")
        return ReportSubject(plugin=str(file), name=request.param)

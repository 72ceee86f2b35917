"""Report files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.contributions import ReportFormat
from harness.errors import PluginError
from harness.record import Record
from harness.report import builtin_formats, write_report
from harness.report.document import Report

PICTURES = ["report-pareto-1.svg", "report-pareto-2.svg"]


def test_markdown_and_html_are_built_in(tmp_path: Path, records: list[Record], environment: dict[str, Any]) -> None:
    written = write_report(tmp_path, records, environment)
    assert [path.name for path in written] == ["report.md", "report.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*PICTURES, "report.html", "report.md"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_an_old_report_is_replaced(tmp_path: Path, records: list[Record]) -> None:
    (tmp_path / "report.md").write_text("an old report")
    write_report(tmp_path, records, {})
    assert "an old report" not in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path, records: list[Record]) -> None:
    with pytest.raises(OSError, match="nowhere"):
        write_report(tmp_path / "nowhere", records, {})


def test_text_that_no_encoding_can_hold_is_still_written(tmp_path: Path, factory: dict[str, Any]) -> None:
    write_report(tmp_path, [factory["record"](model="net\udcff")], {})
    assert "net?" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_format_that_fails_is_named_and_stops_no_other(tmp_path: Path, records: list[Record]) -> None:
    def broken(report: Report) -> str:
        raise KeyError("latency")

    formats = (ReportFormat(name="broken", suffix=".bad", render=broken), *builtin_formats())
    with pytest.raises(PluginError, match="broken: KeyError: 'latency'"):
        write_report(tmp_path, records, {}, formats)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*PICTURES, "report.html", "report.md"]


def test_a_format_may_bring_several_files(tmp_path: Path, records: list[Record]) -> None:
    def several(report: Report) -> dict[str, str]:
        return {".txt": "see report-picture.svg", "-picture.svg": "<svg/>"}

    written = write_report(tmp_path, records, {}, [ReportFormat(name="several", suffix=".txt", render=several)])
    assert [path.name for path in written] == ["report.txt"]
    assert (tmp_path / "report-picture.svg").read_text(encoding="utf-8") == "<svg/>"


@pytest.mark.parametrize("end", ["/../../x.svg", "", "picture"])
def test_a_format_cannot_write_outside_the_folder(tmp_path: Path, records: list[Record], end: str) -> None:
    outside = ReportFormat(name="outside", suffix=".txt", render=lambda report: {".txt": "", end: ""})
    with pytest.raises(PluginError, match="is no end of a file's name"):
        write_report(tmp_path, records, {}, [outside])
    assert list(tmp_path.iterdir()) == []


def test_a_format_of_several_files_that_lacks_its_own_is_named(tmp_path: Path, records: list[Record]) -> None:
    lacking = ReportFormat(name="lacking", suffix=".txt", render=lambda report: {"-a.svg": ""})
    with pytest.raises(PluginError, match=r"lacking: ValueError: it renders -a\.svg, but not its own \.txt"):
        write_report(tmp_path, records, {}, [lacking])


def test_the_markdown_refers_to_pictures_that_are_there(tmp_path: Path, records: list[Record]) -> None:
    write_report(tmp_path, records, {})
    names = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (tmp_path / "report.md").read_text(encoding="utf-8"))
    assert names == PICTURES
    assert all((tmp_path / name).read_text(encoding="utf-8").startswith("<svg") for name in names)


def test_importing_the_package_loads_no_template_engine() -> None:
    code = (
        "import sys, harness.report; harness.report.builtin_formats();"
        "print({'jinja2', 'tabulate', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
